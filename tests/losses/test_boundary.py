"""Boundary loss against Kervadec's formula with SciPy's distances."""

import numpy as np
import pytest
from keras import ops
from scipy import ndimage
from scipy.special import expit, softmax

from kseg.losses import Boundary, boundary, signed_distance


@pytest.fixture
def batch():
    """Masks (2, 9, 13) of three classes with ignored pixels, and logits for them."""
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=(3, 2, 9, 13)), (0, 0, 1.5, 1.5))
    masks = smooth.argmax(axis=0)
    masks[rng.random(masks.shape) < 0.1] = 255
    return masks, rng.normal(0, 2, (2, 9, 13, 3)).astype("float32")


def values(loss):
    return ops.convert_to_numpy(loss)


def stack(masks, num_classes):
    return np.stack([signed_distance(mask, num_classes) for mask in masks])


def kervadec(masks, p, classes):
    """Equation 5, with the distance maps of the paper's code."""
    losses = []
    for mask, scores in zip(masks, p, strict=True):
        valid, terms = mask != 255, []
        for channel, c in classes:
            inside, outside = mask == c, valid & (mask != c)
            phi = np.zeros(mask.shape)
            if inside.any() and outside.any():
                phi = ndimage.distance_transform_edt(~inside) * ~inside
                phi -= (ndimage.distance_transform_edt(~outside) - 1) * inside
            terms.append(np.mean((scores[..., channel] * phi)[valid]))
        losses.append(np.mean(terms))
    return np.array(losses)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("include_background", [True, False])
@pytest.mark.parametrize("absent", [None, 1])
def test_equals_the_formula_with_and_without_maps(
    batch, from_logits, include_background, absent
):
    masks, logits = batch
    masks = np.where(masks == absent, 2, masks)
    p = softmax(logits, axis=-1)
    classes = [(c, c) for c in range(0 if include_background else 1, 3)]
    expected = kervadec(masks, p, classes)
    y_pred = logits if from_logits else p
    arguments = {"from_logits": from_logits, "include_background": include_background}
    for maps in (stack(masks, 3), None):
        actual = values(boundary(masks, y_pred, maps, **arguments))
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)
        mean = values(Boundary(**arguments)(masks, y_pred, maps))
        np.testing.assert_allclose(mean, expected.mean(), rtol=1e-4, atol=1e-6)


def test_single_channel_is_the_foreground(batch):
    masks, p = np.where(batch[0] == 2, 1, batch[0]), expit(batch[1][..., :1])
    expected = kervadec(masks, p, [(0, 1)])
    for maps in (stack(masks, 1), None):
        np.testing.assert_allclose(
            values(boundary(masks, p, maps)), expected, rtol=1e-4
        )


def test_true_mask_has_the_smallest_loss(batch):
    masks = batch[0]
    truth = (masks[..., None] == np.arange(3)).astype("float32")
    smallest = values(Boundary()(masks, truth))
    for seed in range(20):
        other = np.random.default_rng(seed).random(truth.shape).astype("float32")
        assert values(Boundary()(masks, other)) > smallest


def test_gradient_is_the_distance_map(gradient, batch):
    """The loss is linear: sums over valid pixels, two classes and two images."""
    masks, p = batch[0], softmax(batch[1], axis=-1)
    valid = (masks != 255)[..., None]
    maps = stack(masks, 3)
    expected = maps * valid / valid.sum(axis=(1, 2, 3), keepdims=True) / 2 / 2
    expected[..., 0] = 0
    loss = Boundary()
    for sample_weight in (maps, None):
        slopes = gradient(lambda x, w=sample_weight: loss(masks, x, w), p)
        np.testing.assert_allclose(slopes, expected, rtol=1e-4, atol=1e-7)


def test_pixel_weights_multiply_and_image_weights_too(batch):
    masks, p = batch[0], softmax(batch[1], axis=-1)
    weights = np.random.default_rng(1).uniform(0.5, 2, masks.shape)
    valid = masks != 255
    maps = stack(masks, 3)[..., 1:]
    per_pixel = np.mean(p[..., 1:] * maps, axis=-1) * weights * valid
    expected = per_pixel.sum(axis=(1, 2)) / (weights * valid).sum(axis=(1, 2))
    actual = values(Boundary(reduction=None)(masks, p, weights))
    np.testing.assert_allclose(actual, expected, rtol=1e-4)
    images = np.array([0.5, 3.0])
    np.testing.assert_allclose(
        values(Boundary(reduction=None)(masks, p, images)),
        images * values(boundary(masks, p)),
        rtol=1e-6,
    )


def test_maps_of_another_shape_raise(batch):
    masks, p = batch[0], softmax(batch[1], axis=-1)
    with pytest.raises(
        ValueError, match=r"signed_distance.*Received: distance_maps\.s"
    ):
        Boundary()(masks, p, stack(masks, 4))


@pytest.mark.parametrize("resolution", [0, -1])
def test_resolution_must_be_positive(resolution):
    with pytest.raises(ValueError, match=f"Received: resolution={resolution}"):
        Boundary(resolution=resolution)
