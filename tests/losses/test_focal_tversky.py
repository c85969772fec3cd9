"""Focal Tversky: the power of each class's Tversky loss."""

import numpy as np
import pytest
from keras import ops
from scipy.special import softmax

from kseg.losses import FocalTversky, Tversky, focal_tversky, tversky


@pytest.fixture
def batch():
    """Masks (2, 5, 7) of one class with ignored pixels, and its probabilities."""
    rng = np.random.default_rng(0)
    masks = rng.choice([0, 1, 255], (2, 5, 7))
    return masks, rng.random((2, 5, 7, 1)).astype("float32")


def values(loss):
    return ops.convert_to_numpy(loss)


@pytest.mark.parametrize("gamma", [0.5, 0.75, 1.0, 3.0])
def test_is_the_power_of_tversky(batch, gamma):
    expected = values(tversky(*batch)) ** gamma
    np.testing.assert_allclose(
        values(focal_tversky(*batch, gamma=gamma)), expected, rtol=1e-5
    )
    actual = values(FocalTversky(gamma=gamma)(*batch))
    np.testing.assert_allclose(actual, expected.mean(), rtol=1e-5)


def test_power_is_taken_of_every_class():
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (1, 5, 7))
    p = softmax(rng.normal(size=(1, 5, 7, 3)), axis=-1).astype("float32")
    expected = np.mean(
        [values(tversky(masks == c, p[..., c : c + 1])) ** 0.75 for c in range(3)]
    )
    np.testing.assert_allclose(values(focal_tversky(masks, p)), expected, rtol=1e-5)


def test_perfect_prediction_has_loss_0_and_a_finite_gradient(gradient):
    """There the power has an infinite slope."""
    masks = np.random.default_rng(0).integers(0, 2, (2, 5, 7))
    p = masks[..., None].astype("float32")
    for gamma in (0.1, 0.75):
        loss = FocalTversky(gamma=gamma)
        np.testing.assert_allclose(values(loss(masks, p)), 0, atol=1e-6)
        slopes = gradient(lambda x, loss=loss: loss(masks, x), p)
        assert np.all(np.isfinite(slopes)) and np.any(slopes != 0)


def test_gamma_1_is_tversky(gradient, batch):
    masks, p = batch
    ours, theirs = FocalTversky(gamma=1.0), Tversky()
    np.testing.assert_allclose(
        gradient(lambda x: ours(masks, x), p),
        gradient(lambda x: theirs(masks, x), p),
        rtol=1e-5,
    )


@pytest.mark.parametrize("gamma", [0, -1.0, np.inf])
def test_gamma_must_be_positive(gamma):
    with pytest.raises(ValueError, match=f"`gamma` must .* Received: gamma={gamma}"):
        FocalTversky(gamma=gamma)
