import numpy as np
import pytest
from PIL import Image

from kseg.plot import legend, palette, sheet


def picture(width, height, color):
    return Image.new("RGB", (width, height), color)


def box_of(image, color):
    """Left, top, width and height of what has exactly this colour."""
    y, x = np.nonzero((np.asarray(image) == color).all(-1))
    return x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1


def test_pictures_keep_their_proportions_in_the_middle_of_their_tile():
    wide, tall = picture(40, 10, (255, 0, 0)), picture(10, 20, (0, 0, 255))
    result = sheet([wide, tall], columns=2, tile=100, gap=6)
    assert result.size == (6 + 100 + 6 + 100 + 6, 6 + 100 + 6)
    assert box_of(result, (255, 0, 0)) == (6, 6 + 37, 100, 25)
    assert box_of(result, (0, 0, 255)) == (112 + 25, 6, 50, 100)


def test_tiles_may_be_rectangles():
    result = sheet([picture(3, 3, (9, 9, 9))] * 3, columns=2, tile=(20, 50), gap=0)
    assert result.size == (100, 40)
    assert box_of(result, (9, 9, 9)) == (15, 0, 70, 40)


def test_rows_set_the_columns_and_none_leaves_a_tile_empty():
    red, blue = picture(4, 4, (255, 0, 0)), picture(4, 4, (0, 0, 255))
    result = sheet([[red], [None, None, blue]], tile=8, gap=0)
    assert result.size == (24, 16)
    assert box_of(result, (255, 0, 0)) == (0, 0, 8, 8)
    assert box_of(result, (0, 0, 255)) == (16, 8, 8, 8)


def test_fewer_pictures_than_columns_leave_no_gap():
    assert sheet([picture(4, 4, "red")], columns=4, tile=10, gap=1).size == (12, 12)


def test_titles_are_dark_on_light_and_light_on_dark_above_the_picture():
    tile = picture(50, 50, (0, 255, 0))
    for background, extreme in (("white", np.min), ("black", np.max)):
        result = sheet([tile], ["A title"], tile=120, gap=5, background=background)
        left, top, width, height = box_of(result, (0, 255, 0))
        assert (width, height) == (120, 120)
        assert top >= 5 + 11
        head = np.asarray(result)[:top]
        contrast = abs(int(extreme(head)) - int(np.asarray(result)[0, 0, 0]))
        assert contrast > 200


def test_a_title_too_long_is_cut_and_stays_within_its_tile():
    tiles = [picture(9, 9, "white")] * 2
    result = np.asarray(sheet(tiles, ["long " * 40, ""], columns=2, tile=80, gap=10))
    ink = np.nonzero((result < 128).all(-1).any(0))[0]
    assert ink.min() >= 10
    assert ink.max() < 10 + 80


def test_lines_of_a_title_make_room():
    tile = picture(9, 9, "red")
    one, two = (sheet([tile], [text], tile=64).height for text in ("a", "a\nb"))
    none = sheet([tile], tile=64).height
    assert two - none == 2 * (one - none) > 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 300, 3), (300, 1, 4), (2, 2, 1)])
def test_arrays_and_extreme_shapes_are_taken(shape):
    assert sheet([np.full(shape, 7, np.uint8)], tile=32, gap=0).size == (32, 32)


def test_enlarged_pixels_stay_pixels():
    two = np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)
    result = np.asarray(sheet([two], tile=(10, 20), gap=0))
    assert len(np.unique(result.reshape(-1, 3), axis=0)) == 2


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"tiles": []}, r"tiles=\[\]"),
        ({"titles": ["a", "b"]}, "2 titles, 1 pictures"),
        ({"tiles": [["x"], ["y"]], "titles": [["a"], []]}, r"rows of \[1, 0\] titles"),
        ({"columns": 0}, "columns=0"),
        ({"tile": 0}, "tile=0"),
        ({"tile": (1.5, 3)}, "tile=1.5"),
    ],
)
def test_wrong_arguments_are_named(arguments, received):
    arguments = {"tiles": [picture(3, 3, "red")], **arguments}
    with pytest.raises(ValueError, match=f"Received: {received}"):
        sheet(**arguments)


def test_legend_shows_every_color_from_top_to_bottom():
    names = ["background", "a very long name of a class", "cat"]
    result = legend(names)
    boxes = [box_of(result, color) for color in palette(3)]
    assert [box[1] for box in boxes] == sorted(box[1] for box in boxes)
    assert len({box[0] for box in boxes}) == 1
    text = np.asarray(result)[:, boxes[0][0] + boxes[0][2] + 2 :]
    assert (text < 128).any()
    assert (np.asarray(result)[:, -2:] == 255).all()  # no name is cut off


def test_legend_in_columns_reads_downwards():
    colors = palette(6)[1:]
    result = legend("abcde", colors, columns=2)
    boxes = [box_of(result, color) for color in colors]
    assert [box[0] for box in boxes] == [boxes[0][0]] * 3 + [boxes[3][0]] * 2
    assert boxes[3][0] > boxes[0][0]
    assert boxes[3][1] == boxes[0][1]


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"class_names": []}, r"class_names=\[\]"),
        ({"colors": ["red"]}, "1 colors"),
        ({"columns": 0}, "columns=0"),
        ({"font_size": 0}, "font_size=0"),
    ],
)
def test_wrong_legends_are_named(arguments, received):
    arguments = {"class_names": ["a", "b"], **arguments}
    with pytest.raises(ValueError, match=f"Received: {received}"):
        legend(**arguments)
