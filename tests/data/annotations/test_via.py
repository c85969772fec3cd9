import json

import numpy as np
import pytest
import shapely
from shapely import affinity

from kseg.data.annotations.classes import BACKGROUND

CENTERS = shapely.points(np.arange(30) + 0.5, np.arange(20)[:, None] + 0.5)
RING = [(2, 1), (25, 4), (12, 18)]
SHAPES = {
    "polygon": {
        "all_points_x": [x for x, _ in RING],
        "all_points_y": [y for _, y in RING],
    },
    "rect": {"x": 3, "y": 4, "width": 10.5, "height": 6.2},
    "circle": {"cx": 12.2, "cy": 9.1, "r": 6.3},
    "ellipse": {"cx": 14.3, "cy": 9.7, "rx": 11, "ry": 4, "theta": 0.4},
    "polyline": {"all_points_x": [3, 15, 20], "all_points_y": [3, 4, 17]},
    "point": {"cx": 9.3, "cy": 8.1},
}
CIRCLE = shapely.Point(0, 0).buffer(1, quad_segs=4000)
AREAS = {
    "polygon": shapely.Polygon(RING),
    "rect": shapely.box(3, 4, 13.5, 10.2),
    "circle": affinity.translate(affinity.scale(CIRCLE, 6.3, 6.3), 12.2, 9.1),
    "ellipse": affinity.translate(
        affinity.rotate(affinity.scale(CIRCLE, 11, 4), 0.4, use_radians=True), 14.3, 9.7
    ),
    "polyline": shapely.LineString([(3, 3), (15, 4), (20, 17)]).buffer(1.5, 4000),
    "point": shapely.Point(9.3, 8.1).buffer(1.5, 4000),
}
KINDS = {1: "point", 2: "rect", 3: "circle", 4: "ellipse", 6: "polyline", 7: "polygon"}


def region(kind="rect", label="a", **more):
    values = {} if label is None else {"class": label}
    shape = {"name": kind, **SHAPES[kind], **more}
    return {"shape_attributes": shape, "region_attributes": values}


def version_1(*regions):
    numbered = {str(2 * i): r for i, r in enumerate(regions)}
    return {"a.jpg": {"filename": "a.jpg", "size": 5, "regions": numbered}}


def version_2(*regions):
    return {"a.jpg5": {"filename": "a.jpg", "size": 5, "regions": list(regions)}}


def project(*regions):
    return {"_via_settings": {}, "_via_img_metadata": version_2(*regions)}


def rows(*regions):
    cells = [
        ("a.jpg", 5, {}, len(regions), i, r["shape_attributes"], r["region_attributes"])
        for i, r in enumerate(regions)
    ]
    header = (
        "#filename,file_size,file_attributes,region_count,region_id,"
        "region_shape_attributes,region_attributes"
    )
    quoted = (
        ",".join('"' + json.dumps(c).strip('"').replace('"', '""') + '"' for c in row)
        for row in cells
    )
    return "\n".join([header, *quoted])


def numbers_of(shape):
    kind = next(k for k, name in KINDS.items() if name == shape["name"])
    if "all_points_x" in shape:
        pairs = zip(shape["all_points_x"], shape["all_points_y"], strict=True)
        return [kind, *(value for pair in pairs for value in pair)]
    keys = ("x", "y", "width", "height", "cx", "cy", "r", "rx", "ry")
    return [kind, *(shape[key] for key in keys if key in shape)]


ATTRIBUTE = {"1": {"aname": "class", "options": {"0": "a", "1": "b"}}}


def version_3(*regions):
    return {
        "project": {},
        "config": {},
        "attribute": ATTRIBUTE,
        "file": {"4": {"fid": "4", "fname": "a.jpg", "type": 2, "src": "x/a.jpg"}},
        "view": {"1": {"fid_list": ["4"]}},
        "metadata": {
            f"1_{i}": {
                "vid": "1",
                "xy": numbers_of(r["shape_attributes"]),
                "av": {"1": {"a": "0", "b": "1"}[r["region_attributes"]["class"]]},
            }
            for i, r in enumerate(regions)
        },
    }


