import numpy as np
import pytest

from kseg.mobile.scenarios import cutout


def ball(height, width, radius, softness):
    y, x = np.mgrid[:height, :width]
    inside = radius - np.hypot(y - height / 2, x - width / 3)
    return np.clip(inside / softness + 0.5, 0, 1).astype(np.float32)


def composite(alpha, front, behind):
    """Codes of an even foreground before an even background, mixed as mattes say."""
    mixed = alpha[..., None] * front + (1 - alpha[..., None]) * np.array(behind)
    return mixed.round().astype(np.uint8)


COLORS = [(0, 0, 0), (255, 255, 255), (230, 60, 9), (8, 70, 90)]


@pytest.mark.parametrize("front", COLORS)
@pytest.mark.parametrize("behind", COLORS)
def test_soft_edges_take_the_new_background_and_nothing_of_the_old(front, behind):
    alpha = ball(80, 120, 24, softness=9)
    image = composite(alpha, front, behind)
    for new in COLORS:
        backdrop = np.broadcast_to(np.array(new, np.uint8), image.shape)
        result = cutout.replace_background(image, alpha, backdrop)
        expected = composite(alpha, front, new)
        assert abs(result.astype(int) - expected).max() <= 2


def test_person_and_backdrop_are_themselves_where_alpha_is_sure():
    rng = np.random.default_rng(0)
    image, backdrop = rng.integers(0, 256, (2, 50, 70, 3), np.uint8)
    alpha = ball(50, 70, 15, softness=5)
    result = cutout.replace_background(image, alpha, backdrop)
    assert (result[alpha == 1] == image[alpha == 1]).all()
    assert (result[alpha == 0] == backdrop[alpha == 0]).all()
    for value, expected in ((0.0, backdrop), (1.0, image)):
        even = np.full((50, 70), value, np.float32)
        result = cutout.replace_background(image, even, backdrop)
        assert (result == expected).all()


def test_fill_keeps_what_has_weight_and_continues_it_smoothly():
    values = np.zeros((1, 37, 53), np.float32)
    values[:] = np.linspace(0, 1, 53)
    weights = np.ones((37, 53), np.float32)
    weights[10:25, 20:35] = 0
    hidden = np.where(weights, values, 99)
    filled = cutout.fill(hidden, weights)
    assert (filled[:, weights == 1] == values[:, weights == 1]).all()
    assert abs(filled - values).max() < 0.2
    even = np.where(weights, np.float32(3), np.float32(99))[None]
    np.testing.assert_allclose(cutout.fill(even, weights), 3, rtol=1e-5)
    nothing = cutout.fill(values, np.zeros_like(weights))
    assert np.isfinite(nothing).all()
