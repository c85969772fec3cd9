import json
import os
import random
import shutil
from xml.etree.ElementTree import tostring

import numpy as np
import pytest
from defusedxml import ElementTree
from PIL import Image

from kseg.data.annotations import Report, convert
from kseg.data.annotations import folder as folder_module
from kseg.data.datasets import ImageFolder, open_dataset
from kseg.data.reading import read_mask
from kseg.plot import palette


def labelme(name="a.jpg", label="a", size=(20, 30), left=0):
    box = [[left, 0], [left + 4, 4]]
    return {
        "version": "5.7.0",
        "shapes": [{"label": label, "points": box, "shape_type": "rectangle"}],
        "imagePath": name,
        "imageHeight": size[0],
        "imageWidth": size[1],
    }


@pytest.fixture
def pair(photo, write):
    """Makes a photo with its file of LabelMe."""

    def pair(stem, label="a", **options):
        photo(f"{stem}.jpg")
        write(f"{stem}.json", labelme(f"{stem.split('/')[-1]}.jpg", label, **options))

    return pair


def test_output_is_a_data_set_that_trains(pair, folder, tmp_path):
    pair("one", "b")
    pair("two", "a")
    report = convert("labelme", folder, tmp_path / "out")
    assert isinstance(report, Report)
    dataset = ImageFolder(tmp_path / "out")
    assert dataset.ids == ("one", "two")
    assert dataset.class_names == ("background", "a", "b")
    assert [np.unique(sample.mask).tolist() for sample in dataset] == [[0, 2], [0, 1]]
    assert open_dataset(tmp_path / "out", "train").class_names == dataset.class_names
    copied = (tmp_path / "out" / "images" / "one.jpg").read_bytes()
    assert copied == (folder / "one.jpg").read_bytes()


def test_ignored_and_foreground_are_told_apart(pair, write, folder, tmp_path):
    # Masks of 0 and 255 alone must not be taken for foreground.
    pair("one", "__ignore__")
    convert("labelme", folder, tmp_path / "out", classes=("background", "a"))
    dataset = ImageFolder(tmp_path / "out")
    assert np.unique(dataset[0].mask).tolist() == [0, 255]


def test_mask_is_a_palette_png_of_8_bits(pair, folder, tmp_path):
    pair("one")
    convert("auto", folder, tmp_path / "out")
    with Image.open(tmp_path / "out" / "masks" / "one.png") as image:
        assert image.mode == "P"
        assert tuple(image.getpalette()[:9]) == sum(palette(3), ())
        assert image.getpalette()[-3:] == [224, 224, 192]


def test_instances_are_16_bit(pair, folder, tmp_path):
    pair("one")
    convert("auto", folder, tmp_path / "out", instances=True)
    with Image.open(tmp_path / "out" / "instances" / "one.png") as image:
        assert image.mode == "I;16"
        assert np.unique(np.array(image)).tolist() == [0, 1]


def test_report_counts_and_is_kept(pair, write, folder, tmp_path):
    pair("one", "b")
    pair("two", left=28)
    write("notes.json", {"a": 1})
    report = convert("labelme", folder, tmp_path / "out")
    assert report.pixels == {"background": 1200 - 16 - 8, "a": 8, "b": 16}
    assert report.passed_over == (str(folder / "notes.json"),)
    kept = json.loads((tmp_path / "out" / "report.json").read_text())
    assert kept["pixels"] == report.pixels
    assert kept["pictures"][0]["annotations"] == "one.json"
    assert str(report).startswith("2 pictures with 2 shapes (labelme) are in ")


def test_shape_that_covers_nothing_is_reported(pair, folder, tmp_path):
    pair("one")
    pair("two", left=99)
    report = convert("labelme", folder, tmp_path / "out")
    assert report.empty == ("two.json: shapes[0]",)
    assert "shapes that cover no pixel: two.json: shapes[0]" in str(report)


def test_folders_stay_and_splits_are_known(pair, folder, tmp_path):
    pair("Train/x/1")
    pair("Val/x/1")
    convert("labelme", folder, tmp_path / "out")
    assert open_dataset(tmp_path / "out", "train").ids == ("x/1",)
    assert open_dataset(tmp_path / "out", "validation").ids == ("x/1",)


