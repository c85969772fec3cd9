import json

import numpy as np
import pytest
from PIL import Image

from kseg.data.annotations.labelbox import last_part

POLYGON = [{"x": 2, "y": 2}, {"x": 12, "y": 2}, {"x": 12, "y": 7}, {"x": 2, "y": 7}]
BOX = {"top": 10, "left": 20, "height": 3, "width": 5}
BITMAP = np.random.default_rng(4).random((20, 30)) < 0.3


def old(*objects, **more):
    return {
        "ID": "1",
        "DataRow ID": "row1",
        "Labeled Data": "https://storage.example/x%2Fproject/a.jpg?token=5",
        "External ID": None,
        "Label": {"objects": list(objects), "classifications": []},
        **more,
    }


def thing(label="a", **more):
    return {"featureId": "f", "title": label, "value": label, **more}


def line(label="a", row="a.jpg", **more):
    return {"uuid": "u", "dataRow": {"id": row}, "name": label, **more}


def version_2(*objects, size=(20, 30)):
    media = {"height": size[0], "width": size[1], "mime_type": "image/jpeg"}
    label = {"label_kind": "Default", "annotations": {"objects": list(objects)}}
    return {
        "data_row": {"id": "row1", "external_id": "a.jpg", "row_data": "https://x/y"},
        "media_attributes": media,
        "projects": {"p1": {"name": "p", "labels": [label]}},
    }


@pytest.mark.parametrize(
    "document",
    [
        [old(thing(polygon=POLYGON), thing("b", bbox=BOX))],
        old(thing(polygon=POLYGON), thing("b", bbox=BOX)),
        [line(polygon=POLYGON), line("b", bbox=BOX)],
        "\n".join(map(json.dumps, [line(polygon=POLYGON), line("b", bbox=BOX)])),
        version_2(
            {"name": "a", "polygon": POLYGON}, {"name": "b", "bounding_box": BOX}
        ),
    ],
    ids=["old array", "old object", "array", "lines", "export 2"],
)
def test_polygon_and_box_in_every_form(photo, write, masks_of, document):
    photo("a.jpg")
    write("a.json", document)
    names, masks = masks_of("auto")
    assert names == ("background", "a", "b")
    assert (masks["a"] == 1).sum() == 50
    assert (masks["a"][10:13, 20:25] == 2).all()
    assert (masks["a"] == 2).sum() == 15


@pytest.mark.parametrize("suffix", [".ndjson", ".jsonl"])
def test_other_endings(photo, write, masks_of, suffix):
    photo("a.jpg")
    write(f"a{suffix}", json.dumps(line(bbox=BOX)))
    assert masks_of("labelbox")[1]["a"].sum() == 15


def test_line_and_point_are_strokes(photo, write, masks_of):
    photo("a.jpg")
    ends = [{"x": 3, "y": 5}, {"x": 13, "y": 5}]
    write("a.json", [line(line=ends), line("b", point={"x": 20, "y": 10})])
    found = masks_of(line_width=2)[1]["a"]
    assert (found[4:6, 3:13] == 1).all()
    assert np.argwhere(found == 2).tolist() == [[9, 19], [9, 20], [10, 19], [10, 20]]


@pytest.mark.parametrize(
    "row",
    [
        line(mask={"instanceURI": "https://x.example/masks%2Fm1"}),
        line(mask={"instanceURI": "https://x.example/masks/m1.png?key=1"}),
        line(mask={"instanceURI": "masks/m1.png"}),
        old(thing(instanceURI="https://api.example/masks/feature/m1")),
        version_2({"name": "a", "mask": {"url": "https://api.example/m1/"}}),
    ],
    ids=["stem", "name", "path", "old", "export 2"],
)
def test_mask_in_a_file_beside_it(photo, write, folder, masks_of, row):
    photo("a.jpg")
    (folder / "masks").mkdir()
    Image.fromarray(BITMAP).save(folder / "masks" / "m1.png")
    write("a.json", [row])
    found = masks_of("labelbox")[1]["a"]
    np.testing.assert_array_equal(found == 1, BITMAP)


def test_mask_that_was_not_downloaded_is_named(photo, write, fails):
    photo("a.jpg")
    write("a.json", [line(mask={"instanceURI": "https://x.example/m1"})])
    message = fails()
    assert "1 missing: a.json: [0].mask.instanceURI 'https://x.example/m1'" in message


def test_mask_of_another_size_is_named(photo, write, folder, fails):
    photo("a.jpg")
    Image.fromarray(BITMAP[:10]).save(folder / "m1.png")
    write("a.json", [line(mask={"instanceURI": "m1"})])
    assert "its size is (10, 30), not (20, 30)" in fails()


def test_photo_by_external_id_then_address_then_row(photo, write, masks_of):
    for name in ("first.jpg", "a.jpg", "row3.png"):
        photo(name)
    rows = [
        old(thing(bbox=BOX), **{"External ID": "first.jpg"}),
        old(thing(bbox=BOX)),
        old(thing(bbox=BOX), **{"Labeled Data": "https://x/?", "DataRow ID": "row3"}),
    ]
    write("a.json", rows)
    assert sorted(masks_of()[1]) == ["a", "first", "row3"]


