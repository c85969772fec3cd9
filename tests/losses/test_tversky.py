"""Tversky against its closed form, its special cases and MONAI."""

import numpy as np
import pytest
from keras import ops
from scipy.special import softmax

from kseg.losses import Dice, IoU, Tversky, dice, iou, tversky


@pytest.fixture
def batch():
    """Masks (2, 5, 7) of three classes with ignored pixels, and logits for them."""
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (2, 5, 7)).astype("int32")
    masks[rng.random(masks.shape) < 0.3] = 255
    return masks, rng.normal(0, 2, (2, 5, 7, 3)).astype("float32")


def closed_form(masks, p, alpha, beta, smooth=1.0, weights=1.0):
    """Salehi et al. 2017, equation 3, of every class, in float64."""
    weights = np.broadcast_to(weights, masks.shape) * (masks != 255)
    losses = np.empty((len(masks), p.shape[-1]))
    for i, c in np.ndindex(losses.shape):
        truth, w, score = masks[i] == c, weights[i], p[i, ..., c].astype("float64")
        hits = np.sum(w * score * truth)
        alarms, misses = np.sum(w * score * ~truth), np.sum(w * (1 - score) * truth)
        costs = alpha * alarms + beta * misses
        losses[i, c] = 1 - (hits + smooth) / (hits + costs + smooth)
    return losses


def values(loss):
    return ops.convert_to_numpy(loss)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (0.0, 1.0), (2.0, 0.1)])
def test_equals_the_closed_form(batch, from_logits, alpha, beta):
    masks, logits = batch
    p = softmax(logits, axis=-1)
    expected = closed_form(masks, p, alpha, beta)
    y_pred = logits if from_logits else p
    arguments = {"from_logits": from_logits, "alpha": alpha, "beta": beta}
    actual = values(tversky(masks, y_pred, **arguments))
    np.testing.assert_allclose(actual, expected.mean(axis=-1), rtol=1e-5)
    actual = values(Tversky(**arguments)(masks, y_pred))
    np.testing.assert_allclose(actual, expected.mean(), rtol=1e-5)
    foreground = values(tversky(masks, y_pred, include_background=False, **arguments))
    np.testing.assert_allclose(foreground, expected[:, 1:].mean(axis=-1), rtol=1e-5)


def test_alpha_prices_false_alarms_and_beta_misses():
    """One of four foreground pixels missed, and two of background taken for it."""
    masks = np.array([[[1, 1, 1, 1, 0, 0, 0, 0]]])
    y_pred = np.array([[[1, 1, 1, 0, 1, 1, 0, 0]]], "float32")[..., None]
    actual = values(tversky(masks, y_pred, alpha=0.1, beta=0.9, smooth=1e-6))
    np.testing.assert_allclose(actual, 1 - 3 / (3 + 0.1 * 2 + 0.9 * 1), rtol=1e-5)


def test_half_and_half_is_dice_with_twice_the_smooth(batch):
    masks, logits = batch
    p = softmax(logits, axis=-1)
    weights = np.random.default_rng(1).random(masks.shape)
    actual = values(tversky(masks, p, weights, alpha=0.5, beta=0.5, smooth=0.5))
    np.testing.assert_allclose(actual, values(dice(masks, p, weights)), rtol=1e-5)


def test_one_and_one_is_iou(batch):
    masks, logits = batch
    p = softmax(logits, axis=-1)
    weights = np.random.default_rng(1).random(masks.shape)
    actual = values(tversky(masks, p, weights, alpha=1, beta=1))
    np.testing.assert_allclose(actual, values(iou(masks, p, weights)), rtol=1e-5)


def test_equals_monai(batch):
    losses = pytest.importorskip("monai.losses", reason="the oracle is MONAI")
    torch = pytest.importorskip("torch")
    masks, logits = batch
    masks = np.where(masks == 255, 0, masks)
    p = softmax(logits, axis=-1)
    truth, score = (
        torch.tensor(np.moveaxis(x, -1, 1)).double() for x in (np.eye(3)[masks], p)
    )
    smooth = {"smooth_nr": 1.0, "smooth_dr": 1.0}
    half = {"smooth_nr": 0.5, "smooth_dr": 0.5}
    for ours, oracle in {
        Tversky(alpha=0.3): losses.TverskyLoss(alpha=0.3, beta=0.7, **smooth),
        Dice(): losses.DiceLoss(**smooth),
        # MONAI's Jaccard form doubles numerator and denominator before smoothing.
        IoU(smooth=0.25): losses.DiceLoss(jaccard=True, **half),
    }.items():
        expected = float(oracle(score, truth))
        np.testing.assert_allclose(values(ours(masks, p)), expected, rtol=1e-5)


def test_gradient_equals_finite_differences(gradient, batch):
    masks, logits = batch
    p = softmax(logits.astype("float64"), axis=-1)
    actual = gradient(lambda x: Tversky()(masks, x), p)
    for index in [(0, 0, 0, 0), (0, 2, 3, 1), (1, 4, 6, 2), (1, 1, 1, 0)]:
        step = np.zeros_like(p)
        step[index] = 1e-5
        high, low = (closed_form(masks, x, 0.3, 0.7) for x in (p + step, p - step))
        expected = (high.mean() - low.mean()) / 2e-5
        assert actual[index] == pytest.approx(expected, rel=1e-4, abs=1e-8)


def test_large_masks_in_float16_do_not_overflow():
    """`keras.losses.Tversky` gives NaN here."""
    y_pred = np.ones((1, 512, 512, 1), "float16")
    assert values(Tversky()(np.ones((1, 512, 512), "uint8"), y_pred)) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"smooth": 0}, "Received: smooth=0"),
        ({"alpha": -0.1}, "Received: alpha=-0.1, beta=0.7"),
        ({"beta": np.inf}, "Received: alpha=0.3, beta=inf"),
    ],
)
def test_bad_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        Tversky(**arguments)
