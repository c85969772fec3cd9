"""Focal loss against tensorflow-addons, torch's cross-entropy and closed forms."""

import numpy as np
import pytest
from keras import ops
from scipy.special import expit, log_softmax, softmax

from kseg.losses import Focal, SparseCrossEntropy, focal


@pytest.fixture
def batch():
    """Masks (2, 5, 7) of three classes with ignored pixels, and logits for them."""
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (2, 5, 7)).astype("int32")
    masks[rng.random(masks.shape) < 0.3] = 255
    return masks, rng.normal(0, 3, (2, 5, 7, 3)).astype("float32")


def value(loss):
    return float(ops.convert_to_numpy(loss))


def closed_form(masks, log_p, gamma, factors):
    """Lin et al. 2017, equation 5, in float64; 0 in ignored pixels."""
    labels = np.where(masks == 255, 0, masks)
    log_p = np.take_along_axis(log_p, labels[..., None], axis=-1)[..., 0]
    losses = -np.array(factors)[labels] * (1 - np.exp(log_p)) ** gamma * log_p
    return np.where(masks == 255, 0, losses)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 5.0])
@pytest.mark.parametrize("class_weights", [None, (0.2, 1.0, 3.5)])
def test_equals_the_closed_form(batch, from_logits, gamma, class_weights):
    masks, logits = batch
    log_p = log_softmax(logits.astype("float64"), axis=-1)
    expected = closed_form(masks, log_p, gamma, class_weights or (1, 1, 1))
    y_pred = logits if from_logits else np.exp(log_p).astype("float32")
    actual = focal(masks, y_pred, gamma, class_weights, from_logits=from_logits)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)
    loss = Focal(gamma, class_weights, from_logits=from_logits)
    assert value(loss(masks, y_pred)) == pytest.approx(
        expected.sum() / np.sum(masks != 255), rel=1e-5
    )


def test_single_channel_equals_tensorflow_addons(data_dir):
    """`tfa.losses.sigmoid_focal_crossentropy(y, p, alpha=0.25, gamma=2)`."""
    # Version 0.23.0; its outputs lie beside the data sets.
    with np.load(data_dir("../reference") / "tfa_0_23_vectors.npz") as vectors:
        p, y = vectors["focal_p"], vectors["focal_y"]
        expected = vectors["focal_a25_g2"]
    losses = focal(y.astype("int32"), p[..., None], 2.0, class_weights=(0.75, 0.25))
    np.testing.assert_allclose(ops.sum(losses, axis=-1), expected, rtol=1e-5)


def test_single_channel_equals_the_sigmoid_closed_form_of_torch(batch):
    """As `torchvision.ops.sigmoid_focal_loss` computes it."""
    torch = pytest.importorskip("torch", reason="the oracle is torch: make oracles")
    masks, logits = np.where(batch[0] == 2, 1, batch[0]), batch[1][..., :1]
    y = torch.tensor(np.where(masks == 255, 0, masks)).double()
    x = torch.tensor(logits[..., 0]).double()
    p = torch.sigmoid(x)
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits(
        x, y, reduction="none"
    )
    error = 1 - (p * y + (1 - p) * (1 - y))
    expected = (0.25 * y + 0.75 * (1 - y)) * error**2 * cross_entropy
    expected = np.where(masks == 255, 0, expected.numpy())
    for from_logits, y_pred in {True: logits, False: expit(logits)}.items():
        actual = focal(masks, y_pred, 2.0, (0.75, 0.25), from_logits=from_logits)
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-7)


def test_gamma_0_is_cross_entropy(batch):
    masks, logits = batch
    for arguments in ({}, {"normalization": "weights", "class_weights": (1, 2, 3)}):
        expected = SparseCrossEntropy(from_logits=True, **arguments)(masks, logits)
        actual = Focal(gamma=0, from_logits=True, **arguments)(masks, logits)
        assert value(actual) == pytest.approx(value(expected), rel=1e-6)


def test_gamma_0_and_alpha_half_is_half_of_torch_binary_cross_entropy(batch):
    torch = pytest.importorskip("torch", reason="the oracle is torch: make oracles")
    masks, logits = batch[0] % 2, batch[1][..., :1]
    expected = torch.nn.BCEWithLogitsLoss()(
        torch.tensor(logits[..., 0]).double(), torch.tensor(masks).double()
    )
    loss = Focal(0, (0.5, 0.5), ignore_class=None, from_logits=True)
    assert value(loss(masks, logits)) == pytest.approx(float(expected) / 2, rel=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_gradient_equals_finite_differences(gradient, batch, gamma):
    masks, logits = batch
    p = softmax(logits.astype("float64"), axis=-1)
    actual = gradient(lambda x: Focal(gamma)(masks, x), p)
    for index in [(0, 0, 0, 0), (0, 2, 3, 1), (1, 4, 6, 2), (1, 1, 1, 0)]:
        step = np.zeros_like(p)
        step[index] = 1e-5 * p[index]
        high, low = (
            closed_form(masks, np.log(x), gamma, (1, 1, 1)).sum()
            for x in (p + step, p - step)
        )
        expected = (high - low) / (2 * step[index]) / np.sum(masks != 255)
        assert actual[index] == pytest.approx(expected, rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("gamma", [0.1, 0.5, 1.0, 2.0])
def test_certain_and_right_pixels_have_finite_gradients(gradient, gamma):
    """The power of 1 - p has an infinite slope at p = 1 for an exponent below 1."""
    masks = np.zeros((1, 1, 1), "int32")
    y_pred = np.array([[[[1.0, 0.0]]]], "float32")
    assert np.all(np.isfinite(gradient(lambda x: Focal(gamma)(masks, x), y_pred)))
    logits = np.array([[[[60.0, 0.0]]]], "float32")
    loss = Focal(gamma, from_logits=True)
    np.testing.assert_allclose(gradient(lambda x: loss(masks, x), logits), 0, atol=1e-6)


@pytest.mark.parametrize("gamma", [-1, np.nan, np.inf])
def test_gamma_must_not_be_negative(gamma):
    with pytest.raises(ValueError, match=f"`gamma` must .* Received: gamma={gamma}"):
        Focal(gamma)
