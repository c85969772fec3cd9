"""Farthest point sampling against the definition, in NumPy."""

import numpy as np
import pytest
from keras import ops

from kseg.layers import FarthestPointSampling


def definition(points, samples):
    """Indices by the definition, one point after the other."""
    nearest = np.full(len(points), np.inf, "float32")
    chosen = [0]
    while len(chosen) < samples:
        distances = ((points - points[chosen[-1]]) ** 2).sum(-1)
        nearest = np.minimum(nearest, distances)
        chosen.append(int(nearest.argmax()))
    return chosen


def indices(points, samples):
    layer = FarthestPointSampling(samples)
    return ops.convert_to_numpy(layer.indices(ops.convert_to_tensor(points)))


@pytest.mark.parametrize("samples", [1, 7, 40])
def test_the_indices_are_those_of_the_definition(samples):
    points = np.random.default_rng(0).normal(size=(2, 40, 3)).astype("float32")
    expected = [definition(cloud, samples) for cloud in points]
    np.testing.assert_array_equal(indices(points, samples), expected)


def test_of_equally_far_points_the_lowest_index_is_taken():
    # The corners of a square, whose distances are exact; 1 and 2 are equally far from 0
    # once 3 is chosen.
    square = np.float32([[[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]])
    assert indices(square, 4).tolist() == [[0, 3, 1, 2]]


def test_features_come_along_but_do_not_count():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(2, 20, 5)).astype("float32")
    expected = indices(points[..., :3], 6)
    outputs = ops.convert_to_numpy(FarthestPointSampling(6)(points))
    for cloud, chosen, output in zip(points, expected, outputs, strict=True):
        np.testing.assert_array_equal(output, cloud[chosen])


def test_duplicates_only_repeat_point_0():
    points = np.full((1, 8, 3), 0.3, "float32")
    assert indices(points, 5).tolist() == [[0] * 5]


def test_fewer_distinct_points_than_samples_repeat_point_0():
    points = np.float32([[[0, 0, 0], [0, 0, 0], [2, 0, 0], [2, 0, 0]]])
    assert indices(points, 4).tolist() == [[0, 2, 0, 0]]


def test_a_cloud_of_one_point():
    points = np.float32([[[1, 2, 3]]])
    np.testing.assert_array_equal(FarthestPointSampling(1)(points), points)


def test_half_precision_tells_points_apart_that_are_one_in_half():
    points = np.float32([[[1000, 0, 0], [1000.1, 0, 0], [1000.3, 0, 0]]])
    outputs = FarthestPointSampling(2, dtype="mixed_float16").indices(
        ops.convert_to_tensor(points)
    )
    assert ops.convert_to_numpy(outputs).tolist() == [[0, 2]]
    kept = FarthestPointSampling(2, dtype="float32")(points)
    np.testing.assert_array_equal(kept, points[:, [0, 2]])


def test_fewer_points_than_samples_is_an_error():
    with pytest.raises(ValueError, match=r"at least 5 points.*shape=\(1, 4, 3\)"):
        FarthestPointSampling(5)(np.zeros((1, 4, 3), "float32"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named_with_its_row(value):
    points = np.zeros((2, 4, 3), "float32")
    points[1, 2, 0] = points[1, 3, 1] = value
    with pytest.raises(ValueError, match=r"2 rows.*Received: points\[1, 2\]=.*row 2"):
        FarthestPointSampling(2)(points)


@pytest.mark.parametrize("shape", [(4, 3), (1, 4, 2)])
def test_what_is_no_cloud_is_an_error(shape):
    with pytest.raises(ValueError, match="Received: points.shape"):
        FarthestPointSampling(2)(np.zeros(shape, "float32"))


@pytest.mark.parametrize("samples,error", [(0, ValueError), (2.5, TypeError)])
def test_bad_samples(samples, error):
    with pytest.raises(error, match=f"Received: samples={samples}"):
        FarthestPointSampling(samples)
