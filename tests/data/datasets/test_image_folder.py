import json

import numpy as np
import pytest
from PIL import Image

from kseg.data import check
from kseg.data.datasets import ImageFolder


def link(folder, files):
    """Makes a folder of links `{name: file}`, to give real files other names."""
    folder.mkdir(parents=True)
    for name, file in files.items():
        (folder / name).symlink_to(file)


def test_0_255_masks_become_classes_0_and_1(make_folder):
    dataset = ImageFolder(make_folder({"a": [[0, 255]], "b": [[255, 0]]}))
    assert dataset.num_classes == 1
    np.testing.assert_array_equal(dataset[0].mask, [[0, 1]])
    np.testing.assert_array_equal(dataset[1].mask, [[1, 0]])
    assert dataset[0].mask.dtype == np.uint8


def test_trimap_with_128_ignored(make_folder):
    dataset = ImageFolder(make_folder({"a": [[0, 128, 255]]}), ignore_class=128)
    np.testing.assert_array_equal(dataset[0].mask, [[0, 255, 1]])


def test_class_ids_stay_and_255_is_ignored(make_folder):
    dataset = ImageFolder(make_folder({"a": [[0, 1, 2, 255]]}))
    assert dataset.num_classes == 3
    np.testing.assert_array_equal(dataset[0].mask, [[0, 1, 2, 255]])


def test_other_ignore_class_becomes_255(make_folder):
    dataset = ImageFolder(make_folder({"a": [[0, 1, 2, 9]]}), ignore_class=9)
    np.testing.assert_array_equal(dataset[0].mask, [[0, 1, 2, 255]])


def test_1_bit_masks_among_0_255_masks(make_folder):
    one_bit = Image.fromarray(np.array([[False, True]]))
    dataset = ImageFolder(make_folder({"a": one_bit, "b": [[0, 255]]}))
    np.testing.assert_array_equal(dataset[0].mask, dataset[1].mask)
    np.testing.assert_array_equal(dataset[0].mask, [[0, 1]])


def test_one_pixel_pictures(make_folder):
    dataset = ImageFolder(make_folder({"a": [[0]], "b": [[1]]}))
    assert [sample.mask.item() for sample in dataset] == [0, 1]
    assert dataset[0].image.shape == (1, 1, 3)


def test_two_folders_anywhere_with_nested_folders(make_folder, tmp_path):
    masks = {"x/1": [[0, 1]], "y z/1": [[1, 0]], "写真/é": [[1, 1]]}
    make_folder(masks, images="in", to="out/truth")
    dataset = ImageFolder(str(tmp_path / "in"), str(tmp_path / "out" / "truth"))
    assert dataset.ids == ("x/1", "y z/1", "写真/é")
    check(dataset)


def test_inferred_tells_what_was_found(make_folder):
    dataset = ImageFolder(make_folder({"a": [[0, 1, 3, 255]]}))
    assert dataset.inferred == {
        "masks": "class ids",
        "stored as": "greyscale",
        "class_names": ["0", "1", "2", "3"],
        "classes that never occur": ["2"],
        "ignored value": 255,
        "names from": "the values of the masks",
    }
    json.dumps(dataset.inferred)


@pytest.mark.parametrize("folder", ["masks", "."])
@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("classes.json", '["background", "chat", "été"]'),
        ("classes.json", '{"1": "chat", "0": "background", "2": "été"}'),
        ("classes.txt", "background\r\nchat\r\n\r\n été \r\n"),
        ("class_names.txt", "background\nchat\nété"),
        ("classes.txt", "\ufeffbackground\nchat\nété\n"),
    ],
)
def test_names_are_read_beside_the_masks(make_folder, folder, file, text):
    root = make_folder({"a": [[0, 1]]})
    (root / folder / file).write_bytes(text.encode())
    dataset = ImageFolder(root)
    assert dataset.class_names == ("background", "chat", "été")
    assert dataset.inferred["names from"] == str(root / folder / file)


