import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex

from kseg.plot import overlay, palette
from kseg.plot.colors import as_colors

# Okabe and Ito, "Color Universal Design", without black.
OKABE_ITO = {
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
}
# Viénot, Brettel and Mollon (1999): another simulation than the one kseg chooses with.
VIENOT = {
    "protanopia": [
        [0.11238, 0.88762, 0],
        [0.11238, 0.88762, 0],
        [0.00401, -0.00401, 1],
    ],
    "deuteranopia": [
        [0.29275, 0.70725, 0],
        [0.29275, 0.70725, 0],
        [-0.02234, 0.02234, 1],
    ],
}


def lab(colors, sight=None):
    """CIELAB by scikit-image, as seen by colour-blind people if `sight` is given."""
    color = pytest.importorskip("skimage.color", reason="oracle: scikit-image")
    values = np.asarray(colors, float) / 255
    if sight:
        linear = np.where(
            values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4
        )
        seen = np.clip(linear @ np.array(VIENOT[sight]).T, 0, 1)
        values = np.where(
            seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055
        )
    return color.rgb2lab(values)


def test_first_colors_are_those_of_okabe_and_ito():
    assert set(palette(7, background=False)) == OKABE_ITO


def test_background_is_black_and_comes_first():
    assert palette(1) == ((0, 0, 0),)
    assert palette(8) == ((0, 0, 0), *palette(7, background=False))


@pytest.mark.parametrize("background", [True, False])
def test_shorter_palette_is_the_beginning_of_a_longer_one(background):
    long = palette(60, background=background)
    for count in (1, 2, 7, 8, 9, 33):
        assert palette(count, background=background) == long[:count]


def test_every_id_of_a_byte_has_its_own_color():
    colors = palette(256)
    assert len(set(colors)) == 256
    assert all(isinstance(value, int) for color in colors for value in color)


@pytest.mark.parametrize("sight", [None, *VIENOT])
def test_sixteen_classes_are_told_apart_by_everyone(sight):
    seen = lab(palette(16), sight)
    nearest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))
    assert nearest > 10  # 2.3 is just noticeable


@pytest.mark.parametrize("count", [0, -1, 1001, 2.0, "3"])
def test_number_that_is_no_number_of_classes_is_refused(count):
    with pytest.raises(ValueError, match="Received: num_classes="):
        palette(count)


def test_colors_may_be_named():
    assert as_colors(["navy", "#ff8800", (1, 2, 3)]).tolist() == [
        [0, 0, 128],
        [255, 136, 0],
        [1, 2, 3],
    ]


def test_colors_of_matplotlib_are_those_that_it_draws():
    table = matplotlib.colormaps["tab10"]
    expected = [list(bytes.fromhex(to_hex(color)[1:])) for color in table.colors]
    for colors in (table.colors, table(np.arange(10)), [f"C{i}" for i in range(10)]):
        assert as_colors(colors).tolist() == expected
    assert as_colors(["tab:blue", "xkcd:sky blue", "0.5"]).tolist() == [
        [0x1F, 0x77, 0xB4],
        [0x75, 0xBB, 0xFD],
        [128, 128, 128],
    ]


def test_name_that_nobody_knows_is_named():
    with pytest.raises(ValueError, match="Received: colors with 'no colour'"):
        as_colors(["no colour"])


@pytest.mark.parametrize(
    "colors", [[(0, 0)], [(0, 0, 256)], [(1.5, 0, 0)], [(np.nan, 0, 0)], []]
)
def test_colors_that_are_none_are_refused(colors):
    with pytest.raises(ValueError, match="Received: colors="):
        overlay(np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3), int), colors)
