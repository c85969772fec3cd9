import numpy as np
import pytest
import scipy.io

from kseg.data.datasets import PascalContext, open_dataset

VOC = "VOCdevkit/VOC2010"
# Lines of the data set's labels.txt; the others are made up here.
KNOWN = {2: "aeroplane", 19: "bedclothes", 80: "cloth", 397: "table", 255: "money"}
KNOWN |= {440: "wall", 458: "wood", 284: "person"}
OTHERS = [
    *("bicycle", "bird", "boat", "bottle", "bus", "car"),
    *("cat", "chair", "cow", "dog", "horse", "motorbike"),
    *("pottedplant", "sheep", "sofa", "train", "tvmonitor", "bag"),
    *("bed", "bench", "book", "building", "cabinet", "ceiling"),
    *("computer", "cup", "door", "fence", "floor", "flower"),
    *("food", "grass", "ground", "keyboard", "light", "mountain"),
    *("mouse", "curtain", "platform", "sign", "plate", "road"),
    *("rock", "shelves", "sidewalk", "sky", "snow", "track"),
    *("tree", "truck", "water", "window"),
]


@pytest.fixture
def tree(tmp_path, write):
    rest = iter([*OTHERS, *(f"thing {i}" for i in range(459))])
    names = [KNOWN[i] if i in KNOWN else next(rest) for i in range(1, 460)]
    text = "".join(f"{i}: {name}\n" for i, name in enumerate(names, 1))
    (tmp_path / "labels.txt").write_text(text)
    lists = tmp_path / VOC / "ImageSets/Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("x\n")
    (lists / "val.txt").write_text("x\n")
    write(tmp_path / VOC / "JPEGImages/x.jpg", np.zeros((2, 4, 3)))
    (tmp_path / "trainval").mkdir()
    labels = np.array([[0, 2, 19, 80], [397, 440, 458, 255]], np.uint16)
    scipy.io.savemat(tmp_path / "trainval/x.mat", {"LabelMap": labels})
    return tmp_path


def test_59_classes_ignore_all_else(tree):
    # Ids: shelhamer's classes-59.txt, less one; labels of other names by the
    # correspondence of its pascalcontext_layers.py (bedcloth, clothes, diningtable).
    dataset = open_dataset(tree)
    assert isinstance(dataset, PascalContext)
    assert (len(dataset.class_names), dataset.class_names[14]) == (59, "person")
    np.testing.assert_array_equal(
        dataset[0].mask, [[255, 0, 51, 27], [10, 55, 58, 255]]
    )
    assert (0, 0, 0) not in dataset.colors


def test_60_classes_have_a_background(tree):
    dataset = open_dataset(tree, "validation", labels="60")
    assert (dataset.class_names[0], dataset.colors[0]) == ("background", (0, 0, 0))
    np.testing.assert_array_equal(dataset[0].mask, [[0, 1, 52, 28], [11, 56, 59, 0]])


def test_full_set_keeps_the_numbers_but_for_255(tree):
    dataset = PascalContext(tree, labels="full")
    np.testing.assert_array_equal(
        dataset[0].mask, [[255, 2, 19, 80], [397, 440, 458, 0]]
    )
    assert len(dataset.class_names) == 460
    assert dataset.class_names[0] == "money"
    assert dataset.class_names[255] == "ignored"
    assert dataset.class_names[397] == "table"


@pytest.mark.parametrize("change", ["cut", "renumber", "rename"])
def test_damaged_list_of_labels_is_an_error(tree, change):
    text = (tree / "labels.txt").read_text()
    changed = {
        "cut": text[:2000],
        "renumber": text.replace("7: ", "8: ", 1),
        "rename": text.replace("440: wall", "440: walls"),
    }[change]
    (tree / "labels.txt").write_text(changed)
    with pytest.raises(ValueError, match="labels.txt of [0-9]+ lines, not the 459"):
        PascalContext(tree)


def test_label_beyond_the_list_is_named(tree):
    labels = np.full((2, 4), 460, np.uint16)
    scipy.io.savemat(tree / "trainval/x.mat", {"LabelMap": labels})
    with pytest.raises(ValueError, match=r"0..459. Received.*x\.mat' with 460"):
        PascalContext(tree)[0]


def test_unknown_labels_are_an_error(tree):
    with pytest.raises(ValueError, match="`labels`.*Received: labels='33'"):
        PascalContext(tree, labels="33")
