import numpy as np
import pytest
from PIL import Image

from kseg.data.datasets import COCOStuff, open_dataset

# Ids of labels.txt that no pixel has, as listed in the README of nightrome/cocostuff
ABSENT = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91)


@pytest.fixture
def tree(tmp_path, data_dir):
    folder = data_dir("coco-stuff") / "datasets/coco_stuff"
    for split in ("train", "val"):
        for ours, theirs in (("images", "img"), ("annotations", "label")):
            (tmp_path / ours).mkdir(exist_ok=True)
            link = tmp_path / ours / f"{split}2017"
            link.symlink_to(folder / f"{split}_{theirs}")
    return tmp_path


def test_classes_are_the_171_that_occur(tree):
    dataset = open_dataset(tree, "validation")
    assert isinstance(dataset, COCOStuff)
    names = dataset.class_names
    assert (len(dataset), len(names), len(set(names))) == (8, 171, 171)
    # Positions in labels.txt less the absent ids before them
    for label, name in {
        1: "person",
        90: "toothbrush",
        92: "banner",
        182: "wood",
    }.items():
        assert names[label - 1 - sum(a < label for a in ABSENT)] == name
    assert (0, 0, 0) not in dataset.colors


@pytest.mark.parametrize("split", ["train", "validation"])
def test_masks_are_the_files_ids_without_gaps(tree, split):
    kept = [value for value in range(182) if value + 1 not in ABSENT]
    dataset = COCOStuff(tree, split)
    for index in range(0, len(dataset), 4):
        stored = np.array(Image.open(dataset.paths(index)[1])).ravel().tolist()
        expected = [255 if value == 255 else kept.index(value) for value in stored]
        np.testing.assert_array_equal(dataset[index].mask.ravel(), expected)


def test_absent_id_is_an_error(tmp_path, write):
    write(tmp_path / "images/train2017/1.jpg", np.zeros((1, 2, 3)))
    write(tmp_path / "annotations/train2017/1.png", [[0, 11]])
    with pytest.raises(ValueError, match=r"annotations/train2017/1\.png' with 11"):
        COCOStuff(tmp_path)[0]


def test_photo_without_annotation_is_named(tmp_path, write):
    write(tmp_path / "images/train2017/1.jpg", np.zeros((1, 2, 3)))
    (tmp_path / "annotations/train2017").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"without 1 of 2 files: .*train2017/1\.png"):
        COCOStuff(tmp_path)
