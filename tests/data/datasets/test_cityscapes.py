import numpy as np
import pytest
from PIL import Image

from kseg.data.datasets import Cityscapes, open_dataset

# labels 0..33 -> train id: cityscapesScripts, helpers/labels.py, column trainId
TRAIN_IDS = [255] * 7 + [0, 1, 255, 255, 2, 3, 4, 255, 255, 255, 5, 255, 6, 7]
TRAIN_IDS += [8, 9, 10, 11, 12, 13, 14, 15, 255, 255, 16, 17, 18]


@pytest.fixture
def tree(tmp_path, data_dir):
    """Two real frames in the layout of the data set; their files are links."""
    folder = data_dir("cityscapes")
    for number in (0, 3):
        stem = f"aachen_{number:06}_000019"
        image = tmp_path / f"leftImg8bit/train/aachen/{stem}_leftImg8bit.png"
        mask = tmp_path / f"gtFine/train/aachen/{stem}_gtFine_labelIds.png"
        for link, file in (
            (image, f"images/{stem}_leftImg8bit.jpg"),
            (mask, f"labelIds/{mask.name}"),
        ):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(folder / file)
    return tmp_path


def test_label_ids_become_train_ids(tree):
    dataset = open_dataset(tree)
    assert isinstance(dataset, Cityscapes)
    assert dataset.ids == ("aachen/aachen_000000_000019", "aachen/aachen_000003_000019")
    for index in range(2):
        stored = np.array(Image.open(dataset.paths(index)[1]))
        expected = np.array(TRAIN_IDS, np.uint8)[stored]
        np.testing.assert_array_equal(dataset[index].mask, expected)


def test_names_and_colors_are_those_of_the_scripts(tree):
    dataset = Cityscapes(tree)
    named = dict(zip(dataset.class_names, dataset.colors, strict=True))
    assert dataset.num_classes == 19
    assert dataset.class_names[13] == "car"
    assert named["person"] == (220, 20, 60)
    assert named["bicycle"] == (119, 11, 32)


def test_wrong_label_is_named(tree, write):
    path = Cityscapes(tree).paths(0)[1]
    path.unlink()
    write(path, np.full((512, 1024), 34))
    with pytest.raises(ValueError, match=r"0..33. Received.*labelIds\.png' with 34"):
        Cityscapes(tree)[0]


def test_annotation_without_frame_is_named(tree):
    Cityscapes(tree).paths(1)[0].unlink()
    with pytest.raises(ValueError, match=r"without 1 of 4.*000003_000019_leftImg8bit"):
        Cityscapes(tree)


@pytest.mark.parametrize("number", [19, 1234])
def test_snippet_has_the_sample_as_its_20th_frame(tmp_path, write, number):
    """Some cities number the frames of a snippet 0 to 29, others run on."""
    stem = f"bochum_000000_{number:06}"
    write(
        tmp_path / f"leftImg8bit/val/bochum/{stem}_leftImg8bit.png", np.zeros((2, 4, 3))
    )
    write(
        tmp_path / f"gtFine/val/bochum/{stem}_gtFine_labelIds.png", np.full((2, 4), 7)
    )
    folder = tmp_path / "leftImg8bit_sequence/val/bochum"
    for frame in range(30):
        name = f"bochum_000000_{number - 19 + frame:06}_leftImg8bit.png"
        write(folder / name, np.full((2, 4, 3), frame))
    dataset = Cityscapes(tmp_path, "validation")
    snippet = dataset.read_snippet(0)
    assert snippet.shape == (30, 2, 4, 3)
    assert snippet[:, 0, 0, 0].tolist() == list(range(30))
    assert dataset.snippet_paths(0)[19].name == dataset.paths(0)[0].name
    dataset.snippet_paths(0)[29].unlink()
    with pytest.raises(ValueError, match="without 1 of 30 files"):
        dataset.read_snippet(0)


def test_snippet_without_sequences_tells_the_tree(tree):
    with pytest.raises(ValueError, match="without leftImg8bit_sequence/train"):
        Cityscapes(tree).read_snippet(0)
