import shutil

import numpy as np
import pytest
import scipy.io
from PIL import Image

from kseg.data.datasets import CCP
from kseg.data.datasets.ccp import CLOTHES


@pytest.fixture
def tree(tmp_path, data_dir, write):
    """Photo 0001 and 0850 in the published layout, small."""
    shutil.copy(data_dir("ccp") / "label_list.mat", tmp_path)
    (tmp_path / "annotations" / "pixel-level").mkdir(parents=True)
    for number in ("0001", "0850"):
        write(tmp_path / "photos" / f"{number}.jpg", np.zeros((4, 6, 3)))
        write_mat(tmp_path, number, np.arange(24, dtype=np.uint8).reshape(4, 6))
    return tmp_path


def write_mat(root, number, tags, key="groundtruth"):
    scipy.io.savemat(root / f"annotations/pixel-level/{number}.mat", {key: tags})


@pytest.mark.parametrize(
    ("split", "count", "first", "last"),
    [
        ("train", 800, "0001", "0800"),
        ("validation", 100, "0801", "0900"),
        ("all", 900, "0001", "0900"),
    ],
)
def test_splits_of_the_compacted_data(data_dir, split, count, first, last):
    dataset = CCP(data_dir("ccp"), split)
    assert len(dataset) == count
    assert dataset.expected == (1004 if split == "all" else count)
    assert (dataset.ids[0], dataset.ids[-1]) == (first, last)


def test_split_defaults_to_train_with_tags(data_dir):
    dataset = CCP(data_dir("ccp"))
    assert (len(dataset), dataset.num_classes, dataset.labels) == (800, 59, "tags")


def test_names_are_those_of_the_label_list(data_dir):
    # Oracle: the file as scipy reads it; skin and hair as in the README of the data.
    dataset = CCP(data_dir("ccp-original"))
    cells = scipy.io.loadmat(data_dir("ccp") / "label_list.mat")["label_list"]
    assert list(dataset.class_names) == [cell[0] for cell in cells[0]]
    assert len(dataset.class_names) == 59
    names = dataset.class_names
    assert (names[0], names[19], names[41]) == ("null", "hair", "skin")


def test_published_annotations_agree_with_the_compacted_ones(data_dir):
    """Both layouts hold the same photos, so the same classes in the same shares."""
    original, compacted = CCP(data_dir("ccp-original")), CCP(data_dir("ccp"))
    assert len(original) == 16
    for sample in original:
        other = compacted.take([sample.id])[0]
        shares = [
            np.bincount(mask.ravel(), minlength=59) / mask.size
            for mask in (sample.mask, other.mask)
        ]
        np.testing.assert_array_equal(shares[0] > 0, shares[1] > 0)
        np.testing.assert_allclose(*shares, atol=5e-4)


@pytest.mark.parametrize("name", ["ccp", "ccp-original"])
def test_masks_are_the_files_values(data_dir, name):
    root = data_dir(name)
    sample = CCP(root)[4]
    file = root / "annotations" / "pixel-level" / "0005"
    if name == "ccp":
        expected = np.array(Image.open(file.with_suffix(".png")))
    else:
        expected = scipy.io.loadmat(file.with_suffix(".mat"))["groundtruth"]
    np.testing.assert_array_equal(sample.mask, expected)
    assert sample.image.shape == (*expected.shape, 3)
    assert sample.mask.dtype == np.uint8


@pytest.mark.parametrize("name", ["ccp", "ccp-original"])
def test_person_is_everything_but_null(data_dir, name):
    person = CCP(data_dir(name), labels="person")
    assert person.class_names == ("background", "person")
    assert person.num_classes == 1
    tags = CCP(data_dir(name))
    for i in range(3):
        np.testing.assert_array_equal(person[i].mask, tags[i].mask != 0)


