"""Dice against its closed form in NumPy and finite differences."""

import numpy as np
import pytest
from keras import ops
from scipy.special import expit, softmax

from kseg.losses import Dice, GeneralizedDice, dice, generalized_dice


@pytest.fixture
def batch():
    """Masks (2, 5, 7) of three classes with ignored pixels, and logits for them."""
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (2, 5, 7)).astype("int32")
    masks[rng.random(masks.shape) < 0.3] = 255
    return masks, rng.normal(0, 2, (2, 5, 7, 3)).astype("float32")


def closed_form(masks, p, smooth=1.0, weights=1.0, first_class=0):
    """Milletari et al. 2016, section 3, pixel by pixel in float64."""
    weights = np.broadcast_to(weights, masks.shape) * (masks != 255)
    losses = []
    for mask, image, weight in zip(masks, p.astype("float64"), weights, strict=True):
        ratios = []
        for c in range(first_class, p.shape[-1]):
            truth = (mask == c).astype("float64")
            overlap = np.sum(weight * image[..., c] * truth)
            total = np.sum(weight * image[..., c]) + np.sum(weight * truth)
            ratios.append(1 - (2 * overlap + smooth) / (total + smooth))
        losses.append(np.mean(ratios))
    return np.array(losses)


def values(loss):
    return ops.convert_to_numpy(loss)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("include_background", [True, False])
@pytest.mark.parametrize("smooth", [1e-5, 1.0])
def test_equals_the_closed_form(batch, from_logits, include_background, smooth):
    masks, logits = batch
    p = softmax(logits, axis=-1)
    expected = closed_form(masks, p, smooth, first_class=0 if include_background else 1)
    arguments = {
        "from_logits": from_logits,
        "include_background": include_background,
        "smooth": smooth,
    }
    y_pred = logits if from_logits else p
    actual = values(dice(masks, y_pred, **arguments))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    mean = values(Dice(**arguments)(masks, y_pred))
    np.testing.assert_allclose(mean, expected.mean(), rtol=1e-5)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("include_background", [True, False])
def test_single_channel_is_the_foreground(batch, from_logits, include_background):
    masks = np.where(batch[0] == 2, 1, batch[0])
    logits = batch[1][..., :1]
    p = np.concatenate([1 - expit(logits), expit(logits)], axis=-1)
    expected = closed_form(masks, p, first_class=1)
    y_pred = logits if from_logits else expit(logits)
    loss = Dice(
        from_logits=from_logits, include_background=include_background, reduction=None
    )
    np.testing.assert_allclose(values(loss(masks, y_pred)), expected, rtol=1e-5)


def test_class_that_is_neither_true_nor_predicted_has_loss_0():
    y_pred = np.zeros((1, 3, 5, 1), "float32")
    assert values(dice(np.zeros((1, 3, 5), "int32"), y_pred)) == 0


def test_absent_class_that_is_predicted_costs_according_to_smooth():
    """1 - smooth / (sum(p) + smooth), half at sum(p) = smooth, here 15 * 0.2 = 3."""
    masks, y_pred = np.zeros((1, 3, 5), "int32"), np.full((1, 3, 5, 1), 0.2, "float32")
    for smooth, expected in {3.0: 0.5, 1.0: 0.75, 1e-6: 1.0}.items():
        actual = values(dice(masks, y_pred, smooth=smooth))
        np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_perfect_prediction_has_loss_0_and_its_opposite_nearly_1(batch):
    masks = np.where(batch[0] == 2, 1, batch[0])
    truth = (masks == 1)[..., None].astype("float32")
    assert np.all(values(dice(masks, truth)) == 0)
    np.testing.assert_allclose(
        values(dice(masks, 1 - truth, smooth=1e-6)), 1.0, rtol=1e-5
    )


def test_large_masks_of_ones_in_float16_do_not_overflow():
    """`keras.losses.Dice` gives NaN here."""
    y_pred = np.ones((1, 512, 512, 1), "float16")
    assert values(Dice()(np.ones((1, 512, 512), "uint8"), y_pred)) == 0


