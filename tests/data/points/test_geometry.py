"""The NumPy ways against the layers and the definitions."""

import numpy as np
import pytest
from keras import ops

from kseg.data.points import estimate_normals, farthest_points, unit_sphere
from kseg.layers import FarthestPointSampling, PointNormals


def cloud(count=200):
    return np.random.default_rng(0).normal(size=(count, 5)).astype("float32")


def test_unit_sphere():
    points = cloud() * 7 + 3
    found = unit_sphere(points)
    np.testing.assert_allclose(found[:, :3].mean(0), 0, atol=1e-6)
    assert np.linalg.norm(found[:, :3], axis=1).max() == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(found[:, 3:], points[:, 3:])
    # Translation and scale are all that changed.
    ratio = np.linalg.norm(found[1:, :3] - found[:-1, :3], axis=1)
    ratio /= np.linalg.norm(points[1:, :3] - points[:-1, :3], axis=1)
    assert np.ptp(ratio) < 1e-5 * ratio.mean()


@pytest.mark.parametrize("count", [1, 6])
def test_points_that_are_all_the_same_become_the_origin(count):
    found = unit_sphere(np.full((count, 3), 0.3))
    np.testing.assert_array_equal(found, np.zeros((count, 3)))


@pytest.mark.parametrize("samples", [1, 50, 200])
def test_farthest_points_are_those_of_the_layer(samples):
    points = cloud()
    layer = FarthestPointSampling(samples)
    expected = ops.convert_to_numpy(layer.indices(ops.convert_to_tensor(points[None])))
    np.testing.assert_array_equal(farthest_points(points, samples), expected[0])


def test_farthest_points_of_duplicates_and_ties():
    assert farthest_points(np.full((8, 3), 0.3), 5).tolist() == [0] * 5
    square = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]
    assert farthest_points(square, 4).tolist() == [0, 3, 1, 2]


def test_normals_are_those_of_the_layer():
    points = cloud()[:, :3] * [3, 1, 0.2]
    found = estimate_normals(points, viewpoint=(0, 0, 9))
    layer = PointNormals(viewpoint=(0, 0, 9))
    expected = ops.convert_to_numpy(layer(points[None].astype("float32")))[0]
    assert ((found * expected).sum(1) > 1 - 1e-4).all()


@pytest.mark.parametrize(
    "points",
    [
        [[1, 2, 3]],
        [[0.3, 0.1, 0.7]] * 12,
        np.linspace(-1, 1, 20)[:, None] * [0.3, 0.5, 0.8] + [0.1, 0.2, 0.3],
    ],
    ids=["one_point", "duplicates_only", "a_line"],
)
def test_what_spans_no_plane_has_the_normal_zero(points):
    np.testing.assert_array_equal(estimate_normals(points), np.zeros((len(points), 3)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "function", [unit_sphere, estimate_normals, lambda x: farthest_points(x, 2)]
)
def test_what_is_not_finite_is_named_with_its_row(function, value):
    points = cloud()[:, :3]
    points[7, 1] = points[9, 0] = value
    with pytest.raises(ValueError, match=r"2 rows are not.*Received: points\[7\]="):
        function(points)


def test_other_mistakes():
    with pytest.raises(ValueError, match=r"at least 5 points.*shape \(4, 3\)"):
        farthest_points(np.zeros((4, 3)), 5)
    with pytest.raises(ValueError, match=r"at least 1 points.*shape \(0, 3\)"):
        unit_sphere(np.zeros((0, 3)))
    with pytest.raises(ValueError, match=r"x, y, z first. Received: points of shape"):
        unit_sphere(np.zeros((4, 2)))
    with pytest.raises(TypeError, match="Received: samples=2.5"):
        farthest_points(np.zeros((4, 3)), 2.5)


def test_farthest_points_of_geographic_coordinates():
    points = np.random.default_rng(0).uniform(0, 1, (200, 3))
    near = farthest_points(points - points[0], 20)
    np.testing.assert_array_equal(farthest_points(points + [5e5, 5e6, 0], 20), near)