def test_photos_in_a_folder_of_their_own(pair, folder, tmp_path):
    pair("one")
    (tmp_path / "photos").mkdir()
    (folder / "one.jpg").rename(tmp_path / "photos" / "one.jpg")
    report = convert("labelme", folder, tmp_path / "out", images=tmp_path / "photos")
    assert report.pictures[0]["id"] == "one"


def test_all_problems_are_named_at_once(pair, write, fails):
    for stem in ("one", "two", "three"):
        pair(stem)
    write("one.json", {**labelme("one.jpg"), "shapes": [{"label": 5}]})
    write("two.json", "{")
    message = fails("labelme")
    assert message.startswith("2 of 3 files of annotations cannot be used:")
    assert "\n- one.json: shapes[0].label: This must be a string" in message
    assert "\n- two.json: The file must be whole JSON" in message


def test_photo_of_another_size_is_named(pair, photo, write, fails):
    pair("one", size=(20, 31))
    message = fails("labelme")
    assert "one.json: imagePath: The photo must have the height and width" in message
    assert "(20, 31)" in message
    assert "of (20, 30)" in message


def test_photo_annotated_before_it_was_turned_is_told(photo, write, fails):
    exif = Image.Exif()
    exif[274] = 6
    photo("a.jpg", exif=exif)
    write("a.json", labelme())
    assert "before its EXIF orientation turns it upright" in fails("labelme")


def test_photo_annotated_upright_stays_turned(photo, write, folder, tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    photo("a.jpg", exif=exif)
    write("a.json", labelme(size=(30, 20)))
    convert("labelme", folder, tmp_path / "out")
    sample = ImageFolder(tmp_path / "out")[0]
    assert sample.image.shape[:2] == sample.mask.shape == (30, 20)


def test_photo_annotated_twice_is_named(pair, write, fails):
    pair("one")
    write("other.json", labelme("one.jpg"))
    message = fails("labelme")
    assert "other.json: imagePath: " in message
    assert "is annotated in one.json: imagePath, too" in message


def test_names_that_differ_in_case_or_suffix_only(photo, write, fails):
    photo("a.jpg")
    photo("A.png")
    write("a.json", labelme("a.jpg"))
    write("b.json", labelme("A.png"))
    assert "or a photo of the same name but for its suffix" in fails("labelme")


@pytest.mark.parametrize(
    "name", ["../../secret.jpg", "/etc/passwd", "..\\..\\secret.jpg"]
)
def test_photo_outside_is_not_read(write, folder, tmp_path, fails, name):
    Image.new("RGB", (30, 20)).save(tmp_path / "secret.jpg")
    write("x/a.json", labelme(name))
    assert "0 found, 1 missing: x/a.json: imagePath" in fails("labelme")


def test_link_to_a_photo_outside_is_not_read(write, folder, tmp_path, fails):
    Image.new("RGB", (30, 20)).save(tmp_path / "secret.jpg")
    (folder / "a.jpg").symlink_to(tmp_path / "secret.jpg")
    write("a.json", labelme())
    assert "0 found, 1 missing: a.json: imagePath" in fails("labelme")


def test_file_that_is_no_picture_is_named(write, folder, fails):
    write("a.jpg", b"text")
    write("a.json", labelme())
    assert "a.jpg" in fails("labelme")
    write("a.json", labelme("a.json"))
    assert "a.json" in fails("labelme")


def test_hidden_photo_is_named(photo, write, fails):
    photo(".a.jpg")
    write("a.json", labelme(".a.jpg"))
    assert ".a.jpg is hidden: rename it" in fails("labelme")


def test_output_that_is_not_empty_is_left_alone(pair, folder, tmp_path):
    pair("one")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(
        FileExistsError, match="`output` must be a folder that does not"
    ):
        convert("labelme", folder, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_empty_output_folder_and_missing_parents_are_fine(pair, folder, tmp_path):
    pair("one")
    (tmp_path / "out").mkdir()
    convert("labelme", folder, tmp_path / "out")
    convert("labelme", folder, tmp_path / "new" / "deep" / "out")
    assert (tmp_path / "new" / "deep" / "out" / "classes.json").exists()
    assert oct((tmp_path / "out").stat().st_mode) == oct(tmp_path.joinpath("new").stat().st_mode)  # fmt: skip


def test_output_that_is_a_link_is_written_where_it_leads(pair, folder, tmp_path):
    pair("one")
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    convert("labelme", folder, tmp_path / "out")
    assert (tmp_path / "real" / "classes.json").exists()
    assert (tmp_path / "out").is_symlink()


@pytest.mark.parametrize(
    "error", [OSError("disk full"), KeyboardInterrupt(), MemoryError()]
)
def test_nothing_is_left_when_writing_fails(pair, folder, tmp_path, monkeypatch, error):
    for stem in ("one", "two", "three"):
        pair(stem)
    done = []

    def copy(source, target):
        done.append(target)
        if len(done) == 2:
            raise error
        target.write_bytes(b"")

    monkeypatch.setattr(folder_module.shutil, "copyfile", copy)
    with pytest.raises((ValueError, type(error))):
        convert("labelme", folder, tmp_path / "out")
    assert len(done) >= 2
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_second_run_gives_the_same_bytes(pair, folder, tmp_path):
    for stem in ("one", "two"):
        pair(stem, stem)
    for name in ("out1", "out2"):
        convert("labelme", folder, tmp_path / name, instances=True)
    files = sorted(p for p in (tmp_path / "out1").rglob("*") if p.is_file())
    assert len(files) == 8
    for path in files:
        other = tmp_path / "out2" / path.relative_to(tmp_path / "out1")
        assert path.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tool": "paint"}, "`tool` must be one of 'auto', 'labelme'"),
        ({"source": "gone"}, "`source` must be a file or a folder"),
        ({"source": "export/one.jpg"}, "unpack archives first"),
        ({"images": "gone"}, "`images` must be a folder"),
        ({"attribute": "x"}, "unless the tool is 'via'"),
        ({"line_width": -1}, "`line_width` must be"),
        ({"line_width": float("nan")}, "`line_width` must be"),
        ({"tool": "cvat"}, r"export of one tool \('cvat'\).*none.*one\.json"),
    ],
)
def test_wrong_argument_is_named(pair, tmp_path, monkeypatch, arguments, message):
    pair("one")
    monkeypatch.chdir(tmp_path)
    given = {"tool": "labelme", "source": "export", "output": "out", **arguments}
    with pytest.raises(ValueError, match=message):
        convert(**given)
    assert not (tmp_path / "out").exists()


