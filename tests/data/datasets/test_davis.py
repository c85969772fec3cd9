import numpy as np
import pytest
from PIL import Image

from kseg.data.datasets import DAVIS, open_dataset


@pytest.fixture
def tree(tmp_path, data_dir):
    """The two real videos: dance-twirl to train on, car-roundabout to validate."""
    folder = data_dir("davis2016")
    for kind in ("JPEGImages", "Annotations"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "480p").symlink_to(folder / kind)
    for list_, video in (("train", "dance-twirl"), ("val", "car-roundabout")):
        frames = sorted(p.stem for p in (folder / "JPEGImages" / video).iterdir())
        lines = [
            f"/JPEGImages/480p/{video}/{f}.jpg /Annotations/480p/{video}/{f}.png \n"
            for f in frames
        ]
        for year, text in (("480p", "".join(lines)), ("2017", f"{video}\n")):
            (tmp_path / "ImageSets" / year).mkdir(parents=True, exist_ok=True)
            (tmp_path / "ImageSets" / year / f"{list_}.txt").write_text(text)
    return tmp_path


@pytest.mark.parametrize("year", [2016, 2017])
def test_frames_are_in_order(tree, year):
    # Lengths of the two videos: README of the data
    train, validation = (DAVIS(tree, s, year) for s in ("train", "validation"))
    assert (len(train), len(validation)) == (60, 45)
    assert train.ids == tuple(f"dance-twirl/{i:05}" for i in range(60))
    assert validation.sequences == ("car-roundabout",)


def test_mask_is_the_files_foreground(tree):
    dataset = open_dataset(tree)
    assert isinstance(dataset, DAVIS)
    stored = np.array(Image.open(tree / "Annotations/480p/dance-twirl/00007.png"))
    np.testing.assert_array_equal(dataset[7].mask, stored > 127)
    assert dataset.num_classes == 1


def test_objects_of_2017_are_one_foreground(tmp_path, write):
    for video, value in (("a", 1), ("b", 3)):
        write(tmp_path / f"JPEGImages/480p/{video}/00000.jpg", np.zeros((1, 2, 3)))
        mask = Image.fromarray(np.array([[0, value]], np.uint8), "P")
        mask.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
        write(tmp_path / f"Annotations/480p/{video}/00000.png", mask)
    (tmp_path / "ImageSets/2017").mkdir(parents=True)
    (tmp_path / "ImageSets/2017/train.txt").write_text("a\nb\n")
    dataset = DAVIS(tmp_path, year=2017)
    assert dataset.sequences == ("a", "b")
    np.testing.assert_array_equal(dataset.sequence("b")[0].mask, [[0, 1]])
    assert dataset.sequence("b").ids == ("b/00000",)
    with pytest.raises(ValueError, match="`name`.*Received: name='c'"):
        dataset.sequence("c")
    (tmp_path / "ImageSets/2017/train.txt").write_text("a\nc\n")
    with pytest.raises(ValueError, match="without JPEGImages/480p/c"):
        DAVIS(tmp_path, year=2017)


def test_list_of_the_other_year_is_not_needed(tree):
    (tree / "ImageSets/480p/train.txt").unlink()
    assert len(DAVIS(tree, year=2017)) == 60
    with pytest.raises(ValueError, match="without ImageSets/480p/train.txt"):
        DAVIS(tree)


def test_unknown_year_is_an_error(tree):
    with pytest.raises(ValueError, match="`year`.*Received: year=2018"):
        DAVIS(tree, year=2018)
