import numpy as np
import pytest
from PIL import Image

from kseg.data.datasets import inference
from kseg.data.datasets.inference import infer, infer_colors

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture
def masks(tmp_path, write):
    """Writes one mask file of one row per list of values or PIL image."""

    def masks(*rows):
        return [
            write(
                tmp_path / f"{i}.png",
                row if isinstance(row, Image.Image) else np.atleast_2d(row),
            )
            for i, row in enumerate(rows)
        ]

    return masks


def one_bit(*values):
    return Image.fromarray(np.array([values], bool))


def indexed(values, *palette):
    image = Image.fromarray(np.array([values], np.uint8))
    image.putpalette([channel for color in palette for channel in color])
    return image


def names(*args, ignore_class=255):
    return infer(*args, ignore_class).class_names


def test_0_and_255_are_background_and_foreground(masks):
    meaning = infer(masks([0, 255], [0, 0], [255, 255]), None, 255)
    assert meaning.scaled
    assert meaning.class_names == ("background", "foreground")
    assert meaning.report["masks"] == "0/255 (255 is class 1)"
    assert meaning.report["ignored value"] is None


def test_0_and_255_with_two_names(masks):
    assert infer(masks([0, 255]), ("background", "cat"), 255).scaled


def test_0_and_255_with_three_names_is_a_class_and_ignored_pixels(masks):
    meaning = infer(masks([0, 255]), ("a", "b", "c"), 255)
    assert not meaning.scaled
    assert meaning.report["ignored value"] == 255
    assert meaning.report["classes that never occur"] == ["b", "c"]


def test_0_and_1_are_background_and_foreground(masks):
    meaning = infer(masks([0, 1], [0, 0]), None, 255)
    assert not meaning.scaled
    assert meaning.class_names == ("background", "foreground")


def test_255_beside_0_and_1_is_ignored(masks):
    meaning = infer(masks([0, 1, 255], [0, 255]), None, 255)
    assert not meaning.scaled
    assert meaning.report["ignored value"] == 255


def test_trimap_of_0_128_255_with_128_ignored(masks):
    meaning = infer(masks([0, 128, 255]), None, 128)
    assert meaning.scaled
    assert meaning.class_names == ("background", "foreground")
    assert meaning.report["ignored value"] == 128


def test_1_bit_masks_alone(masks):
    assert names(masks(one_bit(0, 1), one_bit(0, 0)), None) == (
        "background",
        "foreground",
    )


def test_1_bit_masks_among_0_255_masks(masks):
    """What an optimiser leaves of 0/255 files: 1-bit where it could."""
    meaning = infer(masks(one_bit(0, 1), [0, 255]), None, 255)
    assert meaning.scaled
    assert meaning.report["stored as"] == "1-bit, greyscale"


def test_1_bit_masks_among_class_ids(masks):
    meaning = infer(masks(one_bit(0, 1), [0, 1, 2, 255]), None, 255)
    assert not meaning.scaled
    assert meaning.class_names == ("0", "1", "2")


def test_0_1_masks_mixed_with_0_255_masks_are_undecidable(masks):
    files = masks([0, 1], [0, 255])
    with pytest.raises(ValueError, match=r"`class_names.*1 in '.*0\.png', 255 in .*1"):
        infer(files, None, 255)
    assert not infer(files, ("background", "cat"), 255).scaled


def test_highest_id_gives_the_number_of_classes(masks):
    meaning = infer(masks([0, 1], [3, 4]), None, 255)
    assert meaning.class_names == ("0", "1", "2", "3", "4")
    assert meaning.report["classes that never occur"] == ["2"]


def test_a_class_that_only_the_last_mask_holds_is_found(masks):
    assert len(names(masks(*[[0, 1, 2]] * 30, [3]), None)) == 4


@pytest.mark.parametrize("row", [[0, 0], [1, 1], [7, 255], [255, 255]])
def test_one_class_alone_is_undecidable(masks, row):
    with pytest.raises(ValueError, match=r"two classes.*Pass `class_names`.*Received"):
        infer(masks(row), None, 255)
    eight = tuple("abcdefgh")
    assert names(masks(row), eight) == eight


@pytest.mark.parametrize("row", [[0, 128, 255], [0, 50, 100, 150], [0, 1, 9, 20]])
def test_sparse_values_are_undecidable(masks, row):
    with pytest.raises(
        ValueError, match=r"Pass `class_names`.*classes\.txt.*levels.*0\.png"
    ):
        infer(masks(row), None, 255)


