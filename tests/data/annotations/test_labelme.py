import base64
import io
import json

import numpy as np
import pytest
import shapely
from PIL import Image
from scipy import ndimage

CENTERS = shapely.points(np.arange(30) + 0.5, np.arange(20)[:, None] + 0.5)
OCTAGON = np.random.default_rng(0).random((5, 8)) < 0.5


def png(array, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", **options)
    return buffer.getvalue()


def shape(points, kind="polygon", label="thing", **more):
    return {"label": label, "points": points, "shape_type": kind, **more}


def document(*shapes, **more):
    return {
        "version": "5.7.0",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": "a.jpg",
        "imageData": None,
        "imageHeight": 20,
        "imageWidth": 30,
        **more,
    }


def mask_shape(array=OCTAGON, left=3, top=2, **more):
    height, width = array.shape
    points = [[left + 0.9, top + 0.4], [left + width - 0.6, top + height - 1]]
    text = base64.b64encode(png(array)).decode()
    return {**shape(points, "mask", mask=text), **more}


@pytest.fixture
def mask(photo, write, masks_of):
    """The mask of one photo with these shapes."""

    def mask(*shapes, **options):
        photo("a.jpg")
        write("a.json", document(*shapes))
        _, masks = masks_of("labelme", **options)
        return masks["a"]

    return mask


def within(geometry):
    return shapely.contains(geometry, CENTERS)


def test_polygon(mask):
    ring = [[2.3, 1.2], [25.1, 4.4], [12.6, 18.9]]
    np.testing.assert_array_equal(mask(shape(ring)), within(shapely.Polygon(ring)))


def test_corners_where_labelme_stops_are_on_the_border(mask):
    ring = [[20, 10], [29.0, 10], [29.0, 19.0], [20, 19.0]]
    assert mask(shape(ring)).sum() == 100


def test_rectangle_to_the_border(mask):
    assert mask(shape([[20, 10], [29, 19]], "rectangle")).sum() == 100


@pytest.mark.parametrize("corners", [[[4, 3], [12, 9]], [[12, 3], [4, 9]]])
def test_rectangle_of_any_two_opposite_corners(mask, corners):
    found = mask(shape(corners, "rectangle"))
    assert found.sum() == 8 * 6
    assert found[3:9, 4:12].all()


def test_circle_by_its_middle_and_a_point_on_it(mask):
    found = mask(shape([[10.3, 9.1], [13.3, 13.1]], "circle"))
    circle = shapely.Point(10.3, 9.1).buffer(5, quad_segs=2000)
    np.testing.assert_array_equal(found, within(circle))


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("line", [[3.2, 4.1], [20.7, 15.2]]),
        ("linestrip", [[3.2, 4.1], [20.7, 15.2], [25.5, 3.3]]),
        ("point", [[8.1, 9.3]]),
        ("points", [[8.1, 9.3], [22.4, 5.2]]),
    ],
)
def test_lines_and_points_are_strokes(mask, kind, points):
    line = shapely.MultiPoint(points)
    if kind.startswith("line"):
        line = shapely.LineString(points)
    expected = shapely.distance(line, CENTERS) < 2
    found = mask(shape(points, kind), line_width=4)
    np.testing.assert_array_equal(found, expected)


def test_line_width_0_leaves_lines_out(mask):
    assert not mask(shape([[3, 4], [20, 15]], "line"), line_width=0).any()


def test_mask_in_base64_lies_at_the_integers_of_its_points(mask):
    expected = np.zeros((20, 30), bool)
    expected[2:7, 3:11] = OCTAGON
    np.testing.assert_array_equal(mask(mask_shape()), expected)


def test_mask_of_0_and_255_and_beyond_the_picture(mask):
    found = mask(mask_shape(OCTAGON.astype(np.uint8) * 255, left=26, top=17))
    np.testing.assert_array_equal(found[17:, 26:], OCTAGON[:3, :4])


def test_later_shape_covers_earlier_and_background_makes_a_hole(photo, write, masks_of):
    photo("a.jpg")
    square = [[2, 2], [12, 2], [12, 12], [2, 12]]
    inner = [[4, 4], [8, 4], [8, 8], [4, 8]]
    hole = [[5, 5], [6, 5], [6, 6], [5, 6]]
    ignored = [[20, 10], [25, 10], [25, 15], [20, 15]]
    shapes = [
        shape(square, label="b"),
        shape(inner, label="a"),
        shape(hole, label="_background_"),
        shape(ignored, label="__ignore__"),
    ]
    write("a.json", document(*shapes))
    names, masks = masks_of()
    assert names == ("background", "a", "b")
    assert np.bincount(masks["a"].ravel(), minlength=256)[[1, 2, 255]].tolist() == [
        *(16 - 1, 100 - 16, 25)
    ]