def test_schema_id_stands_for_a_name(photo, write, masks_of):
    photo("a.jpg")
    row = line(bbox=BOX, schemaId="c123")
    del row["name"]
    write("a.json", [row])
    assert masks_of(renames={"c123": "cat"})[0] == ("background", "cat")


def test_other_media_are_left_out_and_counted(photo, write, folder, tmp_path):
    from kseg.data.annotations import convert

    photo("a.jpg")
    rows = [
        line(bbox=BOX),
        line(location={"start": 1, "end": 2}),
        line(answer={"name": "x"}),
        line(relationship={"source": "u"}),
        line(bbox=BOX, page=4, unit="POINTS"),
        line(segments=[{"keyframes": []}]),
    ]
    write("a.json", rows)
    report = convert("labelbox", folder, tmp_path / "out")
    assert report.left_out == {
        "text": 1,
        "answer": 1,
        "relationship": 1,
        "object of a PDF page": 1,
        "object of a video": 1,
    }
    assert [picture["shapes"] for picture in report.pictures] == [1]


def test_two_labels_of_one_picture_are_refused(photo, write, fails):
    photo("a.jpg")
    row = version_2({"name": "a", "bounding_box": BOX})
    row["projects"]["p2"] = row["projects"]["p1"]
    write("a.json", [row])
    assert "A picture must be labelled once" in fails()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (line(bbox={"top": 1}), "[1].bbox: `left` must be given here"),
        (line(bbox={**BOX, "top": "1"}), "[1].bbox.top: This must be a number"),
        (line(bbox={**BOX, "top": float("nan")}), "[1].bbox.top: This must be a fin"),
        (line(bbox=[1, 2, 3, 4]), "[1].bbox: This must be an object"),
        (line(polygon=POLYGON[:2]), "[1].polygon: There must be at least 3 points"),
        (line(polygon=[1, 2, 3]), "[1].polygon[0]: This must be an object"),
        (line(mask={"colorRGB": [0, 0, 0]}), "[1].mask: A mask must have its"),
        (line(mask={"instanceURI": 5}), "[1].mask.instanceURI: This must be a string"),
        (line(5, bbox=BOX), "[1].name: This must be a string"),
        (line(row=5, bbox=BOX), "[1].dataRow.id: This must be a string"),
        ({"dataRow": {}, "bbox": BOX}, "[1].dataRow: One of id, globalKey must be"),
        (5, "[1]: This must be an object"),
        (old(Label=None), "[1]: `Label` must be given here"),
        (old(Label={"Car": []}), "[1].Label: `objects` must be given here"),
        (version_2(size=(0, 30)), "[1].media_attributes.height: A size must be"),
        (version_2(size=(21, 30)), "The photo must have the height and width"),
    ],
)
def test_wrong_row_is_named(photo, write, fails, row, message):
    photo("a.jpg")
    write("a.json", [line(bbox=BOX), row])
    text = fails()
    assert "a.json: " in text
    assert message in text


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://x.y/a%2Fb.jpg?token=1#2", "b.jpg"),
        ("gs://bucket/c/d.png", "d.png"),
        ("https://x.y/..%2F..%2Fetc/passwd", "passwd"),
        ("plain name.jpg", "plain name.jpg"),
        ("https://[broken", "https://[broken"),
        ("https://x.y/", ""),
    ],
)
def test_name_at_the_end_of_an_address(address, name):
    assert last_part(address) == name


def test_real_image_export(data_dir, photo, folder, masks_of):
    source = data_dir("annotations") / "labelbox" / "labelbox_v1" / "image_export.json"
    photo("2560px-Kitano_Street_Kobe01s5s4110.jpg", (1707, 2560))
    Image.new("1", (2560, 1707)).save(folder / "ckr2k459500063h69uiumklz0.png")
    names, masks = masks_of("auto", source, images=folder)
    assert names[1:] == ("bounding_box", "point", "polygon", "polyline", "segmentation")
    (mask,) = masks.values()
    # Boxes are drawn before the polygons and polylines that may cover them.
    boxes = np.zeros(mask.shape, bool)
    for top, left, height, width in (
        *((1333, 965, 186, 594), (176, 392, 315, 463)),
        *((236, 1152, 193, 415), (619, 749, 240, 317)),
    ):
        boxes[top : top + height, left : left + width] = True
    assert (mask[boxes] > 0).all()
    assert not (mask == 1)[~boxes].any()


def test_real_arrays_named_ndjson(data_dir, photo, folder, masks_of):
    source = data_dir("annotations") / "labelbox" / "ndjson"
    photo("ckrb1sf1i1g7i0ybcdc6oc8ct.jpg", (1707, 2560))
    path = source / "nested_import_name_only.json"
    names, masks = masks_of("auto", path, images=folder)
    assert names[1:] == ("box a", "box b", "box c")
    (mask,) = masks.values()
    assert (mask == 1).sum() == 350 * 139


def test_every_real_file_converts_or_says_why(data_dir, photo, folder, tmp_path):
    from kseg.data.annotations import convert

    root = data_dir("annotations") / "labelbox"
    photo("a.jpg")
    for path in sorted(root.rglob("*.json")):
        with pytest.raises(ValueError, match="must") as caught:
            convert("auto", path, tmp_path / path.stem, images=folder)
        if path.stem == "tiled_image_export":
            assert "tiled_image_export.json: The file must be whole JSON" in str(
                caught.value
            )
        assert not (tmp_path / path.stem).exists()