def version_3_rows(*regions):
    lines = [
        "# Exported using VGG Image Annotator",
        f"# ATTRIBUTE = {json.dumps(ATTRIBUTE)}",
        "# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,"
        "spatial_coordinates,metadata",
    ]
    for i, r in enumerate(regions):
        value = {"a": "0", "b": "1"}[r["region_attributes"]["class"]]
        cells = [
            *(f"1_{i}", ["a.jpg"], 0, [], numbers_of(r["shape_attributes"])),
            {"1": value},
        ]
        quoted = (json.dumps(c).strip('"').replace('"', '""') for c in cells)
        lines.append(",".join(f'"{cell}"' for cell in quoted))
    return "\n".join(lines)


VERSIONS = {
    "v1.json": version_1,
    "v2.json": version_2,
    "project.json": project,
    "v2.csv": rows,
    "v3.json": version_3,
    "v3.csv": version_3_rows,
}


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("file", VERSIONS)
def test_every_shape_in_every_version(photo, write, masks_of, file, kind):
    photo("a.jpg")
    one = region(kind)
    area = AREAS[kind]
    if kind == "ellipse" and "v3" in file:  # which cannot turn it
        del one["shape_attributes"]["theta"]
        area = affinity.translate(affinity.scale(CIRCLE, 11, 4), 14.3, 9.7)
    write(file, VERSIONS[file](one, region("rect", "b", x=100)))
    names, masks = masks_of("auto", line_width=3)
    assert names == (BACKGROUND, "a", "b")
    expected = shapely.contains(area, CENTERS)
    assert expected.any()
    np.testing.assert_array_equal(masks["a"] == 1, expected)


@pytest.mark.parametrize(
    ("numbers", "area"),
    [
        ([5, 3, 3, 20, 15], shapely.LineString([(3, 3), (20, 15)]).buffer(1.5, 4000)),
        ([8, 3, 9, 9, 2, 20, 8, 11, 17], shapely.box(3, 2, 20, 17)),
        # Three points on the circle about (12, 9) of radius 5.
        ([9, 17, 9, 12, 14, 9, 5], shapely.Point(12, 9).buffer(5, 4000)),
    ],
    ids=["line", "extreme rectangle", "extreme circle"],
)
def test_shapes_that_only_version_3_has(photo, write, masks_of, numbers, area):
    photo("a.jpg")
    document = version_3(region())
    document["metadata"]["1_0"]["xy"] = numbers
    write("a.json", document)
    found = masks_of("via", line_width=3)[1]["a"] == 1
    np.testing.assert_array_equal(found, shapely.contains(area, CENTERS))


def test_later_region_covers_earlier(photo, write, masks_of):
    photo("a.jpg")
    write("a.json", version_2(region(), region(x=5, y=5, width=2, height=2, label="b")))
    found = masks_of()[1]["a"]
    assert (found == 2).sum() == 4


def test_checkboxes_radio_and_blanks_of_labels(photo, write, masks_of):
    photo("a.jpg")
    boxes = [region(x=i, width=1) for i in range(3)]
    for one, value in zip(boxes, ["b\n", {"b": True, "": False}, " a"], strict=True):
        one["region_attributes"]["class"] = value
    write("a.json", version_2(*boxes))
    names, masks = masks_of()
    assert names == (BACKGROUND, "a", "b")
    assert masks["a"][5, :4].tolist() == [2, 2, 1, 0]


def test_regions_without_attributes_are_objects(photo, write, masks_of):
    photo("a.jpg")
    write("a.json", version_1(region(label=None)))
    assert masks_of()[0] == (BACKGROUND, "object")


def test_several_attributes_need_a_choice(photo, write, fails, masks_of):
    photo("a.jpg")
    one = region()
    one["region_attributes"]["colour"] = "red"
    write("a.json", version_2(one))
    assert "`attribute` must tell which attribute of a region is its class" in fails()
    assert "'class', 'colour'. Received: attribute='size'" in fails(
        "via", attribute="size"
    )
    assert masks_of("via", attribute="colour")[0] == (BACKGROUND, "red")


