"""Truth maps against brute force over all pairs of pixels."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from kseg.losses import border_weights, signed_distance


def distance_to(sites, spacing=(1, 1)):
    """Distance of every pixel to the nearest site, by all pairs."""
    pixels = np.stack(np.meshgrid(*map(np.arange, sites.shape), indexing="ij"), axis=-1)
    pixels = pixels * np.asarray(spacing, "float64")
    result = cdist(pixels.reshape(-1, 2), pixels[sites]).min(axis=1)
    return result.reshape(sites.shape)


@pytest.fixture
def cells():
    """Objects of two classes of (23, 31) pixels, with ignored ones."""
    rng = np.random.default_rng(2)
    mask = (ndimage.gaussian_filter(rng.normal(size=(23, 31)), 1.5) > 0.1).astype(int)
    mask[:, 16:] *= 2
    mask[rng.random(mask.shape) < 0.03] = 255
    return mask


@pytest.mark.parametrize(("w0", "sigma"), [(10.0, 5.0), (3.0, 1.0)])
def test_border_weights_equal_brute_force(cells, w0, sigma):
    distances = []
    for class_id in (1, 2):
        objects, count = ndimage.label(cells == class_id)
        distances += [distance_to(objects == i) for i in range(1, count + 1)]
    assert len(distances) > 4
    d1, d2 = np.sort(distances, axis=0)[:2]
    expected = 1 + w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2)) * (cells == 0)
    expected[cells == 255] = 0
    actual = border_weights(cells, w0=w0, sigma=sigma)
    assert actual.dtype == "float32" and actual.shape == cells.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_border_weights_between_two_squares():
    """The middle of a gap of 3 pixels: d1 = d2 = 2."""
    mask = np.zeros((9, 13), "uint8")
    mask[2:7, 1:5] = mask[2:7, 8:12] = 1
    weights = border_weights(mask, w0=10, sigma=5)
    assert weights[4, 6] == pytest.approx(1 + 10 * np.exp(-(4**2) / 50))
    assert weights[4, 2] == 1


@pytest.mark.parametrize("objects", [0, 1])
def test_border_weights_of_fewer_than_two_objects_are_1(objects):
    mask = np.zeros((7, 9), "int32")
    mask[2:4, 3:6] = objects
    assert np.all(border_weights(mask) == 1)


def test_touching_objects_with_ids_of_their_own_are_two():
    mask = np.array([[0, 0, 0, 0], [0, 7, 8, 0], [0, 0, 0, 0]])
    weights = border_weights(mask, w0=1, sigma=1, ignore_class=None)
    assert weights[0, 1] == pytest.approx(1 + np.exp(-((1 + 2**0.5) ** 2) / 2))


def test_class_weights_are_added(cells):
    plain, weighted = (
        border_weights(cells, class_weights=w) for w in (None, (0.5, 2.0, 3.0))
    )
    expected = np.array([-0.5, 1.0, 2.0])[np.where(cells == 255, 0, cells)]
    expected[cells == 255] = 0
    np.testing.assert_allclose(weighted - plain, expected, atol=1e-5)


@pytest.mark.parametrize("spacing", [1.0, (0.5, 2.0)])
@pytest.mark.parametrize("num_classes", [1, 4])
def test_signed_distance_equals_brute_force(cells, spacing, num_classes):
    actual = signed_distance(cells, num_classes, spacing=spacing)
    assert actual.dtype == "float32" and actual.shape == (*cells.shape, num_classes)
    pair = np.broadcast_to(spacing, 2)
    for channel in range(num_classes):
        inside = cells == (channel or num_classes == 1)
        expected = np.zeros(cells.shape)
        if inside.any():
            outside = ~inside & (cells != 255)
            to_inside, to_outside = (
                distance_to(inside, pair),
                distance_to(outside, pair),
            )
            expected = np.where(inside, pair.min() - to_outside, to_inside)
        np.testing.assert_allclose(actual[..., channel], expected, rtol=1e-6, atol=1e-6)
        assert np.all(actual[inside][..., channel] <= 0)


def test_signed_distance_of_a_row():
    """The pixels that line the inside have 0, as in the paper's code."""
    actual = signed_distance(np.array([[0, 0, 1, 1, 1, 0]]), 1)[0, :, 0]
    np.testing.assert_array_equal(actual, [2, 1, 0, -1, 0, 1])


@pytest.mark.parametrize("label", [0, 1, 255])
def test_class_that_is_absent_or_alone_has_distance_0(label):
    assert np.all(signed_distance(np.full((4, 5), label), 3) == 0)


@pytest.mark.parametrize("function", [border_weights, lambda m: signed_distance(m, 2)])
@pytest.mark.parametrize("mask", [np.zeros((2, 3, 4), int), np.zeros((3, 4))])
def test_other_masks_raise(function, mask):
    with pytest.raises(
        ValueError, match="`mask` must hold integer .*Received: mask of"
    ):
        function(mask)


def test_spacing_must_be_positive():
    with pytest.raises(ValueError, match="`spacing` must be positive. Received"):
        signed_distance(np.zeros((3, 4), int), 2, spacing=(1, 0))
