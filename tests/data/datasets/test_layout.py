import numpy as np
import pytest

from kseg.data.datasets import READERS
from kseg.data.datasets.layout import Layout, recode, recode_colors

PUBLISHED = {name: r for name, r in READERS.items() if hasattr(r, "layout")}


def test_only_the_two_oldest_readers_have_no_layout():
    assert set(READERS) - set(PUBLISHED) == {"camvid", "ccp"}


@pytest.mark.parametrize("path", ["", "nowhere"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_missing_tree_shows_page_tree_and_path(tmp_path, name, path):
    reader = PUBLISHED[name]
    with pytest.raises(ValueError, match="`path` must be the root of") as caught:
        reader(tmp_path / path)
    message = str(caught.value)
    assert reader.layout.page.startswith("http")
    assert f"downloaded from {reader.layout.page}" in message
    assert reader.layout.tree in message
    assert f"Received: path={str(tmp_path / path)!r} without" in message


@pytest.mark.parametrize("name", PUBLISHED)
def test_unknown_split_is_an_error(tmp_path, name):
    with pytest.raises(ValueError, match="`split` must be one of.*split='val'"):
        PUBLISHED[name](tmp_path, split="val")


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_empty_folder_fits_no_layout(tmp_path, name):
    assert not PUBLISHED[name].layout.fits(tmp_path)


def test_list_that_is_no_text_is_named_with_the_tree(tmp_path):
    layout = Layout("Toys", "https://toys.org", "  <path>/toys.txt", ("toys.txt",))
    (tmp_path / "toys.txt").write_bytes("Bär".encode("latin-1"))
    with pytest.raises(
        ValueError, match=r"(?s)root of Toys.*a damaged toys\.txt \(.utf"
    ):
        layout.ids(tmp_path, "toys.txt")


def test_recode_equals_a_loop_over_pixels():
    table = {0: 5, 7: 0, 9: 255}
    mask = np.random.default_rng(0).choice([0, 7, 9], (6, 5)).astype(np.uint8)
    expected = [[table[int(value)] for value in row] for row in mask]
    np.testing.assert_array_equal(recode(mask, table, "m.png"), expected)
    assert recode(mask, table, "m.png").dtype == np.uint8


@pytest.mark.parametrize("wrong", [-1, 1, 10, 300])
def test_value_without_entry_is_named(wrong):
    mask = np.array([[0, 9, wrong]], np.int32)
    with pytest.raises(ValueError, match=rf"0, 7..9\. Received: .*m\.png.* {wrong}$"):
        recode(mask, {0: 0, 7: 1, 8: 1, 9: 2}, "m.png")


def test_class_ids_above_255_are_int32():
    assert recode(np.array([[3]]), {3: 300}, "m.mat").dtype == np.int32


def test_recode_colors_equals_a_loop_over_pixels():
    table = {(255, 0, 255): 1, (255, 0, 0): 0, (0, 0, 1): 255}
    colors = np.array(list(table), np.uint8)
    rgb = colors[np.random.default_rng(0).integers(0, 3, (4, 5))]
    expected = [[table[tuple(pixel)] for pixel in row] for row in rgb.tolist()]
    np.testing.assert_array_equal(recode_colors(rgb, table, "m.png"), expected)


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (255, 0, 1)])
def test_unknown_color_is_named(color):
    rgb = np.array([[(255, 0, 0), color]], np.uint8)
    with pytest.raises(ValueError, match=rf"2 colours.*m\.png' with \({color[0]}, "):
        recode_colors(rgb, {(255, 0, 0): 0, (255, 0, 255): 1}, "m.png")