def test_picture_without_regions_is_all_background(photo, write, masks_of):
    photo("a.jpg")
    photo("b.jpg")
    write("a.json", {**version_2(region()), "b": {"filename": "b.jpg", "regions": []}})
    assert not masks_of()[1]["b"].any()


def test_csv_row_of_a_picture_without_regions(photo, write, masks_of):
    photo("a.jpg")
    photo("b.jpg")
    write("a.csv", rows(region()) + '\nb.jpg,5,"{}",0,0,"{}","{}"\n')
    assert not masks_of()[1]["b"].any()


def changed(kind="rect", **more):
    return version_2(region(kind, **more))


BAD = {
    "kind": (changed(name="blob"), "shape_attributes.name: A region must be"),
    "no kind": (changed(name=None), "shape_attributes: `name` must be given here"),
    "text": (changed(x="3"), "shape_attributes.x: This must be a number"),
    "nan": (changed(x=float("nan")), "shape_attributes.x: This must be a finite"),
    "huge": (changed(width=1e99), "shape_attributes.width: This must be a finite"),
    "radius": (changed("circle", r=-1), "shape_attributes: A radius must not be"),
    "lengths": (
        changed("polygon", all_points_x=[1, 2]),
        "all_points_x and all_points_y must be equally many",
    ),
    "two": (
        changed("polygon", all_points_x=[1, 2], all_points_y=[1, 2]),
        "There must be at least 3 points",
    ),
    "null": (
        changed("polygon", all_points_x=[1, None, 3]),
        "['all_points_x/y'][1]: This must be a number",
    ),
    "object": (changed("polygon", all_points_x={"0": 1}), "This must be an array"),
    "label": (changed(label=5), "region_attributes.class: This must be a string"),
    "two boxes": (changed(label={"a": 1, "b": 1}), "One box must be checked"),
    "no label": (
        version_2(region(), region(label="")),
        "regions[1]: A shape must have a label",
    ),
    "regions": ({"a": {"filename": "a.jpg", "regions": 5}}, "regions: This must be an"),
    "name": ({"a": {"filename": 5, "regions": []}}, "filename: This must be a string"),
    "entry": ({**version_2(region()), "b": 5}, "a.json: b: This must be an object"),
}


@pytest.mark.parametrize(("document", "message"), BAD.values(), ids=BAD)
def test_wrong_region_is_named(photo, write, fails, document, message):
    photo("a.jpg")
    write("a.json", document)
    text = fails("via")
    assert "a.json: " in text
    assert message in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"xy": [99, 1, 2]}, "metadata['1_0'].xy: This must be a region"),
        ({"xy": [2, 1, 2]}, "metadata['1_0'].xy: This must be a region"),
        ({"xy": [7, 1, 2, 3, 4]}, "metadata['1_0'].xy: This must be a region"),
        ({"xy": [3, 1, 2, -3]}, "A radius must not be negative"),
        ({"xy": [9, 0, 0, 1, 1, 2, 2]}, "Three points on a line make no circle"),
        ({"xy": [2, 1, 2, "3", 4]}, "metadata['1_0'].xy[3]: This must be a number"),
        ({"xy": {"a": 1}}, "metadata['1_0'].xy: This must be an array"),
        ({"vid": "9"}, "metadata['1_0'].vid: This must be a view of one picture"),
        ({"av": {"9": "0"}}, "attribute: `9` must be given here"),
        ({"av": 5}, "metadata['1_0'].av: This must be an object"),
    ],
)
def test_wrong_region_of_version_3_is_named(photo, write, fails, change, message):
    photo("a.jpg")
    document = version_3(region())
    document["metadata"]["1_0"].update(change)
    write("a.json", document)
    text = fails("via")
    assert "a.json: " in text
    assert message in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("filename,region_shape_attributes\n", "a.csv: [0]: The columns must include"),
        (
            rows(region()).replace('"rect', '"'),
            "a.csv: line[2].region_shape_attributes",
        ),
        (rows(region()) + "\na.jpg,5\n", "a.csv: line[3]: There must be 7 cells"),
        (rows(region()).replace("height", "h"), "a.csv: line[2].region_shape_attribu"),
        (
            version_3_rows(region()).replace("# ATTR", "# X"),
            "a.csv: line[4]: A line # C",
        ),
        (
            version_3_rows(region()).replace("[2", "[2,").replace("10.5", "{"),
            "a.csv: line[4].spatial_coordinates: This must be JSON",
        ),
    ],
)
def test_wrong_csv_names_the_line(photo, write, fails, text, message):
    photo("a.jpg")
    write("a.csv", text)
    assert message in fails("via")


