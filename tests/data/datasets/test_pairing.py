import unicodedata

import numpy as np
import pytest

from kseg.data.datasets.pairing import pair_files


@pytest.fixture
def touch(tmp_path):
    def touch(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "images", tmp_path / "masks"

    return touch


def ids(pairs):
    return [id for id, _, _ in pairs]


def test_pairs_by_stem_across_extensions_in_order(touch):
    two = touch(
        *("images/b.JPG", "images/a.jpeg", "images/c d.webp", "images/e.f.png"),
        *("masks/a.png", "masks/b.PNG", "masks/c d.tif", "masks/e.f.bmp"),
    )
    pairs = pair_files(*two)
    assert ids(pairs) == ["a", "b", "c d", "e.f"]
    assert [image.name for _, image, _ in pairs] == [
        *("a.jpeg", "b.JPG", "c d.webp", "e.f.png")
    ]
    assert [mask.name for *_, mask in pairs] == ["a.png", "b.PNG", "c d.tif", "e.f.bmp"]


def test_nested_folders_pair_by_path(touch):
    two = touch(
        *("images/x/1.jpg", "images/y/1.jpg", "images/1.jpg"),
        *("masks/x/1.png", "masks/y/1.png", "masks/1.png"),
    )
    assert ids(pair_files(*two)) == ["1", "x/1", "y/1"]


def test_unpaired_files_are_all_named(touch):
    two = touch("images/a.jpg", "images/b.jpg", "masks/a.png", "masks/c.png")
    with pytest.raises(ValueError, match=r"Received: images=.* with 2 stems") as caught:
        pair_files(*two)
    assert "1 images without a mask: " in str(caught.value)
    assert "images/b.jpg" in str(caught.value)
    assert "1 masks without an image: " in str(caught.value)
    assert "masks/c.png" in str(caught.value)


def test_many_unpaired_files_are_counted(touch):
    two = touch("masks/a.png", *(f"images/{i:03}.jpg" for i in range(25)))
    with pytest.raises(ValueError, match=r"25 images .*009\.jpg and 15 more"):
        pair_files(*two)


def test_several_files_of_one_stem_are_named(touch):
    two = touch("images/a.jpg", "images/a.png", "masks/a.png", "masks/a.tif")
    with pytest.raises(ValueError, match=r"several images.*a\.jpg and .*a\.png"):
        pair_files(*two)
    with pytest.raises(ValueError, match=r"several masks.*a\.png and .*a\.tif"):
        pair_files(*two)


def test_common_ending_of_masks_is_told(touch):
    two = touch(
        *("images/a.jpg", "images/ab.jpg", "masks/a_mask.png", "masks/ab_mask.png")
    )
    with pytest.raises(ValueError, match="The masks end in '_mask': rename"):
        pair_files(*two)


@pytest.mark.parametrize("names", [(), ("images/notes.txt", "masks/classes.json")])
def test_nothing_to_pair_is_an_error(touch, tmp_path, names):
    touch(*names)
    for name in ("images", "masks"):
        (tmp_path / name).mkdir(exist_ok=True)
    with pytest.raises(ValueError, match=r"with 0 stems, masks=.* with 0"):
        pair_files(tmp_path / "images", tmp_path / "masks")


def test_missing_folder_is_an_error(touch):
    images, masks = touch("images/a.jpg")
    with pytest.raises(ValueError, match="`masks` must be a folder. Received: masks="):
        pair_files(images, masks)


def test_one_folder_for_both_is_an_error(touch):
    images, _ = touch("images/a.jpg")
    with pytest.raises(ValueError, match="two folders"):
        pair_files(images, images)


def test_hidden_files_of_macos_are_passed_over(touch):
    two = touch(
        *("images/a.jpg", "images/._a.jpg", "images/.DS_Store", "images/.x/b.jpg"),
        *("images/__MACOSX/c.jpg", "masks/a.png", "masks/classes.txt"),
    )
    assert ids(pair_files(*two)) == ["a"]


def test_masks_inside_the_image_folder(touch, tmp_path):
    touch("images/a.jpg", "images/masks/a.png")
    pairs = pair_files(tmp_path / "images", tmp_path / "images" / "masks")
    assert ids(pairs) == ["a"]


def test_accents_match_however_they_are_composed(touch):
    composed = unicodedata.normalize("NFC", "café 写真")
    apart = unicodedata.normalize("NFD", composed)
    assert composed != apart
    two = touch(f"images/{apart}.jpg", f"masks/{composed}.png")
    assert ids(pair_files(*two)) == [composed]


def test_links_are_followed_and_circles_end(touch, tmp_path):
    images, masks = touch("images/a.jpg", "masks/a.png", "real/b.jpg", "real/b.png")
    (images / "b.jpg").symlink_to(tmp_path / "real" / "b.jpg")
    (masks / "b.png").symlink_to(tmp_path / "real" / "b.png")
    (images / "more").symlink_to(tmp_path / "others", target_is_directory=True)
    touch("others/c.jpg", "masks/more/c.png")
    (images / "circle").symlink_to(images, target_is_directory=True)
    assert ids(pair_files(images, masks)) == ["a", "b", "more/c"]


def test_file_that_pil_cannot_open_is_listed_not_passed_over(touch):
    assert ids(pair_files(*touch("images/a.heic", "masks/a.png"))) == ["a"]


def test_real_tree_of_videos(data_dir):
    root = data_dir("davis2016")
    pairs = pair_files(root / "JPEGImages", root / "Annotations")
    assert len(pairs) == 60 + 45
    assert pairs[0][0] == "car-roundabout/00000"
    assert np.all([image.parent.name == mask.parent.name for _, image, mask in pairs])