def test_class_names_given_win_over_the_file(make_folder):
    root = make_folder({"a": [[0, 1]]})
    (root / "classes.txt").write_text("a\nb\nc")
    dataset = ImageFolder(root, class_names=["background", "cat"])
    assert dataset.class_names == ("background", "cat")
    assert dataset.inferred["names from"] == "class_names"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("classes.json", '["a", "b"'),
        ("classes.json", '["a", 2]'),
        ("classes.json", '{"1": "a", "2": "b"}'),
        ("classes.json", '"ab"'),
        ("classes.txt", "person\n"),
        ("classes.txt", ""),
        ("classes.txt", "a\nb\xff"),
    ],
)
def test_unusable_file_of_names_is_named(make_folder, file, text):
    root = make_folder({"a": [[0, 1]]})
    (root / file).write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=rf"the name of class 0.*Received: '.*{file}'"):
        ImageFolder(root)


@pytest.mark.parametrize("class_names", [(), ("cat",), "background"])
def test_fewer_than_two_class_names_are_refused(make_folder, class_names):
    with pytest.raises(ValueError, match="at least two.*Received: class_names="):
        ImageFolder(make_folder({"a": [[0, 1]]}), class_names=class_names)


@pytest.mark.parametrize("ignore_class", [None, -1, "255"])
def test_ignore_class_that_no_mask_can_hold_is_refused(make_folder, ignore_class):
    with pytest.raises(ValueError, match="`ignore_class`.*Received: ignore_class="):
        ImageFolder(make_folder({"a": [[0, 1]]}), ignore_class=ignore_class)


def test_painted_masks_are_mapped_by_colors(make_folder):
    painted = np.array([[[0, 0, 0], [255, 0, 255], [224, 224, 192]]], np.uint8)
    root = make_folder({"a": painted, "b": Image.new("L", (2, 2))})
    colors = {(0, 0, 0): 0, (255, 0, 255): 1, (224, 224, 192): 255}
    dataset = ImageFolder(root, class_names=("background", "road"), colors=colors)
    np.testing.assert_array_equal(dataset[0].mask, [[0, 1, 255]])
    np.testing.assert_array_equal(dataset[1].mask, np.zeros((2, 2)))
    assert dataset.colors == ((0, 0, 0), (255, 0, 255))
    assert dataset.num_classes == 1


def test_palette_masks_are_mapped_by_colors_too(make_folder):
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([255, 0, 255, 0, 0, 0])
    colors = {(0, 0, 0): 0, (255, 0, 255): 1}
    dataset = ImageFolder(make_folder({"a": image}), colors=colors)
    np.testing.assert_array_equal(dataset[0].mask, [[1, 0]])


def test_colour_without_class_is_named_with_its_file(make_folder):
    painted = np.array([[[0, 0, 0], [1, 2, 3]]], np.uint8)
    root = make_folder({"a": painted})
    with pytest.raises(ValueError, match=r"a\.png' with \(1, 2, 3\) beside"):
        check(ImageFolder(root, colors={(0, 0, 0): 0, (255, 0, 255): 1}))


def test_painted_masks_without_colors_are_refused_with_the_way_out(make_folder):
    painted = np.array([[[0, 0, 0], [255, 0, 255]]], np.uint8)
    with pytest.raises(ValueError, match=r"`colors=\{.*a\.png.*\(255, 0, 255\)"):
        ImageFolder(make_folder({"a": painted}))


def test_jpeg_masks_are_refused(make_folder, write):
    root = make_folder({"a": [[0, 1]]})
    (root / "masks" / "a.png").unlink()
    write(root / "masks" / "a.jpg", np.zeros((8, 8)))
    with pytest.raises(ValueError, match=r"without loss.*a\.jpg' of format JPEG"):
        ImageFolder(root)


