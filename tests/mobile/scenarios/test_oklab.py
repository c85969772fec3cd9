import numpy as np
import pytest

from kseg.mobile.scenarios.oklab import from_oklab, to_oklab


@pytest.mark.parametrize(
    ("color", "expected"),
    [
        # Values of CSS Color 4, and of culori, for the corners of sRGB.
        ((0, 0, 0), (0, 0, 0)),
        ((1, 1, 1), (1, 0, 0)),
        ((1, 0, 0), (0.62796, 0.22486, 0.12585)),
        ((0, 1, 0), (0.86644, -0.23389, 0.17950)),
        ((0, 0, 1), (0.45201, -0.03246, -0.31153)),
    ],
)
def test_corners_of_srgb_have_the_published_values(color, expected):
    np.testing.assert_allclose(to_oklab(color), expected, atol=2e-5)


def test_every_color_of_a_screen_comes_back():
    levels = np.linspace(0, 1, 18)
    colors = np.stack(np.meshgrid(levels, levels, levels), -1)
    np.testing.assert_allclose(from_oklab(to_oklab(colors)), colors, atol=1e-4)


def test_colors_that_no_screen_shows_lose_chroma_only():
    rng = np.random.default_rng(0)
    lightness = rng.uniform(0.1, 0.95, 500)
    hue = rng.uniform(0, 2 * np.pi, 500)
    lab = np.stack([lightness, 0.5 * np.cos(hue), 0.5 * np.sin(hue)], -1)
    shown = from_oklab(lab)
    assert shown.min() >= 0
    assert shown.max() <= 1
    again = to_oklab(shown).astype(float)
    np.testing.assert_allclose(again[:, 0], lightness, atol=2e-4)
    chroma = np.hypot(again[:, 1], again[:, 2])
    turned = again[:, 1] * np.cos(hue) + again[:, 2] * np.sin(hue)
    np.testing.assert_allclose(turned, chroma, atol=2e-4)
    assert chroma.min() > 0.005
    # and no more than needed: one channel is at its limit
    assert np.minimum(shown, 1 - shown).min(-1).max() < 0.01


def test_shape_is_kept():
    assert from_oklab(to_oklab(np.zeros((4, 5, 3)))).shape == (4, 5, 3)