def test_real_label_with_a_line_break(data_dir, masks_of):
    source = data_dir("annotations") / "via-satellite" / "train"
    names, masks = masks_of("via", source, attribute="name", skip_missing=True)
    assert names == (BACKGROUND, "bina", "tree")  # 'bina\n' is 'bina'
    assert sorted(masks) == ["data1", "data2"]


def test_real_regions_cover_the_area_of_their_union(data_dir, masks_of):
    source = data_dir("annotations") / "via-satellite" / "val"
    _, masks = masks_of("via", source, attribute="type", skip_missing=True)
    document = json.loads((source / "via_region_data.json").read_text())
    for entry in document.values():
        id = entry["filename"].removesuffix(".jpg")
        if id not in masks:
            continue
        shapes = [r["shape_attributes"] for r in entry["regions"]]
        rings = [
            shapely.Polygon(
                list(zip(s["all_points_x"], s["all_points_y"], strict=True))
            ).buffer(0)
            for s in shapes
        ]
        whole = shapely.union_all(rings).intersection(shapely.box(0, 0, 1920, 1080))
        assert abs((masks[id] > 0).sum() - whole.area) < whole.length / 4


def test_real_json_csv_and_coco_of_one_project_are_the_same(data_dir, tmp_path):
    from kseg.data.annotations import convert
    from kseg.data.reading import read_mask

    source = data_dir("annotations") / "via-rect-csv-json"
    found = {}
    for kind in ("json.json", "csv.csv", "coco.json"):
        report = convert("auto", source / f"via_export_{kind}", tmp_path / kind)
        assert report.class_names == (BACKGROUND, "Date", "Header", "Total")
        files = sorted((tmp_path / kind / "masks").iterdir())
        found[kind] = {file.name: read_mask(file) for file in files}
    first = found.pop("json.json")
    assert len(first) == 6
    for masks in found.values():
        for name, mask in masks.items():
            np.testing.assert_array_equal(mask, first[name])


def test_real_folder_of_several_exports_asks_for_one(data_dir, fails):
    message = fails("auto", data_dir("annotations") / "via-rect-csv-json")
    assert "name the file if a folder holds several" in message
    assert "2 of 'via'" in message
    assert "1 of 'coco'" in message
    message = fails("via", data_dir("annotations") / "via-rect-csv-json")
    assert "is annotated in via_export_csv.csv: line[2], too" in message


def test_real_regions_of_version_1(data_dir, photo, masks_of, folder):
    source = data_dir("annotations") / "via-v1-dict-regions"
    photo("video1image0.jpg", (1024, 1280))
    names, masks = masks_of("auto", source, images=folder, skip_missing=True)
    assert names == (BACKGROUND, "object")
    document = json.loads((source / "via_region_data.json").read_text())
    shapes = document["video1image0.jpg"]["regions"].values()
    rings = [
        shapely.Polygon(
            list(zip(s["all_points_x"], s["all_points_y"], strict=True))
        ).buffer(0)
        for s in (r["shape_attributes"] for r in shapes)
    ]
    whole = shapely.union_all(rings).intersection(shapely.box(0, 0, 1280, 1024))
    assert abs(masks["video1image0"].sum() - whole.area) < whole.length / 4
