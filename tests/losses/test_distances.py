"""Distances inside a compiled step against brute force."""

import numpy as np
import pytest
from keras import ops
from scipy.spatial.distance import cdist

from kseg.losses import distances


def brute_force(sites):
    """Squared distance of every pixel of an image to the nearest site."""
    pixels = np.stack(np.meshgrid(*map(np.arange, sites.shape), indexing="ij"), axis=-1)
    squares = cdist(pixels.reshape(-1, 2), pixels[sites], "sqeuclidean")
    return squares.min(axis=1).reshape(sites.shape)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 1), (13, 8), (12, 12)])
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_squared_equals_brute_force(size, share):
    rng = np.random.default_rng(0)
    sites = rng.random((2, *size, 3)) < share
    sites[:, 0, 0] = True
    actual = ops.convert_to_numpy(distances.squared(sites))
    for image, channel in np.ndindex(2, 3):
        expected = brute_force(sites[image, :, :, channel])
        np.testing.assert_array_equal(actual[image, :, :, channel], expected)


def test_without_a_site_everything_is_far():
    sites = np.zeros((1, 4, 5, 1), bool)
    assert np.all(ops.convert_to_numpy(distances.squared(sites)) >= distances.FAR)


@pytest.fixture
def masks():
    rng = np.random.default_rng(1)
    valid = rng.random((2, 9, 13)) < 0.8
    return rng.random((2, 9, 13, 2)) < 0.4, valid


def test_to_boundary_is_the_distance_to_the_nearest_valid_pixel_of_the_other_side(
    masks,
):
    masks, valid = masks
    actual = ops.convert_to_numpy(distances.to_boundary(masks, valid, 13))
    for image, channel in np.ndindex(2, 2):
        mask = masks[image, :, :, channel]
        to_inside = brute_force(mask & valid[image])
        to_outside = brute_force(~mask & valid[image])
        expected = np.where(mask, to_outside, to_inside)
        result = actual[image, :, :, channel]
        np.testing.assert_array_equal(result[valid[image]], expected[valid[image]])


@pytest.mark.parametrize("value", [True, False])
def test_mask_without_another_side_has_distance_0(value):
    masks, valid = np.full((1, 4, 5, 1), value), np.ones((1, 4, 5), bool)
    for resolution in (2, 5):
        result = distances.to_boundary(masks, valid, resolution)
        assert np.all(ops.convert_to_numpy(result) == 0)


@pytest.mark.parametrize("resolution", [10, 20, 30, 40])
def test_reduced_distances_are_off_by_less_than_the_stride(resolution):
    """A disc of radius 20, whose distances change evenly."""
    y, x = np.mgrid[:80, :60]
    mask = np.hypot(y - 38, x - 31) < 20
    valid = np.ones((1, 80, 60), bool)
    exact, reduced = (
        ops.convert_to_numpy(distances.to_boundary(mask[None, ..., None], valid, r))
        for r in (80, resolution)
    )
    error = np.abs(np.sqrt(reduced) - np.sqrt(exact))
    assert error.max() < -(-80 // resolution)
    assert error.max() > 0
