import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from kseg.plot import overlay, palette

COLORS = [(0, 0, 0), (200, 0, 0), (0, 100, 50)]


def photo(height=5, width=8, value=100):
    return np.full((height, width, 3), value, np.uint8)


def test_color_is_mixed_with_the_photo():
    mask = np.zeros((5, 8), np.uint8)
    mask[1:3, 2:5] = 1
    mask[4] = 2
    mixed = np.asarray(overlay(photo(), mask, COLORS, alpha=0.25))
    assert (mixed[mask == 1] == [125, 75, 75]).all()
    assert (mixed[mask == 2] == [75, 100, 88]).all()  # 87.5 rounds to even
    assert (mixed[mask == 0] == 100).all()


def test_black_background_and_ignored_pixels_show_the_photo():
    mask = np.array([[0, 255, 0], [255, 0, 255]])
    assert (np.asarray(overlay(photo(2, 3), mask, COLORS, alpha=1)) == 100).all()


def test_default_palette_paints_everything_but_background():
    mask = np.array([[0, 1, 2, 255]])
    painted = np.asarray(overlay(photo(1, 4), mask, alpha=1))[0]
    assert painted.tolist() == [[100] * 3, *map(list, palette(3)[1:]), [100] * 3]


def test_class_zero_is_painted_if_it_has_a_color():
    painted = overlay(photo(1, 1), np.array([[0]]), [(1, 2, 3)], alpha=1)
    assert painted.getpixel((0, 0)) == (1, 2, 3)


def test_255_is_a_class_without_an_ignore_class():
    colors = palette(256, background=False)
    painted = overlay(photo(1, 1), [[255]], colors, alpha=1, ignore_class=None)
    assert painted.getpixel((0, 0)) == colors[255]


@pytest.mark.parametrize("width", [1, 2])
def test_contour_is_drawn_inside_the_region_and_not_at_the_border(width):
    mask = np.zeros((12, 16), np.uint8)
    mask[:8, 4:13] = 1
    inside = np.zeros_like(mask)  # mask eroded by width, the border not counting
    inside[: 8 - width, 4 + width : 13 - width] = 1
    rim = (mask == 1) & (inside == 0)
    for alpha, mixed in ((0.5, [150, 50, 50]), (0, [100, 100, 100])):
        painted = overlay(photo(12, 16), mask, COLORS, alpha, contour=width)
        painted = np.asarray(painted)
        assert (painted[rim] == COLORS[1]).all()
        assert (painted[inside == 1] == mixed).all()
        assert (painted[mask == 0] == 100).all()


def test_contour_wider_than_the_picture_fills_it():
    mask = np.array([[0, 1, 1]])
    painted = np.asarray(overlay(photo(1, 3), mask, COLORS, contour=50))
    assert painted[0].tolist() == [[100] * 3, [200, 0, 0], [200, 0, 0]]


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "1", "P", "LA"])
def test_pil_images_of_every_mode_are_taken(mode):
    image = Image.fromarray(photo()).convert(mode)
    painted = overlay(image, np.zeros((5, 8), int), COLORS)
    assert painted.mode == "RGB"
    assert painted.size == (8, 5)


@pytest.mark.parametrize("shape", [(5, 8), (5, 8, 1), (5, 8, 3), (5, 8, 4)])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "int64"])
def test_arrays_of_0_to_255_are_taken(shape, dtype):
    painted = overlay(np.full(shape, 100, dtype), np.zeros((5, 8), bool), COLORS)
    assert (np.asarray(painted) == 100).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_pictures_read_by_matplotlib_are_taken(tmp_path, mode):
    """It reads a PNG as floats from 0 to 1."""
    values = np.random.default_rng(0).integers(0, 256, (5, 8, 3), np.uint8)
    image = Image.fromarray(values).convert(mode)
    image.save(tmp_path / "a.png")
    read = matplotlib.image.imread(tmp_path / "a.png")
    assert (read.dtype, read.max() <= 1) == (np.float32, True)
    painted = overlay(read, np.zeros((5, 8), int), COLORS)
    assert (np.asarray(painted) == np.asarray(image.convert("RGB"))).all()


def test_a_figure_of_matplotlib_is_a_picture():
    figure = Figure(figsize=(0.8, 0.5), dpi=100, facecolor="#204060")
    painted = overlay(figure, np.zeros((50, 80), int), COLORS)
    assert (np.asarray(painted) == (0x20, 0x40, 0x60)).all()


def test_black_stays_black_whatever_the_type():
    for image in (np.zeros((5, 8)), np.zeros((5, 8), int)):
        assert not np.asarray(overlay(image, np.zeros((5, 8), int), COLORS)).any()
    ones = np.ones((5, 8, 3), int)  # integers are of 0-255
    assert (np.asarray(overlay(ones, np.zeros((5, 8), int), COLORS)) == 1).all()


def test_masks_may_be_pil_bool_or_have_a_channel_axis():
    mask = np.zeros((5, 8), np.uint8)
    mask[2:] = 1
    expected = np.asarray(overlay(photo(), mask, COLORS))
    palette_mask = Image.fromarray(mask).convert("P")
    palette_mask.putpalette([9, 9, 9] * 256)
    for same in (
        mask.astype(bool),
        mask[..., None],
        Image.fromarray(mask),
        palette_mask,
    ):
        assert (np.asarray(overlay(photo(), same, COLORS)) == expected).all()


def test_arguments_are_left_as_they_are():
    image, mask = photo(), np.ones((5, 8), np.uint8)
    overlay(image, mask, COLORS, contour=1)
    assert (image == 100).all()
    assert (mask == 1).all()


@pytest.mark.parametrize("wrong", [3, -1, 254])
def test_class_without_a_color_is_named(wrong):
    mask = np.zeros((5, 8), int)
    mask[0, 0] = wrong
    with pytest.raises(ValueError, match=rf"Received: mask with \[{wrong}\]"):
        overlay(photo(), mask, COLORS)


def test_scores_are_no_mask():
    with pytest.raises(TypeError, match="argmax.*Received: mask of dtype float32"):
        overlay(photo(), np.zeros((5, 8), np.float32))


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"mask": np.zeros((8, 5), int)}, r"mask.shape=\(8, 5\)"),
        ({"alpha": 1.5}, "alpha=1.5"),
        ({"contour": -1}, "contour=-1"),
        ({"image": np.zeros((5, 8, 2), np.uint8)}, r"shape=\(5, 8, 2\)"),
        ({"image": np.full((5, 8, 3), -1.0)}, "values from -1.0"),
        ({"image": np.full((5, 8, 3), np.nan)}, "values from nan"),
    ],
)
def test_wrong_arguments_are_named(arguments, received):
    arguments = {"image": photo(), "mask": np.zeros((5, 8), int), **arguments}
    with pytest.raises(ValueError, match=f"Received: .*{received}"):
        overlay(**arguments)