def test_soft_matte_is_undecidable(data_dir):
    mattes = sorted((data_dir("p3m") / "alpha").glob("*.png"))
    with pytest.raises(ValueError, match=r"threshold the masks.*mattes"):
        infer(mattes, None, 255)
    with pytest.raises(
        ValueError, match=r"blurred at their edges.*Received: values 2,"
    ):
        infer(mattes, ("background", "person"), 255)


def test_ids_beyond_the_names_are_named_with_a_file(masks):
    with pytest.raises(ValueError, match=r"0\.\.1.*Received: values 2, 3 .*1\.png"):
        infer(masks([0, 1], [2, 3]), ("a", "b"), 255)


def test_other_ignore_class(masks):
    meaning = infer(masks([0, 1, 2, 9]), None, 9)
    assert meaning.class_names == ("0", "1", "2")
    assert meaning.report["ignored value"] == 9


def test_class_255_beside_another_ignore_class_is_refused(masks):
    with pytest.raises(ValueError, match=r"255 occurs beside `ignore_class=9`"):
        infer(masks([0, 1, 2, 9, 255]), None, 9)


def test_deep_masks(tmp_path):
    path = tmp_path / "0.png"
    Image.fromarray(np.array([[0, 1, 2, 65535]], np.uint16)).save(path)
    assert len(names([path], None, ignore_class=65535)) == 3
    with pytest.raises(ValueError, match=r"instance ids.*Received: values 0, 1, 2, 65"):
        infer([path], None, 255)


def test_palette_gives_colors(masks):
    meaning = infer(
        masks(indexed([0, 1], BLUE, RED), indexed([1], BLUE, RED)), None, 255
    )
    assert meaning.colors == (BLUE, RED)
    assert meaning.report["stored as"] == "palette"


def test_index_255_is_foreground_only_if_it_is_white(masks):
    black, void = (0, 0, 0), (224, 224, 192)
    palette = [black] * 255
    white = masks(indexed([0, 255], *palette, (255, 255, 255)))
    assert infer(white, None, 255).scaled
    voc = masks(indexed([0, 255], *palette, void))
    with pytest.raises(ValueError, match="at least two classes"):
        infer(voc, None, 255)


def test_palettes_that_differ_where_used_are_refused(masks):
    with pytest.raises(
        ValueError, match=r"index 1 is \(255, 0, 0\) in .*\(0, 0, 255\)"
    ):
        infer(masks(indexed([0, 1], BLUE, RED), indexed([0, 1], BLUE, BLUE)), None, 255)


def test_palettes_that_differ_where_unused_do_not_matter(masks):
    files = masks(indexed([0, 1], BLUE, RED, RED), indexed([0, 1], BLUE, RED, BLUE))
    assert infer(files, None, 255).colors == (BLUE, RED)


def test_every_broken_mask_is_named(masks, tmp_path):
    files = masks(*[[0, 1]] * 5)
    for i in (1, 3):
        files[i].write_bytes(files[i].read_bytes()[:40])
    with pytest.raises(ValueError, match="^2 of 5 masks") as caught:
        infer(files, None, 255)
    assert "1.png" in str(caught.value)
    assert "3.png" in str(caught.value)


def test_files_are_read_once_until_they_change(masks, monkeypatch, write):
    read = []
    original = inference.open_mask
    monkeypatch.setattr(
        inference, "open_mask", lambda path: read.append(path) or original(path)
    )
    files = masks([0, 1], [0, 2])
    assert len(names(files, None)) == 3
    assert len(names(files, None)) == 3
    assert sorted(read) == files
    write(files[1], np.array([[0, 1, 2, 3, 3, 3, 3]]))
    assert len(names(files, None)) == 4
    assert read[2:] == [files[1]]


def test_colors_give_their_classes():
    mapping = {(0, 0, 0): 0, RED: 1, BLUE: 1, (9, 9, 9): 255}
    meaning = infer_colors(mapping, None)
    assert meaning.class_names == ("background", "foreground")
    assert meaning.colors == ((0, 0, 0), RED)
    assert meaning.report["ignored value"] == (9, 9, 9)
    assert infer_colors(mapping, ("a", "b", "c")).report[
        "classes that never occur"
    ] == ["c"]


@pytest.mark.parametrize(
    "colors",
    [{}, {RED: 0}, {RED: 0, BLUE: -1}, {RED: 0, (0, 0): 1}, {RED: 0, (0, 0, 256): 1}],
)
def test_colors_that_make_no_sense_are_refused(colors):
    with pytest.raises(ValueError, match="`colors` must map.*Received: colors="):
        infer_colors(colors, None)


def test_colors_beyond_the_names_are_refused():
    with pytest.raises(ValueError, match=r"class_names=\('a', 'b'\)"):
        infer_colors({RED: 0, BLUE: 2}, ("a", "b"))