def test_classes_renames_and_ids(pair, folder, tmp_path):
    pair("one", "truck")
    pair("two", "car")
    convert(
        "labelme",
        folder,
        tmp_path / "out",
        classes=("road", "vehicle"),
        renames={"car": "vehicle", "truck": "vehicle"},
    )
    for stem in ("one", "two"):
        mask = read_mask(tmp_path / "out" / "masks" / f"{stem}.png")
        assert np.unique(mask).tolist() == [1, 255]


WRONG = (None, True, -1, 1e308, 10**30, "", "x", "\ud800", [], {}, [[]], [{}], {"a": 1})


def mangled(value, rng):
    """A copy of a JSON value with one thing in it replaced or taken away."""
    value = json.loads(json.dumps(value))
    at, key = None, None
    here = value
    while isinstance(here, dict | list) and len(here) and (at is None or rng.random() < 0.8):  # fmt: skip
        at = here
        key = rng.choice(list(here) if isinstance(here, dict) else range(len(here)))
        here = at[key]
    if isinstance(at, dict) and rng.random() < 0.2:
        del at[key]
    else:
        at[key] = rng.choice(WRONG)
    return value


SOURCES = {
    "labelme": "labelme/primitives/primitives.json",
    "coco": "labelbox/coco/rle.json",
    "via": "via-rect-csv-json/via_export_json.json",
    "labelbox": "labelbox/labelbox_v1/image_export.json",
    "ndjson": "labelbox/ndjson/image_import.json",
}


def photos_of(name, document, folder, source):
    """Makes what the undamaged document needs."""
    sizes = {"primitives.jpg": (560, 450), "ckrazctum0z8a0ybc0b0o0g0v.jpg": (99, 70)}
    sizes |= {"2560px-Kitano_Street_Kobe01s5s4110.jpg": (256, 170)}
    if name == "coco":
        sizes = {i["file_name"]: (i["width"], i["height"]) for i in document["images"]}
    for photo, size in sizes.items():
        Image.new("RGB", size).save(folder / photo)
    if name in ("labelbox", "ndjson"):
        size = {"labelbox": (256, 170), "ndjson": (99, 70)}[name]
        for mask in (
            "ckr2k459500063h69uiumklz0.png",
            "3e729327-f038-f66c-186e-45e921ef9717-1.png",
        ):
            Image.new("1", size).save(folder / mask)
    return source.parent if name == "via" else folder


