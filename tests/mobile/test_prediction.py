"""Masks of folders of photos, and what annotation tools read of them."""

import json

import keras
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from kseg.data.annotations import convert
from kseg.mobile.images import PHOTOS
from kseg.mobile.prediction import predict

NAMES = ("background", "skin", "clothes")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of two photos of people, one below it, and one turned by its EXIF."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "more").mkdir()
    for number, name in ((1, "upright.png"), (57, "more/turned.jpg")):
        with Image.open(PHOTOS / f"ccp_{number:04d}.jpg") as photo:
            photo.thumbnail((240, 240))
            exif = photo.getexif()
            if "turned" in name:
                exif[0x0112] = 6  # to be turned by 90 degrees
                photo = photo.transpose(Image.Transpose.ROTATE_90)
            photo.save(folder / name, exif=exif)
    return folder


def read_ids(path):
    """The class ids of a picture, and the names of its colours' count."""
    with Image.open(path) as picture:
        return np.asarray(picture)


def check_outlines(found, expected):
    """Compares masks that are equal but within a pixel of the outlines."""
    assert found.shape == expected.shape
    assert len(np.unique(expected)) > 1, "a mask of one class alone shows little"
    near = ndimage.maximum_filter(expected, 3) != ndimage.minimum_filter(expected, 3)
    wider = ndimage.binary_dilation(near)
    np.testing.assert_array_equal(found[~wider], expected[~wider])


@pytest.mark.parametrize("tool", ["labelme", "coco"])
def test_what_a_tool_reads_is_the_mask_but_for_a_pixel(photos, tmp_path, tool):
    output = tmp_path / "out"
    masks = predict("person_float16", photos, output, tool)
    assert [m.relative_to(output).as_posix() for m in masks] == [
        "more/turned_mask.png",
        "upright_mask.png",
    ]
    files = {path.relative_to(output).as_posix() for path in output.rglob("*.json")}
    assert files == (
        {"annotations.json"} if tool == "coco" else {"upright.json", "more/turned.json"}
    )
    source = output / "annotations.json" if tool == "coco" else output
    convert(tool, source, tmp_path / "back", images=photos)
    classes = json.loads((tmp_path / "back" / "classes.json").read_text())
    for mask, name in zip(masks, ("more/turned", "upright"), strict=True):
        back = next((tmp_path / "back" / "masks").rglob(f"*{name.split('/')[-1]}.png"))
        check_outlines(read_ids(back), read_ids(mask))
    assert "person" in str(classes)


def test_labelme_finds_the_photo_of_a_file_and_few_points_to_move(photos, tmp_path):
    output = tmp_path / "out"
    predict("person_float16", photos, output, "labelme")
    for file, photo in (("upright", "upright.png"), ("more/turned", "more/turned.jpg")):
        path = output / f"{file}.json"
        content = json.loads(path.read_text())
        assert (path.parent / content["imagePath"]).resolve() == photos / photo
        (largest, *_) = content["shapes"]
        assert largest["label"] == "person"
        mask = read_ids(output / f"{file}_mask.png")
        edges = np.count_nonzero(np.diff(mask, axis=0)) + np.count_nonzero(
            np.diff(mask, axis=1)
        )
        assert 3 <= len(largest["points"]) < edges / 3


@pytest.fixture(scope="module")
def colours_net(tmp_path_factory):
    """A `.keras` of three classes: the channel of the picture that is the brightest."""
    image = keras.Input((None, None, 3))
    conv = keras.layers.Conv2D(3, 1, activation="softmax")
    model = keras.Model(image, conv(image))
    conv.set_weights([np.eye(3, dtype="float32")[None, None], np.zeros(3)])
    path = tmp_path_factory.mktemp("run") / "best.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def flag(tmp_path_factory):
    """A picture with a green and a blue stripe on red."""
    pixels = np.zeros((40, 60, 3), "uint8")
    pixels[..., 0] = 200
    pixels[5:15], pixels[25:35] = (0, 200, 0), (0, 0, 200)
    path = tmp_path_factory.mktemp("flag") / "flag.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, ["class 1", "class 2"]),
        ({"classes": NAMES}, ["skin", "clothes"]),
        ({"classes": ["too", "few"]}, ["class 1", "class 2"]),
        ({"epochs": 3}, ["class 1", "class 2"]),
        (["no object"], ["class 1", "class 2"]),
        ({"classes": ["sky", "skin", "clothes"]}, ["sky", "skin", "clothes"]),
    ],
    ids=["none", "names", "too few", "of something else", "a list", "no background"],
)
def test_classes_have_the_names_of_the_run_folder(
    colours_net, flag, tmp_path, config, expected
):
    run = tmp_path / "run"
    run.mkdir()
    net = run / "best.keras"
    net.write_bytes(colours_net.read_bytes())
    if config is not None:
        (run / "config.json").write_text(json.dumps(config))
    predict(net, flag, tmp_path / "out", "coco")
    content = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert [category["name"] for category in content["categories"]] == expected
    stripes = {category["name"]: category["id"] for category in content["categories"]}
    boxes = {x["category_id"]: x["bbox"] for x in content["annotations"]}
    assert boxes[stripes[expected[-2]]] == [0, 5, 60, 10]
    assert boxes[stripes[expected[-1]]] == [0, 25, 60, 10]


def test_a_net_shipped_by_name_has_no_names_beside_it(flag, tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text(json.dumps({"classes": ["a", "b"]}))
    monkeypatch.chdir(tmp_path)
    predict("person", flag, "out", "coco")
    content = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert [c["name"] for c in content["categories"]] == ["class 1"]


def test_class_ids_without_names_cannot_be_annotated(person_net, quick, flag, tmp_path):
    path = quick(person_net, output="category_mask").path
    output = tmp_path / "out"
    with pytest.raises(ValueError, match="`annotations` needs .*unknown number of cla"):
        predict(path, flag, output, "labelme")
    assert not output.exists()
    assert len(predict(path, flag, output)) == 1


def test_a_tool_that_is_unknown_is_said_before_the_work(flag, tmp_path):
    with pytest.raises(ValueError, match=r"`annotations` must be one of .*'cvat'"):
        predict("no net", flag, tmp_path / "out", "cvat")


def test_two_photos_of_one_name_are_refused(flag, tmp_path):
    other = tmp_path / "flag.jpg"
    Image.new("RGB", (8, 8)).save(other)
    with pytest.raises(
        ValueError, match=r"`images` must have different names.*flag_ma"
    ):
        predict("person", [flag, other], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_where_there_is_no_photo_is_said(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=f"`images` must .*{folder}"):
        predict("person", tmp_path / folder, tmp_path / "out")
