"""Hausdorff losses against SciPy's distances and erosions, and MONAI."""

import numpy as np
import pytest
from keras import ops
from scipy import ndimage
from scipy.special import expit, softmax

from kseg.losses import Hausdorff, hausdorff


@pytest.fixture
def batch():
    """Masks (2, 9, 13) of three classes with ignored pixels, and logits for them."""
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=(6, 2, 9, 13)), (0, 0, 1.5, 1.5))
    masks = smooth[:3].argmax(axis=0)
    masks[rng.random(masks.shape) < 0.1] = 255
    return masks, np.moveaxis(20 * smooth[3:], 0, -1).astype("float32")


def values(loss):
    return ops.convert_to_numpy(loss)


def edt(mask, valid):
    """Distance to the nearest valid pixel on the other side of a mask."""
    inside, outside = mask & valid, ~mask & valid
    if not inside.any() or not outside.any():
        return np.zeros(mask.shape)
    to_inside, to_outside = map(ndimage.distance_transform_edt, (~inside, ~outside))
    return np.where(mask, to_outside, to_inside)


def by_distance(masks, p, classes, alpha):
    """Karimi and Salcudean 2019, equation 8, with SciPy's distances."""
    losses = []
    for mask, scores in zip(masks, p.astype("float64"), strict=True):
        valid, terms = mask != 255, []
        for channel, c in classes:
            truth, score = mask == c, scores[..., channel]
            far = edt(score > 0.5, valid) ** alpha + edt(truth, valid) ** alpha
            terms.append(np.mean(((score - truth) ** 2 * far)[valid]))
        losses.append(np.mean(terms))
    return np.array(losses)


def by_erosion(masks, p, classes, alpha, erosions):
    """Equation 10, with SciPy's convolutions."""
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]) / 5
    losses = []
    for mask, scores in zip(masks, p.astype("float64"), strict=True):
        valid, terms = mask != 255, []
        for channel, c in classes:
            errors = np.where(valid, (scores[..., channel] - (mask == c)) ** 2, 0)
            total = np.zeros(mask.shape)
            for k in range(1, erosions + 1):
                mean = ndimage.convolve(errors, cross, mode="constant")
                errors = np.maximum(2 * mean - 1, 0)
                total += errors * k**alpha
            terms.append(np.mean(total[valid]))
        losses.append(np.mean(terms))
    return np.array(losses)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("alpha", [1.0, 2.0])
@pytest.mark.parametrize("method", ["distance", "erosion"])
def test_equals_scipy(batch, from_logits, alpha, method):
    masks, logits = batch
    p = softmax(logits, axis=-1)
    y_pred = logits if from_logits else p
    for first in (0, 1):
        classes = [(c, c) for c in range(first, 3)]
        if method == "distance":
            expected = by_distance(masks, p, classes, alpha)
        else:
            expected = by_erosion(masks, p, classes, alpha, erosions=4)
        assert np.all(expected > 0)
        arguments = {
            "from_logits": from_logits,
            "include_background": first == 0,
            "method": method,
            "alpha": alpha,
            "erosions": 4,
        }
        actual = values(hausdorff(masks, y_pred, **arguments))
        np.testing.assert_allclose(actual, expected, rtol=1e-4)
        mean = values(Hausdorff(**arguments)(masks, y_pred))
        np.testing.assert_allclose(mean, expected.mean(), rtol=1e-4)


@pytest.mark.parametrize("method", ["distance", "erosion"])
def test_single_channel_is_the_foreground(batch, method):
    masks, p = np.where(batch[0] == 2, 1, batch[0]), expit(batch[1][..., :1])
    expected = {
        "distance": by_distance(masks, p, [(0, 1)], 2),
        "erosion": by_erosion(masks, p, [(0, 1)], 2, 10),
    }[method]
    actual = values(hausdorff(masks, p, method=method))
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_equals_monai(batch):
    losses = pytest.importorskip("monai.losses", reason="the oracle is MONAI")
    torch = pytest.importorskip("torch")
    masks, p = np.where(batch[0] == 255, 0, batch[0]), softmax(batch[1], axis=-1)
    truth, score = (
        torch.tensor(np.moveaxis(x, -1, 1)).float() for x in (np.eye(3)[masks], p)
    )
    for include_background in (True, False):
        oracle = losses.HausdorffDTLoss(include_background=include_background)
        loss = Hausdorff(include_background=include_background)
        np.testing.assert_allclose(
            values(loss(masks, p)), float(oracle(score, truth)), rtol=1e-4
        )


def test_farther_errors_cost_more():
    """One false pixel, ever farther from a square; of erosion, ever thicker errors."""
    masks = np.zeros((1, 9, 20), "int32")
    masks[:, 3:6, 1:4] = 1
    costs = []
    for x in range(4, 20):
        y_pred = (masks == 1).astype("float32")[..., None]
        y_pred[:, 4, x] = 1
        costs.append(float(values(Hausdorff()(masks, y_pred))))
    assert np.all(np.diff(costs) > 0)
    costs = []
    for size in range(3, 9, 2):
        y_pred = (masks == 1).astype("float32")[..., None]
        y_pred[:, :size, 6 : 6 + size] = 1
        costs.append(float(values(Hausdorff(method="erosion")(masks, y_pred))))
    assert costs[0] > 0 and costs[2] / 7**2 > costs[1] / 5**2 > costs[0] / 3**2


@pytest.mark.parametrize("method", ["distance", "erosion"])
def test_gradient_equals_finite_differences(gradient, batch, method):
    masks, logits = batch
    p = softmax(logits.astype("float64"), axis=-1)
    arguments = {"method": method, "erosions": 3}
    actual = gradient(lambda x: Hausdorff(**arguments)(masks, x), p)
    classes = [(1, 1), (2, 2)]
    largest = np.argsort(-np.abs(actual).ravel())[:20]
    for index in zip(*np.unravel_index(largest, p.shape), strict=True):
        step = np.zeros_like(p)
        step[index] = 1e-6
        if abs(p[index] - 0.5) < 2e-6:
            continue
        high, low = (
            by_distance(masks, x, classes, 2)
            if method == "distance"
            else by_erosion(masks, x, classes, 2, 3)
            for x in (p + step, p - step)
        )
        expected = (high.mean() - low.mean()) / 2e-6
        assert actual[index] == pytest.approx(expected, rel=1e-3)
        assert abs(expected) > 1e-4


@pytest.mark.parametrize("label", [0, 1])
def test_without_contours_the_loss_is_0(label):
    masks = np.full((1, 5, 7), label)
    for score in (0.0, 1.0):
        y_pred = np.full((1, 5, 7, 1), score, "float32")
        assert values(Hausdorff()(masks, y_pred)) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "cv"}, "`method` must be one of .*Received: method='cv'"),
        ({"alpha": 0}, "Received: alpha=0"),
        ({"resolution": 0}, "Received: resolution=0"),
        ({"erosions": -1}, "Received: erosions=-1"),
    ],
)
def test_bad_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        Hausdorff(**arguments)