def test_shapes_of_one_group_are_one_instance(photo, write, masks_of):
    photo("a.jpg")
    boxes = [[[i * 5, 0], [i * 5 + 3, 4]] for i in range(5)]
    groups = [7, None, 7, None, 7]
    labels = ["a", "a", "a", "a", "b"]
    shapes = [
        shape(b, "rectangle", label=label, group_id=group)
        for b, group, label in zip(boxes, groups, labels, strict=True)
    ]
    write("a.json", document(*shapes))
    _, masks = masks_of(instances=True, kind="instances")
    assert masks["a"].dtype == np.uint16
    assert masks["a"][0, 1::5].tolist() == [1, 2, 1, 3, 4, 0]


def test_old_file_without_sizes_and_kinds(photo, write, masks_of):
    photo("a.jpg")
    write(
        "a.json",
        {
            "shapes": [{"label": "x", "points": [[0, 0], [4, 0], [4, 4], [0, 4]]}],
            "lineColor": [0, 255, 0, 128],
            "imagePath": "a.jpg",
        },
    )
    assert masks_of()[1]["a"].sum() == 16


def test_photo_in_the_file_is_used_if_there_is_no_other(write, masks_of, tmp_path):
    data = png(np.zeros((20, 30, 3), np.uint8))
    text = base64.b64encode(data).decode()
    box = shape([[0, 0], [4, 4]], "rectangle")
    write("sub/a.json", document(box, imageData=text, imagePath="..\\gone.jpg"))
    assert masks_of()[1]["a"].sum() == 16
    assert (tmp_path / "out" / "images" / "a.png").read_bytes() == data


@pytest.mark.parametrize(
    "data", ["%%%", "", "AAAA", base64.b64encode(b"text").decode()]
)
def test_photo_in_the_file_that_is_none(write, fails, data):
    write("a.json", document(shape([[0, 0], [4, 4]], "rectangle"), imageData=data))
    message = fails()
    assert "a.json: imageData" in message or "1 missing" in message


BAD = {
    "kind": ({"shape_type": "sphere"}, "shapes[1].shape_type: A shape must be one of"),
    "kind is a number": ({"shape_type": 5}, "shapes[1].shape_type: This must be a str"),
    "label is a number": ({"label": 5}, "shapes[1].label: This must be a string"),
    "no label": ({"label": None}, "shapes[1]: `label` must be given here"),
    "empty label": ({"label": " \n"}, "shapes[1]: A shape must have a label"),
    "unprintable label": ({"label": "a\ud800"}, "shapes[1]: A label must be printable"),
    "no points": ({"points": None}, "shapes[1]: `points` must be given here"),
    "two points": ({"points": [[1, 2], [3, 4]]}, "shapes[1].points: There must be at"),
    "nan": ({"points": [[1, 2], [float("nan"), 4], [5, 6]]}, "shapes[1].points[1]"),
    "three-point box": (
        {"shape_type": "rectangle"},
        "shapes[1].points: A rectangle must have 2 points",
    ),
    "mask without mask": (
        {"shape_type": "mask", "points": [[1, 2], [3, 4]]},
        "shapes[1]: `mask` must be given here",
    ),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_wrong_shape_is_named(photo, write, fails, change, message):
    photo("a.jpg")
    triangle = [[1, 2], [9, 4], [5, 9]]
    wrong = {**shape(triangle), **change}
    write("a.json", document(shape(triangle), wrong))
    assert f"a.json: {message}" in fails()


@pytest.mark.parametrize("key", ["shapes", "imageHeight", "imagePath", "imageWidth"])
@pytest.mark.parametrize("value", [5.5, "text", True, {"a": 1}, [1], -1, 10**9])
def test_wrong_type_at_the_top_is_named(photo, write, fails, key, value):
    if (key, value) == ("imagePath", "text"):
        return  # a name of a missing photo, which is another test
    photo("a.jpg")
    write("a.json", document(**{key: value}))
    assert f"a.json: {key}" in fails() or "a.json: imagePath: A picture" in fails()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"mask": "%%%"}, "mask: This must be Base64"),
        ({"mask": "AAAA"}, "mask: This must be a PNG mask: cannot identify"),
        ({"mask": 5}, "mask: This must be a string"),
        (
            {"mask": base64.b64encode(png(OCTAGON)[:45]).decode()},
            "mask: This must be a",
        ),
        (
            {"mask": base64.b64encode(png(OCTAGON.T)).decode()},
            "its size is (8, 5), not",
        ),
        ({"points": [[9, 9], [3, 3]]}, "points: A mask must have its upper left"),
    ],
)
def test_wrong_mask_is_named(photo, write, fails, more, message):
    photo("a.jpg")
    write("a.json", document(mask_shape(**more)))
    text = fails()
    assert "a.json: shapes[0]." in text
    assert message in text