@pytest.mark.parametrize("name", ["ccp", "ccp-original"])
def test_clothes_are_groups_of_tags(data_dir, name):
    tags, clothes = CCP(data_dir(name)), CCP(data_dir(name), labels="clothes")
    groups = "background hair skin top outerwear dress bottom shoes bag/accessory"
    assert clothes.class_names == tuple(groups.split())
    assert len(set(clothes.colors)) == 9
    some = {"null": 0, "hair": 1, "skin": 2, "t-shirt": 3, "coat": 4, "dress": 5}
    some |= {"jeans": 6, "boots": 7, "bag": 8, "watch": 8}
    for i in range(4):
        for tag, group in some.items():
            here = tags[i].mask == tags.class_names.index(tag)
            assert (clothes[i].mask[here] == group).all()


def test_every_tag_is_in_one_group(data_dir):
    grouped = [tag for group in CLOTHES.values() for tag in group]
    assert sorted(grouped) == sorted(CCP(data_dir("ccp")).class_names)


def test_other_tags_cannot_be_grouped(tree):
    names = np.array([["null"], ["hair"]], object)
    scipy.io.savemat(tree / "label_list.mat", {"label_list": names})
    with pytest.raises(ValueError, match=r"59 tags.*label_list\.mat"):
        CCP(tree, labels="clothes")


def test_views_keep_the_labels(data_dir):
    view = CCP(data_dir("ccp"), labels="person")[5:8].take(["0007"])
    assert set(np.unique(view[0].mask)) == {0, 1}


def test_photos_with_tags_alone_are_left_out(data_dir):
    assert (data_dir("ccp-original") / "photos" / "1005.jpg").is_file()
    assert "1005" not in CCP(data_dir("ccp-original"), "all").ids


def test_split_that_is_absent_is_an_error(data_dir):
    with pytest.raises(ValueError, match=r"split 'validation' \(0801–0900\)"):
        CCP(data_dir("ccp-original"), "validation")


@pytest.mark.parametrize("path", ["", "nowhere"])
def test_missing_tree_tells_both_layouts_and_the_page(tmp_path, path):
    with pytest.raises(ValueError, match="Received: path=") as caught:
        CCP(tmp_path / path)
    for part in (
        "github.com/bearpaw/clothing-co-parsing",
        "label_list.mat",
        "photos/0001.jpg",
        "pixel-level/0001.mat",
        "0001.png",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize("argument", ["split", "labels"])
def test_unknown_choice_is_an_error(data_dir, argument):
    with pytest.raises(ValueError, match=f"`{argument}`.*Received: {argument}='val'"):
        CCP(data_dir("ccp"), **{argument: "val"})


def test_annotation_without_photo_is_an_error(tree):
    (tree / "photos" / "0850.jpg").unlink()
    assert len(CCP(tree, "train")) == 1
    with pytest.raises(ValueError, match=r"without the photos \['0850'\]"):
        CCP(tree, "all")


def test_files_that_are_not_numbered_are_passed_over(tree):
    (tree / "annotations" / "pixel-level" / "._0001.mat").write_bytes(b"")
    (tree / "annotations" / "pixel-level" / "notes.png").write_bytes(b"")
    assert CCP(tree, "all").ids == ("0001", "0850")


def test_matlab_doubles_are_class_ids_if_whole(tree):
    write_mat(tree, "0001", np.full((4, 6), 7.0))
    assert (CCP(tree)[0].mask == 7).all()
    write_mat(tree, "0001", np.full((4, 6), 7.5))
    with pytest.raises(ValueError, match=r"class ids.*0001\.mat.*7\.5"):
        CCP(tree)[0]


def test_damaged_mat_is_named(tree):
    file = tree / "annotations" / "pixel-level" / "0001.mat"
    file.write_bytes(file.read_bytes()[:150])
    with pytest.raises(ValueError, match=r"whole.*Received: '.*0001\.mat'"):
        CCP(tree)[0]
    write_mat(tree, "0001", np.zeros((4, 6)), key="tags")
    with pytest.raises(ValueError, match=r"hold `groundtruth`.*0001\.mat"):
        CCP(tree)[0]


def test_damaged_label_list_is_named(tree):
    (tree / "label_list.mat").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"Received: '.*label_list\.mat'"):
        CCP(tree)
