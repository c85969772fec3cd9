import numpy as np
import pytest
from scipy import ndimage

from kseg.mobile.scenarios.steadying import Steadying


def texture(height=60, width=90, seed=0):
    """A picture that optical flow can follow."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    smooth = ndimage.gaussian_filter(noise, (2, 2, 0))
    return np.clip(128 + 300 * smooth, 0, 255).astype(np.uint8)


def test_still_video_is_averaged_exponentially():
    frame, steady = texture(), Steadying(0.8)
    rng = np.random.default_rng(1)
    expected = rng.random((60, 90), np.float32)
    steady(frame, expected)
    for confidence in rng.random((3, 60, 90), np.float32):
        result = steady(frame, confidence)
        expected = 0.8 * expected + 0.2 * confidence
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_average_moves_with_what_is_shown():
    frame, mask = texture(), np.zeros((60, 90), np.float32)
    mask[20:40, 20:40] = 1
    steady = Steadying(0.9)
    steady(frame, mask)
    shifted = np.roll(frame, 6, 1)
    result = steady(shifted, np.zeros_like(mask))
    assert result[24:36, 30:42].min() > 0.8  # where it went
    assert result[24:36, 14:22].max() < 0.1  # where it was


def test_nothing_is_carried_over_a_cut():
    steady = Steadying(0.9)
    steady(np.zeros((40, 50, 3), np.uint8), np.ones((40, 50), np.float32))
    result = steady(np.full((40, 50, 3), 255, np.uint8), np.zeros((40, 50), np.float32))
    assert result.max() < 1e-6


def test_no_momentum_changes_nothing():
    steady, rng = Steadying(0), np.random.default_rng(0)
    for confidence in rng.random((3, 60, 90), np.float32):
        assert (steady(texture(), confidence) == confidence).all()


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (11, 11)])
def test_frames_too_small_for_optical_flow_work(size):
    frame, steady = np.zeros((*size, 3), np.uint8), Steadying(0.5)
    steady(frame, np.ones(size, np.float32))
    result = steady(frame, np.zeros(size, np.float32))
    np.testing.assert_allclose(result, 0.5, atol=1e-6)


def test_large_frames_are_followed_smaller():
    frame = np.zeros((600, 1024, 3), np.uint8)
    assert Steadying()(frame, np.zeros((600, 1024), np.float32)).shape == (300, 512)


@pytest.mark.parametrize("momentum", [-0.1, 1, float("nan")])
def test_wrong_momentum_is_named(momentum):
    with pytest.raises(ValueError, match=f"Received: momentum={momentum}"):
        Steadying(momentum)
