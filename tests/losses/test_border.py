"""U-Net's border weights inside the step against the NumPy map and closed forms."""

import numpy as np
import pytest
from keras import ops
from scipy import ndimage
from scipy.special import log_softmax, softmax

from kseg.losses import SparseCrossEntropy, UNetBorder, border_weights, unet_border


def objects(kind, seed=0, size=(24, 31)):
    """Masks of two images with ignored pixels."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(2, *size)), (0, 1.2, 1.2))
    masks = (noise > 0.1).astype("int32")
    match kind:
        case "dots":
            masks = (rng.random(masks.shape) < 0.1).astype("int32")
        case "classes":
            masks *= rng.integers(1, 3, masks.shape)
        case "spiral":  # a region that runs turn come back several times
            masks[:] = 0
            for i in range(0, 12, 4):
                masks[:, i, i : 31 - i] = masks[:, i : -i or None, 30 - i] = 1
                masks[:, 23 - i, i : 31 - i] = masks[:, i + 2 : 24 - i, i] = 1
                masks[:, i + 2, i - 2 if i else 0 : i + 1] = 1
        case "edges":  # the first and the last pixel of a row are no neighbours
            masks[:] = 0
            masks[:, :, [0, -1]] = masks[:, [0, -1]] = 1
            masks[:, 10:12] = masks[:, :, 15] = 0
    masks[rng.random(masks.shape) < 0.03] = 255
    return masks


def value(loss):
    return float(ops.convert_to_numpy(loss))


def cross_entropy(masks, logits):
    labels = np.where(masks == 255, 0, masks)[..., None]
    return -np.take_along_axis(log_softmax(logits, axis=-1), labels, axis=-1)[..., 0]


@pytest.mark.parametrize(
    ("kind", "sigma"),
    [("blobs", 4.0), ("dots", 1.0), ("classes", 1.0), ("spiral", 2.0), ("edges", 1.0)],
)
def test_map_of_the_step_equals_the_map_in_numpy(kind, sigma):
    masks = objects(kind)
    logits = np.random.default_rng(1).normal(size=(*masks.shape, 3)).astype("float32")
    weights = np.stack([border_weights(m, w0=7, sigma=sigma) for m in masks])
    assert weights.max() > 1.01
    expected = weights * cross_entropy(masks, logits)
    actual = unet_border(masks, logits, w0=7, sigma=sigma, from_logits=True)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    loss = UNetBorder(7, sigma, from_logits=True)
    mean = expected.sum() / np.sum(masks != 255)
    for sample_weight in (None, weights):
        assert value(loss(masks, logits, sample_weight)) == pytest.approx(
            mean, rel=1e-5
        )


def test_class_weights_are_added_to_the_ridges():
    masks = objects("classes")
    logits = np.random.default_rng(1).normal(size=(*masks.shape, 3)).astype("float32")
    class_weights = (0.5, 2.0, 3.0)
    weights = np.stack(
        [border_weights(m, sigma=2, class_weights=class_weights) for m in masks]
    )
    loss = UNetBorder(sigma=2, class_weights=class_weights, from_logits=True)
    mean = np.sum(weights * cross_entropy(masks, logits)) / np.sum(masks != 255)
    assert value(loss(masks, logits)) == pytest.approx(mean, rel=1e-5)
    assert value(loss(masks, logits, weights)) == pytest.approx(mean, rel=1e-5)


def test_w0_of_0_is_cross_entropy():
    masks = objects("blobs")
    y_pred = softmax(np.random.default_rng(1).normal(size=(*masks.shape, 2)), axis=-1)
    images = np.array([0.5, 2.0])
    for weights in (None, images):
        expected = value(SparseCrossEntropy()(masks, y_pred, weights))
        actual = value(UNetBorder(w0=0, sigma=1)(masks, y_pred, weights))
        assert actual == pytest.approx(expected, rel=1e-6)


def test_weights_of_images_multiply_the_map():
    masks = objects("blobs")
    logits = np.random.default_rng(1).normal(size=(*masks.shape, 2)).astype("float32")
    border = UNetBorder(sigma=1, from_logits=True)
    per_image = [value(border(masks[i : i + 1], logits[i : i + 1])) for i in (0, 1)]
    counts = np.sum(masks != 255, axis=(1, 2))
    loss = border(masks, logits, np.array([0.5, 2.0]))
    expected = np.sum(np.array([0.5, 2.0]) * per_image * counts) / counts.sum()
    assert value(loss) == pytest.approx(expected, rel=1e-5)


def test_gradient_is_that_of_the_weighted_cross_entropy(gradient):
    """The map itself has none."""
    masks = objects("blobs", size=(9, 11))
    logits = np.random.default_rng(1).normal(size=(*masks.shape, 2)).astype("float32")
    weights = np.stack([border_weights(mask, sigma=1) for mask in masks])
    plain = SparseCrossEntropy(from_logits=True)
    loss = UNetBorder(sigma=1, from_logits=True)
    expected = gradient(lambda x: plain(masks, x, weights), logits)
    actual = gradient(lambda x: loss(masks, x), logits)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "arguments", [{"w0": -1.0}, {"sigma": 0.0}, {"w0": np.inf}, {"sigma": np.nan}]
)
def test_bad_arguments_raise(arguments):
    with pytest.raises(ValueError, match="`w0` must be .*Received: w0=.*, sigma="):
        UNetBorder(**arguments)
