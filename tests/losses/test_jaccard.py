"""Soft IoU and the Lovász extension against closed forms and the published algorithm."""

import numpy as np
import pytest
from keras import ops
from scipy.special import expit, softmax
from sklearn.metrics import jaccard_score

from kseg.losses import IoU, Lovasz, iou, lovasz


@pytest.fixture
def batch():
    """Masks (2, 5, 7) of three classes with ignored pixels, and logits for them."""
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (2, 5, 7)).astype("int32")
    masks[rng.random(masks.shape) < 0.3] = 255
    return masks, rng.normal(0, 2, (2, 5, 7, 3)).astype("float32")


def values(loss):
    return ops.convert_to_numpy(loss)


def closed_form(masks, p, smooth=1.0, weights=1.0):
    """Rahman and Wang 2016, equation 3, of every class, in float64."""
    weights = np.broadcast_to(weights, masks.shape) * (masks != 255)
    losses = np.empty((len(masks), p.shape[-1]))
    for i, c in np.ndindex(losses.shape):
        truth, w, score = masks[i] == c, weights[i], p[i, ..., c].astype("float64")
        overlap = np.sum(w * score * truth)
        union = np.sum(w * (score + truth - score * truth))
        losses[i, c] = 1 - (overlap + smooth) / (union + smooth)
    return losses


def published_lovasz(scores, labels, classes):
    """Berman et al. 2018, algorithm 1, class by class, of the valid pixels alone."""
    labels, scores = labels[labels != 255], scores[labels != 255].astype("float64")
    losses = []
    for c in classes:
        truth = (labels == c).astype("float64")
        errors = np.abs(truth - scores[:, c])
        order = np.argsort(-errors, kind="stable")
        truth = truth[order]
        intersection = truth.sum() - np.cumsum(truth)
        union = truth.sum() + np.cumsum(1 - truth)
        index = 1 - intersection / union
        index[1:] -= index[:-1].copy()
        losses.append(errors[order] @ index)
    return np.mean(losses)


def hard_batch(seed=0):
    """Masks and 0/1 predictions for them, every class in both."""
    rng = np.random.default_rng(seed)
    masks, predicted = rng.integers(0, 3, (2, 1, 6, 9))
    return masks, predicted, np.eye(3, dtype="float32")[predicted]


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("smooth", [1e-5, 1.0])
def test_equals_the_closed_form(batch, from_logits, smooth):
    masks, logits = batch
    p = softmax(logits, axis=-1)
    expected = closed_form(masks, p, smooth)
    y_pred = logits if from_logits else p
    arguments = {"from_logits": from_logits, "smooth": smooth}
    np.testing.assert_allclose(
        values(iou(masks, y_pred, **arguments)), expected.mean(axis=-1), rtol=1e-5
    )
    actual = values(IoU(include_background=False, **arguments)(masks, y_pred))
    np.testing.assert_allclose(actual, expected[:, 1:].mean(), rtol=1e-5)


@pytest.mark.parametrize("loss", [IoU(smooth=1e-6), Lovasz()])
def test_of_hard_predictions_is_1_minus_the_iou_of_scikit_learn(loss):
    masks, predicted, y_pred = hard_batch()
    expected = 1 - jaccard_score(masks.ravel(), predicted.ravel(), average="macro")
    np.testing.assert_allclose(values(loss(masks, y_pred)), expected, rtol=1e-5)


@pytest.mark.parametrize("loss", [IoU, Lovasz])
def test_class_that_is_neither_true_nor_predicted_has_loss_0(loss):
    masks, y_pred = np.zeros((1, 3, 5), "int32"), np.zeros((1, 3, 5, 1), "float32")
    assert values(loss()(masks, y_pred)) == 0


def test_iou_gradient_equals_finite_differences(gradient, batch):
    masks, logits = batch
    p = softmax(logits.astype("float64"), axis=-1)
    actual = gradient(lambda x: IoU()(masks, x), p)
    for index in [(0, 0, 0, 0), (0, 2, 3, 1), (1, 4, 6, 2), (1, 1, 1, 0)]:
        step = np.zeros_like(p)
        step[index] = 1e-5
        high, low = (closed_form(masks, x).mean() for x in (p + step, p - step))
        expected = (high - low) / 2e-5
        assert actual[index] == pytest.approx(expected, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("absent", [None, 1])
@pytest.mark.parametrize("present_only", [True, False])
def test_lovasz_equals_the_published_algorithm(
    batch, from_logits, absent, present_only
):
    masks, logits = batch
    masks = np.where(masks == absent, 2, masks)
    p = softmax(logits, axis=-1)
    expected = []
    for mask, scores in zip(masks, p, strict=True):
        classes = np.unique(mask[mask != 255]) if present_only else range(3)
        expected.append(published_lovasz(scores, mask, classes))
    arguments = {"from_logits": from_logits, "present_only": present_only}
    y_pred = logits if from_logits else p
    np.testing.assert_allclose(
        values(lovasz(masks, y_pred, **arguments)), expected, rtol=1e-5
    )
    actual = values(Lovasz(**arguments)(masks, y_pred))
    np.testing.assert_allclose(actual, np.mean(expected), rtol=1e-5)


@pytest.mark.parametrize("foreground", [True, False])
def test_lovasz_of_a_single_channel_is_that_of_the_foreground(batch, foreground):
    masks = (
        np.where(batch[0] == 2, 1, batch[0]) if foreground else batch[0] // 255 * 255
    )
    p = expit(batch[1][..., :1])
    both = np.concatenate([1 - p, p], axis=-1)
    expected = [published_lovasz(s, m, [1]) for s, m in zip(both, masks, strict=True)]
    np.testing.assert_allclose(values(lovasz(masks, p)), expected, rtol=1e-5)


def test_lovasz_gradient_equals_finite_differences(gradient, batch):
    masks, logits = batch[0][:1], batch[1][:1]
    p = softmax(logits.astype("float64"), axis=-1)
    actual = gradient(lambda x: Lovasz()(masks, x), p)
    for index in np.ndindex(p.shape):
        step = np.zeros_like(p)
        step[index] = 1e-6  # less than any two errors differ
        high, low = (
            published_lovasz(x[0], masks[0], range(3)) for x in (p + step, p - step)
        )
        assert actual[index] == pytest.approx((high - low) / 2e-6, rel=1e-3, abs=1e-6)


def test_lovasz_pixel_weights_count_pixels_so_often(batch):
    """A pixel of weight 2 is two pixels."""
    masks, p = batch[0][:1], softmax(batch[1][:1], axis=-1)
    weights = np.random.default_rng(1).integers(0, 3, masks.shape)
    times = weights.ravel()
    expected = values(
        lovasz(
            np.repeat(masks.reshape(1, -1), times, axis=1),
            np.repeat(p.reshape(1, -1, 3), times, axis=1),
        )
    )
    np.testing.assert_allclose(values(lovasz(masks, p, weights)), expected, rtol=1e-5)


def test_lovasz_of_a_large_image_keeps_its_precision():
    """Steps of 1 - IoU are below 1e-5 here, float32 near 1 has steps of 6e-8."""
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 2, (1, 400, 500))
    p = rng.random((1, 400, 500, 1)).astype("float32")
    both = np.concatenate([1 - p, p], axis=-1)
    expected = published_lovasz(both[0], masks[0], [1])
    np.testing.assert_allclose(values(lovasz(masks, p)), expected, rtol=1e-5)