def test_png_bomb_in_base64_is_refused_before_it_is_decoded(photo, write, fails):
    photo("a.jpg")
    data = bytearray(png(OCTAGON))
    data[16:24] = b"\0\0\xea\x60" * 2  # 60,000 x 60,000
    text = base64.b64encode(bytes(data)).decode()
    write("a.json", document(mask_shape(mask=text)))
    assert "a.json: shapes[0].mask: This must be a PNG mask" in fails()


def test_all_primitives_of_a_real_file(data_dir, masks_of):
    source = data_dir("annotations") / "labelme" / "primitives"
    names, masks = masks_of("labelme", source)
    count = dict(zip(names, np.bincount(masks["primitives"].ravel()), strict=True))
    assert count["rectangle"] == 100 * 100 + 151 * 102
    polygon = shapely.Polygon([(69, 318), (45, 403), (173, 406), (198, 321)])
    assert abs(count["polygon"] - polygon.area) < 30
    assert abs(count["circle"] - np.pi * (30**2 + 41**2)) < 30
    assert abs(count["point"] - np.pi * 5**2) < 6
    line = shapely.LineString([(188, 178), (160, 224)]).buffer(5)
    assert abs(count["line"] - line.area) < 10
    strip = [(440.537, 181.463), (402.537, 274.463), (544.537, 275.463)]
    strip = shapely.LineString(strip).buffer(5)
    assert abs(count["line_strip"] - strip.area) < 20
    shapes = json.loads((source / "primitives.json").read_text())["shapes"]
    data = base64.b64decode(shapes[-1]["mask"])
    octagon = np.array(Image.open(io.BytesIO(data))) > 0
    expected = np.zeros_like(masks["primitives"], bool)
    expected[305:405, 417:517] = octagon
    found = masks["primitives"] == names.index("octagon")
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("folder", ["semantic_segmentation", "instance_segmentation"])
def test_real_files_match_the_masks_of_labelme_itself(data_dir, masks_of, folder):
    # LabelMe rounds its points and draws their outline, too: one to two pixels off.
    source = data_dir("annotations") / "labelme" / folder
    names, masks = masks_of("labelme", source)
    voc = source / "data_dataset_voc"
    their_names = (voc / "class_names.txt").read_text().split("\n")
    ids = [their_names.index(n) for n in ("_background_", *names[1:])]
    table = np.array([*ids, *[255] * (256 - len(ids))])
    for id, mask in masks.items():
        theirs = np.array(Image.open(voc / "SegmentationClass" / f"{id}.png"))
        ours = table[mask]
        assert set(np.unique(ours)) == set(np.unique(theirs))
        edge = np.zeros(ours.shape, bool)
        edge[[0, -1]] = edge[:, [0, -1]] = True
        for each in (ours, theirs):
            edge |= ndimage.maximum_filter(each, 5) != ndimage.minimum_filter(each, 5)
        assert (ours == theirs)[~edge].all()
        assert (ours == theirs).mean() > 0.99


def test_instances_of_real_files_match_those_of_labelme_itself(data_dir, masks_of):
    source = data_dir("annotations") / "labelme" / "instance_segmentation"
    _, masks = masks_of("labelme", source, kind="instances", instances=True)
    for id, ours in masks.items():
        path = source / "data_dataset_voc" / "SegmentationObject" / f"{id}.png"
        theirs = np.array(Image.open(path))
        pairs = [
            np.unique(theirs[ours == number], return_counts=True)
            for number in range(1, ours.max() + 1)
        ]
        partners = [int(values[counts.argmax()]) for values, counts in pairs]
        assert (
            len(set(partners))
            == len(partners)
            == len(set(np.unique(theirs)) - {0, 255})
        )


def test_video_frames_of_a_real_folder(data_dir, masks_of):
    source = data_dir("annotations") / "labelme" / "video_annotation"
    names, masks = masks_of("auto", source)
    assert names == ("background", "car", "track")
    assert list(masks) == [f"{i:08}" for i in range(100, 105)]
