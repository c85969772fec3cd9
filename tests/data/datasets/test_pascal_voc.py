import numpy as np
import pytest
import scipy.io
from PIL import Image

from kseg.data.datasets import PascalVOC, open_dataset
from kseg.data.datasets.pascal_voc import voc_colors

ROOT, SBD = "VOCdevkit/VOC2012", "benchmark_RELEASE/dataset"


@pytest.fixture
def tree(tmp_path, write):
    """VOC has a, b (train) and v (val); SBD has b, c (train) and d, v (val)."""
    lists = {
        f"{ROOT}/ImageSets/Segmentation/train.txt": "a\nb\n",
        f"{ROOT}/ImageSets/Segmentation/val.txt": "v\n",
        f"{ROOT}/ImageSets/Segmentation/trainval.txt": "a\nb\nv\n",
        f"{SBD}/train.txt": "b\nc\n",
        f"{SBD}/val.txt": "d\nv\n",
    }
    for file, text in lists.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    for id in "abcdv":
        write(tmp_path / ROOT / f"JPEGImages/{id}.jpg", np.zeros((2, 3, 3)))
    for id in "abv":
        mask = Image.fromarray(np.array([[0, 15, 255], [1, 2, 20]], np.uint8), "P")
        mask.putpalette(np.ravel(voc_colors(256)).tolist())
        write(tmp_path / ROOT / f"SegmentationClass/{id}.png", mask)
    (tmp_path / SBD / "cls").mkdir()
    for id in "bcdv":
        # As in the data set: a struct of one cell with the field Segmentation.
        content = {"Segmentation": np.full((2, 3), 7, np.uint8), "CategoriesPresent": 7}
        scipy.io.savemat(tmp_path / SBD / f"cls/{id}.mat", {"GTcls": content})
    return tmp_path


@pytest.mark.parametrize(
    ("split", "ids", "published"),
    [
        ("train", "ab", 1464),
        ("validation", "v", 1449),
        ("all", "abv", 2913),
        # Hariharan's and VOC's photos less VOC's validation photos
        ("train_aug", "abcd", 10582),
    ],
)
def test_splits(tree, split, ids, published):
    dataset = PascalVOC(tree, split)
    assert dataset.ids == tuple(ids)
    assert dataset.expected == published


def test_mask_is_the_index_of_the_palette(tree):
    dataset = open_dataset(tree)
    assert isinstance(dataset, PascalVOC)
    np.testing.assert_array_equal(dataset[0].mask, [[0, 15, 255], [1, 2, 20]])
    assert dataset.class_names[15] == "person"
    assert dataset.colors[15] == (192, 128, 128)  # VOCcode/VOClabelcolormap.m


def test_voc_mask_wins_over_that_of_sbd(tree):
    dataset = PascalVOC(tree, "train_aug")
    assert dataset[1].mask.max() == 255
    assert (dataset[2].mask == 7).all()
    assert dataset[2].mask.dtype == np.uint8


def test_sbd_is_needed_for_train_aug_alone(tree):
    (tree / SBD / "val.txt").unlink()
    assert len(PascalVOC(tree)) == 2
    with pytest.raises(
        ValueError, match="SBD(?s:.*)without benchmark_RELEASE.*val.txt"
    ):
        PascalVOC(tree, "train_aug")


def test_missing_mask_is_named(tree):
    (tree / ROOT / "SegmentationClass/b.png").unlink()
    with pytest.raises(ValueError, match=r"without 1 of 4 files: .*Class/b\.png"):
        PascalVOC(tree)


def test_damaged_mat_is_named(tree):
    (tree / SBD / "cls/c.mat").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"hold `GTcls`.*c\.mat"):
        PascalVOC(tree, "train_aug")[2]


def test_mat_without_segmentation_is_named(tree):
    scipy.io.savemat(tree / SBD / "cls/c.mat", {"GTcls": {"Boundaries": 1}})
    with pytest.raises(ValueError, match=r"`GTcls\.Segmentation`.*c\.mat"):
        PascalVOC(tree, "train_aug")[2]


def test_colors_are_those_of_the_development_kit(data_dir):
    # Oracle: the palette of a mask that LabelMe's converter to VOC wrote.
    folder = data_dir("annotations") / "labelme/semantic_segmentation/data_dataset_voc"
    with Image.open(folder / "SegmentationClass" / "2011_000003.png") as mask:
        palette = np.reshape(mask.getpalette("RGB"), (-1, 3))
    np.testing.assert_array_equal(voc_colors(len(palette)), palette)