def test_splits_share_the_classes_of_all(make_folder, tmp_path):
    make_folder({"1": [[0, 1]]}, images="train/images", to="train/masks")
    make_folder({"1": [[0, 2]]}, images="val/images", to="val/masks")
    folders = {n: (f"{n}/images", f"{n}/masks") for n in ("train", "val")}
    splits = ImageFolder.splits(tmp_path, folders)
    assert list(splits) == ["train", "val"]
    for name, split in splits.items():
        assert split.class_names == ("0", "1", "2")
        assert split.ids == ("1",)
        assert name in str(split.paths(0)[0])
    np.testing.assert_array_equal(splits["val"][0].mask, [[0, 2]])


def test_faces_with_19_classes(data_dir):
    dataset = ImageFolder(data_dir("celebamask"))
    assert (len(dataset), dataset.num_classes) == (400, 19)
    expected = np.array(Image.open(dataset.paths(7)[1]))
    np.testing.assert_array_equal(dataset[7].mask, expected)


def test_skin_masks_of_0_255(data_dir):
    dataset = ImageFolder(data_dir("pratheepan") / "FacePhoto")
    assert (len(dataset), dataset.num_classes) == (32, 1)
    check(dataset[:5])


def test_nested_videos_of_0_255(data_dir):
    root = data_dir("davis2016")
    dataset = ImageFolder(root / "JPEGImages", root / "Annotations")
    assert (len(dataset), dataset.num_classes) == (105, 1)
    expected = np.array(Image.open(dataset.paths(99)[1])) == 255
    np.testing.assert_array_equal(dataset[99].mask, expected)


def test_label_ids_of_cityscapes(data_dir, tmp_path):
    root, names = data_dir("cityscapes"), ("_leftImg8bit", "_gtFine_labelIds")
    for folder, ending in zip(("images", "labelIds"), names, strict=True):
        files = {f.name.replace(ending, ""): f for f in (root / folder).iterdir()}
        link(tmp_path / folder, files)
    dataset = ImageFolder(tmp_path / "images", tmp_path / "labelIds")
    # 34 ids by the data set's own table, of which each occurs or is named unused.
    assert dataset.num_classes == 34
    check(dataset)


def test_sparse_ids_of_coco_stuff_need_names(data_dir):
    root = data_dir("coco-stuff") / "datasets" / "coco_stuff"
    two = root / "val_img", root / "val_label"
    with pytest.raises(ValueError, match="Pass `class_names`"):
        ImageFolder(*two)
    dataset = ImageFolder(*two, class_names=[str(i) for i in range(182)])
    assert dataset.inferred["ignored value"] == 255
    check(dataset)


def test_labelme_export_as_pascal_voc(data_dir):
    root = data_dir("annotations") / "labelme/semantic_segmentation/data_dataset_voc"
    dataset = ImageFolder(root / "JPEGImages", root / "SegmentationClass")
    # Oracle: class_names.txt that the converter wrote; 20 classes and background.
    assert dataset.num_classes == 21
    assert dataset.class_names[:3] == ("_background_", "aeroplane", "bicycle")
    assert dataset.colors[15] == (192, 128, 128)
    assert dataset.inferred["stored as"] == "palette"
    check(dataset)


def test_painted_road_of_kitti(data_dir, tmp_path):
    root = data_dir("kitti-road") / "data_tiny" / "data_road" / "training"
    link(tmp_path / "images", {f.name: f for f in (root / "image_2").iterdir()})
    masks = (root / "gt_image_2").glob("um_road_*.png")
    link(tmp_path / "masks", {f.name.replace("road_", ""): f for f in masks})
    with pytest.raises(ValueError, match="pass their meaning"):
        ImageFolder(tmp_path)
    colors = {(255, 0, 0): 0, (255, 0, 255): 1, (0, 0, 0): 255}
    dataset = ImageFolder(tmp_path, colors=colors)
    painted = np.array(Image.open(dataset.paths(0)[1]))
    np.testing.assert_array_equal(
        dataset[0].mask == 1, (painted == (255, 0, 255)).all(-1)
    )
