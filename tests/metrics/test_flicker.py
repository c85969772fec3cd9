"""Flicker rate against a count over single pixels, at rest and along a flow."""

import numpy as np
import pytest
from keras import ops

from kseg.metrics import FlickerRate


def rate(masks, ids, **arguments):
    metric = FlickerRate(3)
    metric.update_state(np.array(masks), np.array(ids), **arguments)
    return float(ops.convert_to_numpy(metric.result()))


def brute_force(masks, ids, flow):
    flickers = pairs = 0
    clips, frames, height, width = masks.shape
    for c, t, y, x in np.ndindex(clips, frames - 1, height, width):
        v, u = y, x
        if flow is not None:
            u, v = np.array([x, y]) + np.rint(flow[c, t, y, x]).astype(int)
        if not (0 <= v < height and 0 <= u < width):
            continue
        before, after = (c, t, v, u), (c, t + 1, y, x)
        if masks[before] == masks[after] != 255:
            pairs += 1
            flickers += ids[before] != ids[after]
    return flickers / pairs


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("with_flow", [False, True])
def test_equals_brute_force(seed, with_flow):
    rng = np.random.default_rng(seed)
    masks = rng.choice([0, 1, 2, 255], (2, 4, 5, 7))
    ids = rng.integers(0, 3, masks.shape)
    flow = rng.normal(scale=2, size=(2, 3, 5, 7, 2)) if with_flow else None
    result = rate(masks, ids, flow=flow)
    assert result == pytest.approx(brute_force(masks, ids, flow), rel=1e-6)


def test_a_quarter_of_the_pixels_flickers_once_in_two_steps():
    masks = np.zeros((1, 3, 2, 2), int)
    ids = masks.copy()
    ids[0, 2, 0, 0] = 1
    assert rate(masks, ids) == pytest.approx(1 / 8)


def test_what_changes_as_the_truth_does_is_no_flicker():
    masks = np.arange(3).reshape(1, 3, 1, 1) * np.ones((1, 3, 2, 4), int)
    assert np.isnan(rate(masks, masks))
    masks[..., 0] = 0
    assert rate(masks, masks) == 0


def test_a_moving_object_does_not_flicker_along_its_flow():
    """It moves two columns a frame; at rest all of its edge would flicker."""
    frames = [np.zeros((6, 9), int) for _ in range(3)]
    for t, frame in enumerate(frames):
        frame[2:4, 1 + 2 * t : 4 + 2 * t] = 1
    ids, masks = np.array([frames]), np.zeros((1, 3, 6, 9), int)
    flow = np.zeros((1, 2, 6, 9, 2))
    flow[..., 0] = -2
    assert rate(masks, ids, flow=flow) == 0
    assert rate(masks, ids) == pytest.approx(2 * 8 / (2 * 6 * 9))


def test_frames_of_different_clips_are_not_compared():
    masks = np.zeros((2, 2, 1, 3), int)
    ids = np.stack([masks[0], masks[0] + 1])
    assert rate(masks, ids) == 0


def test_all_pixels_ignored():
    assert np.isnan(rate(np.full((1, 2, 2, 3), 255), np.zeros((1, 2, 2, 3), int)))


@pytest.mark.parametrize("shape", [(1, 1, 4, 5), (2, 5)])
def test_single_frames_raise(shape):
    with pytest.raises(
        ValueError, match="clips of two frames .* Received: y_true.shap"
    ):
        rate(np.zeros(shape, int), np.zeros(shape, int))


def test_flow_of_another_shape_raises_and_nothing_is_counted():
    metric = FlickerRate(3)
    clip = np.zeros((1, 3, 4, 5), int)
    with pytest.raises(ValueError, match=r"\(1, 2, 4, 5, 2\). Received: flow.shape="):
        metric.update_state(clip, clip, flow=np.zeros((1, 3, 4, 5, 2)))
    assert metric.matrix().sum() == 0