@pytest.mark.parametrize("shape", [(4, 4, 4), (4, 4, 4, 1)])
def test_pixel_weights_act_inside_the_sums_where_batch_equals_width(shape):
    rng = np.random.default_rng(1)
    masks = rng.choice([0, 1, 2, 255], (4, 4, 4))
    p = softmax(rng.normal(size=(4, 4, 4, 3)), axis=-1).astype("float32")
    weights = rng.choice([0.0, 0.5, 2.0], shape).astype("float32")
    expected = closed_form(masks, p, weights=weights.reshape(4, 4, 4))
    actual = values(Dice(reduction=None)(masks, p, weights))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_image_weights_multiply_the_losses_of_the_images():
    rng = np.random.default_rng(1)
    masks = rng.choice([0, 1, 2, 255], (4, 4, 4))
    p = softmax(rng.normal(size=(4, 4, 4, 3)), axis=-1).astype("float32")
    weights = np.array([0.0, 1.0, 0.5, 3.0])
    expected = closed_form(masks, p) * weights
    for reduction, reduce in {
        "sum_over_batch_size": np.mean,
        "sum": np.sum,
        "mean_with_sample_weight": lambda losses: losses.sum() / weights.sum(),
        None: np.array,
    }.items():
        actual = values(Dice(reduction=reduction)(masks, p, weights))
        np.testing.assert_allclose(actual, reduce(expected), rtol=1e-5)


def test_gradient_equals_finite_differences(gradient, batch):
    masks, logits = batch
    p = softmax(logits, axis=-1)
    actual = gradient(lambda x: Dice()(masks, x), p)
    x = p.astype("float64")
    for index in [(0, 0, 0, 0), (0, 2, 3, 1), (1, 4, 6, 2), (1, 1, 1, 0)]:
        step = np.zeros_like(x)
        step[index] = 1e-5
        high, low = closed_form(masks, x + step), closed_form(masks, x - step)
        expected = (high.mean() - low.mean()) / 2e-5
        assert actual[index] == pytest.approx(expected, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("smooth", [0, -1.0, np.inf])
def test_smooth_must_be_positive(smooth):
    with pytest.raises(ValueError, match=f"`smooth` must .* Received: smooth={smooth}"):
        Dice(smooth=smooth)


def generalized_closed_form(masks, p, smooth):
    """Sudre et al. 2017, section 2, with the largest finite factor for absent classes."""
    losses = []
    for mask, image in zip(masks, p.astype("float64"), strict=True):
        valid = mask != 255
        truth = (mask[..., None] == np.arange(p.shape[-1])) & valid[..., None]
        image = image * valid[..., None]
        area = truth.sum(axis=(0, 1)).astype("float64")
        with np.errstate(divide="ignore"):
            factors = 1 / area**2
        largest = factors[np.isfinite(factors)].max()
        factors = np.minimum(factors, largest)
        overlap = np.sum(factors * np.sum(image * truth, axis=(0, 1)))
        total = np.sum(factors * (image.sum(axis=(0, 1)) + area))
        # `smooth` counts pixels of the smallest region, whose factor is the largest.
        above, below = 2 * overlap + smooth * largest, total + smooth * largest
        losses.append(1 - above / below)
    return np.array(losses)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("absent", [None, 0, 2])
def test_generalized_dice_equals_the_closed_form(batch, from_logits, absent):
    masks, logits = batch
    masks = np.where(masks == absent, 1, masks)
    p = softmax(logits, axis=-1)
    y_pred = logits if from_logits else p
    for smooth in (1e-3, 1.0):
        expected = generalized_closed_form(masks, p, smooth)
        arguments = {"from_logits": from_logits, "smooth": smooth}
        actual = values(generalized_dice(masks, y_pred, **arguments))
        np.testing.assert_allclose(actual, expected, rtol=1e-5)
        mean = values(GeneralizedDice(**arguments)(masks, y_pred))
        np.testing.assert_allclose(mean, expected.mean(), rtol=1e-5)


def test_generalized_dice_equals_monai(batch):
    losses = pytest.importorskip("monai.losses", reason="the oracle is MONAI")
    torch = pytest.importorskip("torch")
    masks, logits = np.where(batch[0] == 255, 0, batch[0]), batch[1]
    p = softmax(logits, axis=-1)
    truth, score = (
        torch.tensor(np.moveaxis(x, -1, 1)).double() for x in (np.eye(3)[masks], p)
    )
    oracle = losses.GeneralizedDiceLoss(smooth_nr=0, smooth_dr=0)
    actual = values(GeneralizedDice(smooth=1e-6)(masks, p))
    np.testing.assert_allclose(actual, float(oracle(score, truth)), rtol=1e-5)


def test_classes_of_equal_area_weigh_the_same_in_generalized_dice():
    """Dice of the sums is then the Dice of the sums of all classes."""
    masks = np.array([[[0, 0, 1, 1]]])
    p = np.random.default_rng(0).random((1, 1, 4, 2)).astype("float32")
    hits = p[0, 0, :2, 0].sum() + p[0, 0, 2:, 1].sum()
    expected = 1 - (2 * hits + 1) / (p.sum() + 4 + 1)
    np.testing.assert_allclose(values(generalized_dice(masks, p)), expected, rtol=1e-5)