def check_mangled(data_dir, folder, tmp_path, name, seeds):
    source = data_dir("annotations") / SOURCES[name]
    document = json.loads(source.read_text())
    if name == "coco":
        crowds = [a for a in document["annotations"] if a["iscrowd"]]
        document["annotations"] = [*document["annotations"][:3], *crowds[:1]]
        used = {a["image_id"] for a in document["annotations"]}
        document["images"] = [i for i in document["images"] if i["id"] in used]
    images = photos_of(name, document, folder, source)
    converted = 0
    for seed in seeds:
        text = json.dumps(mangled(document, random.Random(seed)))
        (folder / "a.json").write_text(text)
        try:
            convert("auto", folder / "a.json", tmp_path / "out", images=images)
            converted += 1
            shutil.rmtree(tmp_path / "out")
        except ValueError as error:
            assert "a.json" in str(error) or "must hold shapes" in str(error)
        assert os.listdir(tmp_path) == ["export"]
    assert 0 < converted < len(seeds)


@pytest.mark.parametrize("name", SOURCES)
def test_whatever_is_wrong_the_error_is_clear(data_dir, folder, tmp_path, name):
    check_mangled(data_dir, folder, tmp_path, name, range(40))


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
def test_whatever_is_wrong_in_thousands(data_dir, folder, tmp_path, name):
    check_mangled(data_dir, folder, tmp_path, name, range(1000, 1600))


XML_SOURCES = {
    "images": "cvat-datumaro/for_images/export_project/annotations.xml",
    "video": "cvat-datumaro/for_video/annotations.xml",
    "boxes": "rectlabel-boxes/annotations/1.xml",
    "curves": "rectlabel/annotations/tuce-311434.xml",
}
WRONG_TEXTS = ("", "x", "-1", "nan", "inf", "1e999", "9" * 30, "1,2;3", "\u00e9", " ")


def check_mangled_xml(data_dir, folder, tmp_path, name, seeds):
    source = data_dir("annotations") / XML_SOURCES[name]
    images = source.parent.parent if source.parent.name == "annotations" else source.parent  # fmt: skip
    converted = 0
    for seed in seeds:
        rng = random.Random(seed)
        root = ElementTree.parse(source).getroot()
        meta = {id(element) for m in root.findall("meta") for element in m.iter()}
        element = rng.choice([e for e in root.iter() if id(e) not in meta])
        change = rng.choice(["text", "attribute", "tag", "remove"])
        if change == "attribute" and element.attrib:
            key = rng.choice(list(element.attrib))
            element.set(key, rng.choice(WRONG_TEXTS))
        elif change == "tag":
            element.tag = rng.choice(["polygon", "box", "mask", "object", "image"])
        elif change == "remove":
            for parent in root.iter():
                if element in list(parent):
                    parent.remove(element)
        else:
            element.text = rng.choice(WRONG_TEXTS)
        (folder / "a.xml").write_bytes(tostring(root))
        try:
            convert("auto", folder, tmp_path / "out", images=images, skip_missing=True)
            converted += 1
            shutil.rmtree(tmp_path / "out")
        except ValueError as error:
            assert "a.xml" in str(error) or "must hold" in str(error)
        assert os.listdir(tmp_path) == ["export"]
    # Nearly everything in a file of curves is a coordinate, and none can be missed.
    assert converted < len(seeds)
    assert converted or name == "curves"


@pytest.mark.parametrize("name", XML_SOURCES)
def test_whatever_is_wrong_in_xml_the_error_is_clear(data_dir, folder, tmp_path, name):
    check_mangled_xml(data_dir, folder, tmp_path, name, range(25))


@pytest.mark.slow
@pytest.mark.parametrize("name", XML_SOURCES)
def test_whatever_is_wrong_in_xml_in_thousands(data_dir, folder, tmp_path, name):
    check_mangled_xml(data_dir, folder, tmp_path, name, range(1000, 1400))
