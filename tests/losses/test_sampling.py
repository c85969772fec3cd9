"""Every s-th label, and the hardest pixels."""

import math

import numpy as np
import pytest
from keras import ops
from scipy.special import softmax

from kseg.losses import Focal, SparseCrossEntropy, sparse_cross_entropy


def value(loss):
    return float(ops.convert_to_numpy(loss))


def batch(shape, score_shape, seed=0):
    """Masks of three classes with ignored pixels, and probabilities of another size."""
    rng = np.random.default_rng(seed)
    masks = rng.choice([0, 1, 2, 255], shape).astype("int32")
    return masks, softmax(rng.normal(size=(*score_shape, 3)), -1).astype("float32")


@pytest.mark.parametrize(
    ("size", "small", "stride"),
    [
        ((64, 96), (8, 12), 8),
        ((65, 97), (9, 13), 8),  # n = 1 modulo 8, as DeepLab is trained
        ((33, 41), (5, 6), 8),
        ((17, 30), (2, 2), 16),  # any stride from 15 to 16 fits: the power of two
        ((20, 14), (5, 4), 4),
        ((9, 7), (3, 3), 3),
        ((8, 5), (1, 1), 8),
        ((20, 14), (20, 14), 1),
    ],
)
def test_takes_every_label_of_the_stride(size, small, stride):
    masks, y_pred = batch((2, *size), (2, *small))
    expected = sparse_cross_entropy(masks[:, ::stride, ::stride], y_pred)
    for truth in (masks, masks[..., None]):
        actual = sparse_cross_entropy(truth, y_pred)
        np.testing.assert_array_equal(actual, expected)
    weights = np.random.default_rng(1).random(masks.shape).astype("float32")
    for loss in (SparseCrossEntropy(), Focal()):
        expected = loss(
            masks[:, ::stride, ::stride], y_pred, weights[:, ::stride, ::stride]
        )
        for shape in (masks.shape, (*masks.shape, 1)):
            assert value(loss(masks, y_pred, weights.reshape(shape))) == value(expected)
        per_image = np.array([0.5, 2.0], "float32")
        assert value(loss(masks, y_pred, per_image)) == value(
            loss(masks[:, ::stride, ::stride], y_pred, per_image)
        )


@pytest.mark.parametrize(
    ("size", "small"), [((64, 96), (8, 10)), ((64, 64), (9, 9)), ((10, 8), (7, 6))]
)
def test_sizes_without_a_common_stride_raise(size, small):
    masks, y_pred = batch((2, *size), (2, *small))
    with pytest.raises(ValueError, match=r"smaller by a stride .*Received: y_true\.sh"):
        SparseCrossEntropy()(masks, y_pred)


def test_scores_larger_than_the_truth_raise():
    masks, y_pred = batch((2, 4, 5), (2, 8, 10))
    with pytest.raises(
        ValueError, match=r"one class id per pixel.*Received: y_true\.s"
    ):
        SparseCrossEntropy()(masks, y_pred)


def hardest(losses, valid, fraction):
    """The sum of the largest losses, by sorting."""
    count = math.ceil(fraction * valid.sum())
    return np.sort(losses[valid].ravel())[::-1][:count].sum(), count


@pytest.mark.parametrize("fraction", [0.01, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("class_weights", [None, (0.2, 1.0, 3.0)])
def test_hard_fraction_keeps_the_largest_losses(fraction, class_weights):
    masks, y_pred = batch((2, 6, 9), (2, 6, 9))
    losses = np.array(sparse_cross_entropy(masks, y_pred, class_weights), "float64")
    total, count = hardest(losses, masks != 255, fraction)
    for normalization, divisor in {"valid": count, "sum": 1}.items():
        loss = SparseCrossEntropy(
            class_weights, normalization=normalization, hard_fraction=fraction
        )
        assert value(loss(masks, y_pred)) == pytest.approx(total / divisor, rel=1e-5)


def test_hard_fraction_with_pixel_weights_divides_by_the_weights_kept():
    masks, y_pred = batch((2, 6, 9), (2, 6, 9))
    weights = np.random.default_rng(1).choice([0, 0.5, 2], masks.shape)
    losses = np.array(sparse_cross_entropy(masks, y_pred)) * weights
    valid = (masks != 255) & (weights > 0)
    count = math.ceil(0.3 * valid.sum())
    kept = np.argsort(np.where(valid, -losses, 1).ravel())[:count]
    expected = losses.ravel()[kept].sum() / weights.ravel()[kept].sum()
    loss = SparseCrossEntropy(normalization="weights", hard_fraction=0.3)
    assert value(loss(masks, y_pred, weights)) == pytest.approx(expected, rel=1e-5)


def test_ties_at_the_end_share_what_is_left(gradient):
    """Losses 3, 1, 1, 1 (in units of log 2): half of four pixels is 3 and one 1."""
    masks = np.zeros((1, 1, 4), "int32")
    p = 2.0 ** -np.array([[[3, 1, 1, 1]]])
    y_pred = np.stack([p, 1 - p], axis=-1).astype("float32")
    loss = SparseCrossEntropy(hard_fraction=0.5)
    assert value(loss(masks, y_pred)) == pytest.approx(2 * np.log(2), rel=1e-6)
    slopes = gradient(lambda x: loss(masks, x), y_pred)[0, 0, :, 0]
    np.testing.assert_allclose(
        slopes, -np.array([1, 1 / 3, 1 / 3, 1 / 3]) / p[0, 0] / 2
    )


@pytest.mark.parametrize("fraction", [0, -0.5, 1.5, float("nan")])
def test_hard_fraction_must_be_a_share(fraction):
    with pytest.raises(ValueError, match="`hard_fraction` must .*Received: hard_frac"):
        SparseCrossEntropy(hard_fraction=fraction)
