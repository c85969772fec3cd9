"""Interpolation from the nearest centres, against scipy."""

import numpy as np
import pytest
from keras import ops
from scipy.spatial import cKDTree

from kseg.layers import FeaturePropagation


def propagated(*inputs, k=3):
    return ops.convert_to_numpy(FeaturePropagation(k)(list(inputs)))


def clouds():
    rng = np.random.default_rng(0)
    shapes = ((2, 30, 5), (2, 8, 3), (2, 8, 4))
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


@pytest.mark.parametrize("k", [1, 3, 8])
def test_equals_the_formula_over_neighbors_of_a_tree(k):
    points, centers, features = clouds()
    found = propagated(points, centers, features, k=k)
    for b in range(2):
        distances, index = cKDTree(centers[b]).query(points[b, :, :3], range(1, k + 1))
        weights = 1 / np.maximum(distances**2, 1e-10)
        weights /= weights.sum(-1, keepdims=True)
        expected = (weights[..., None] * features[b][index]).sum(1)
        np.testing.assert_allclose(found[b], expected, atol=1e-5)


def test_a_center_keeps_its_feature():
    _, centers, features = clouds()
    np.testing.assert_allclose(
        propagated(centers, centers, features), features, atol=1e-5
    )


def test_a_single_center_is_copied():
    points, centers, features = clouds()
    found = propagated(points, centers[:, :1], features[:, :1])
    np.testing.assert_array_equal(found, np.repeat(features[:, :1], 30, axis=1))


def test_duplicates_only_give_a_mean():
    same = np.full((1, 3, 3), 0.5, "float32")
    features = np.float32([[[0.0], [3.0], [6.0]]])
    np.testing.assert_allclose(
        propagated(same, same, features), np.full((1, 3, 1), 3.0)
    )


def test_features_without_a_center_are_an_error():
    points, centers, features = clouds()
    with pytest.raises(ValueError, match=r"Received: features.shape=\(2, 7, 4\)"):
        propagated(points, centers, features[:, :7])


@pytest.mark.parametrize("which,name", [(0, "points"), (1, "centers")])
def test_what_is_not_finite_is_named_with_its_row(which, name):
    inputs = clouds()
    inputs[which][0, 5, 1] = np.inf
    with pytest.raises(ValueError, match=rf"Received: {name}\[0, 5\]="):
        propagated(*inputs)
