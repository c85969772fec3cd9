import math

import numpy as np
import pytest
import shapely
from PIL import Image
from shapely import affinity

from kseg.data.annotations.runs import encode_runs

BITMAP = np.random.default_rng(3).random((6, 9)) < 0.5
CENTERS = shapely.points(np.arange(30) + 0.5, np.arange(20)[:, None] + 0.5)
RLE = ", ".join(map(str, encode_runs(BITMAP, "C")))
LABELS = "<labels><label><name>b</name></label><label><name>a</name></label></labels>"


def document(*shapes, root="task", head='name="a.jpg" width="30" height="20"', meta=""):
    return (
        f"<annotations><version>1.1</version><meta><{root}>{LABELS}{meta}</{root}>"
        f'</meta><image id="0" {head}>{"".join(shapes)}</image></annotations>'
    )


def tag(name, label="b", **attributes):
    text = " ".join(f'{key}="{value}"' for key, value in attributes.items())
    return f'<{name} label="{label}" {text}/>'


def box(left, top, right, bottom, **more):
    return tag("box", xtl=left, ytl=top, xbr=right, ybr=bottom, **more)


def mask_tag(**more):
    window = {"left": 4, "top": 5, "width": 9, "height": 6, "rle": RLE}
    return tag("mask", **{**window, **more})


@pytest.fixture
def mask(photo, write, masks_of):
    """The mask of one photo with these shapes: `a` is 1, `b` 2."""

    def mask(*shapes, **options):
        photo("a.jpg")
        write("a.xml", document(*shapes))
        names, masks = masks_of("cvat", **options)
        assert names == ("background", "a", "b")
        return masks["a"]

    return mask


def test_polygon_and_box(mask):
    points = "2.3,1.2;25.1,4.4;12.6,18.9"
    found = mask(tag("polygon", points=points), box(0, 0, 4, 3, label="a"))
    ring = [(2.3, 1.2), (25.1, 4.4), (12.6, 18.9)]
    expected = shapely.contains(shapely.Polygon(ring), CENTERS)
    expected[:3, :4] = False
    np.testing.assert_array_equal(found == 2, expected)
    assert (found == 1).sum() == 12


@pytest.mark.parametrize("angle", [30, 90, 250.5, -30])
def test_box_turns_clockwise_about_its_middle(mask, angle):
    found = mask(box(8.2, 6.1, 22.7, 12.9, rotation=angle))
    # shapely turns from x to y; y points down here, so that is clockwise.
    expected = affinity.rotate(shapely.box(8.2, 6.1, 22.7, 12.9), angle)
    np.testing.assert_array_equal(found == 2, shapely.contains(expected, CENTERS))


def test_box_turned_by_30_degrees_comes_down_on_the_right(mask):
    found = mask(box(5, 8, 25, 11, rotation=30))
    rows = [int(np.flatnonzero(found[:, column]).mean()) for column in (8, 15, 22)]
    assert rows == sorted(rows)
    assert rows[2] > rows[0]


def test_ellipse_with_rotation(mask):
    found = mask(tag("ellipse", cx=15.2, cy=9.7, rx=11.3, ry=4.4, rotation=25))
    circle = shapely.Point(0, 0).buffer(1, quad_segs=4000)
    ellipse = affinity.rotate(affinity.scale(circle, 11.3, 4.4), 25)
    expected = shapely.contains(affinity.translate(ellipse, 15.2, 9.7), CENTERS)
    np.testing.assert_array_equal(found == 2, expected)
    assert abs(found.sum() / 2 - math.pi * 11.3 * 4.4) < 8


def test_polyline_and_points_are_strokes(mask):
    line, dots = [(2, 3), (15, 4), (20, 17)], [(4.5, 15.5), (26.3, 4.8)]
    text = [";".join(f"{x},{y}" for x, y in points) for points in (line, dots)]
    found = mask(
        tag("polyline", points=text[0]),
        tag("points", label="a", points=text[1]),
        line_width=3,
    )
    near = shapely.distance(shapely.MultiPoint(dots), CENTERS) < 1.5
    np.testing.assert_array_equal(found == 1, near)
    near_line = shapely.distance(shapely.LineString(line), CENTERS) < 1.5
    np.testing.assert_array_equal(found == 2, near_line & ~near)


def test_mask_lies_in_its_window_along_rows(mask):
    expected = np.zeros((20, 30), bool)
    expected[5:11, 4:13] = BITMAP
    np.testing.assert_array_equal(mask(mask_tag()) == 2, expected)


def test_mask_beyond_the_picture_is_cut(mask):
    found = mask(mask_tag(left=25, top=-2))
    np.testing.assert_array_equal(found[:4, 25:] == 2, BITMAP[2:, :5])


def test_higher_z_order_covers_then_the_later(mask):
    wide, small = (0, 0, 20, 20), (0, 0, 5, 5)
    found = mask(
        box(*small, label="a", z_order=2), box(*wide, z_order=1), box(9, 9, 10, 10)
    )
    assert (found == 1).sum() == 25
    assert (found == 2).sum() == 400 - 25


def test_group_is_one_instance(photo, write, masks_of):
    photo("a.jpg")
    boxes = [box(i, 0, i + 1, 1, group_id=g) for i, g in enumerate((5, 6, 5))]
    write("a.xml", document(*boxes, box(3, 0, 4, 1), box(4, 0, 5, 1)))
    _, masks = masks_of(kind="instances", instances=True)
    assert masks["a"][0, :6].tolist() == [1, 2, 1, 3, 4, 0]


@pytest.mark.parametrize("root", ["task", "job", "project"])
def test_labels_of_task_job_and_project(photo, write, masks_of, root):
    photo("a.jpg")
    write("a.xml", document(box(0, 0, 4, 4), root=root))
    assert masks_of()[0] == ("background", "a", "b")


def test_what_has_no_area_is_left_out_and_counted(photo, write, folder, tmp_path):
    from kseg.data.annotations import convert

    photo("a.jpg")
    others = "<tag label='x'/><skeleton label='s'/><cuboid label='c'/><tag label='y'/>"
    write("a.xml", document(box(0, 0, 4, 4), others))
    report = convert("cvat", folder, tmp_path / "out")
    assert report.left_out == {"tag": 2, "skeleton": 1, "cuboid": 1}
    assert report.class_names == ("background", "a", "b")
    assert "tag (2), skeleton (1), cuboid (1)" in str(report)


def test_labels_of_tags_and_of_parts_of_skeletons_are_no_classes(
    photo, write, masks_of
):
    photo("a.jpg")
    meta = (
        "<labels><label><name>t</name><type>tag</type></label><label><name>eye</name>"
        "<type>points</type><parent>s</parent></label></labels>"
    )
    write("a.xml", document(box(0, 0, 4, 4), meta=meta))
    assert masks_of()[0] == ("background", "a", "b")


def test_subsets_become_splits(write, photo, masks_of, tmp_path):
    images = "".join(
        f'<image name="i.jpg" subset="{s}" width="30" height="20">{box(0, 0, n, 1)}'
        "</image>"
        for n, s in ((1, "Train"), (2, "Validation"), (3, "extra"))
    )
    for subset in ("Train", "Validation", "extra"):
        photo(f"images/{subset}/i.jpg")
    write("annotations.xml", f"<annotations>{images}</annotations>")
    _, masks = masks_of()
    assert {k: int(m.sum()) for k, m in masks.items()} == {
        "train/i": 1,
        "validation/i": 2,
        "extra/i": 3,
    }
    from kseg.data.datasets import open_dataset

    assert open_dataset(tmp_path / "out", "train").ids == ("i",)
    assert open_dataset(tmp_path / "out", "validation")[0].mask.sum() == 2


BAD = {
    "no label": (
        '<box xtl="1" ytl="1" xbr="2" ybr="2"/>',
        "box[0]: The attribute `lab",
    ),
    "empty label": (box(1, 1, 2, 2, label=""), "box[0]: A shape must have a label"),
    "missing side": (tag("box", xtl=1, ytl=1, xbr=2), "box[0]: The attribute `ybr`"),
    "text": (box("one", 1, 2, 2), "box[0].xtl: This must be a number"),
    "nan": (box("nan", 1, 2, 2), "box[0].xtl: This must be a finite number"),
    "huge": (box("1e300", 1, 2, 2), "box[0].xtl: This must be a finite number"),
    "order": (box(1, 1, 2, 2, z_order="top"), "box[0].z_order: This must be a number"),
    "two points": (tag("polygon", points="1,1;2,2"), "polygon[0].points: There must"),
    "inf": (tag("polygon", points="1,1;2,inf;3,3"), "polygon[0].points[1]: A point"),
    "no points": (tag("polygon"), "polygon[0]: The attribute `points` must"),
    "radius": (tag("ellipse", cx=1, cy=1, rx=-1, ry=1), "ellipse[0]: `rx` and `ry`"),
    "unknown": (tag("blob"), "blob[0]: A shape must be of a kind"),
    "overrun": (mask_tag(rle="0, 999"), "mask[0].rle: Run lengths must add up"),
    "short": (mask_tag(rle="5, 6"), "Received: 11 pixels, width=9, height=6"),
    "negative": (mask_tag(rle="60, -6"), "mask[0].rle: Run lengths must be integers"),
    "half": (mask_tag(rle="53.5, 0.5"), "mask[0].rle: Run lengths must be integers"),
    "words": (mask_tag(rle="1, two"), "mask[0].rle[1]: This must be a number"),
    "infinite": (mask_tag(rle="inf"), "mask[0].rle: "),
    "no runs": (mask_tag(rle=""), "mask[0].rle[0]: This must be a number"),
    "larger": (
        mask_tag(width=16_000_000, height=16_000_000, rle="256000000000000"),
        "mask[0]: A mask must be no larger than its picture",
    ),
    "giant": (mask_tag(width=10**9, rle="0"), "mask[0].width: This must be a finite"),
    "no place": (mask_tag(left="x"), "mask[0].left: This must be a number"),
}


@pytest.mark.parametrize(("shape", "message"), BAD.values(), ids=BAD)
def test_wrong_shape_is_named(photo, write, fails, shape, message):
    photo("a.jpg")
    write("a.xml", document(shape))
    text = fails()
    assert "a.xml: image[0]" in text
    assert message in text


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ('name="a.jpg" width="30"', "image[0]: The attribute `height` must be given"),
        ('width="30" height="20"', "image[0]: The attribute `name` must be given"),
        ('name="a.jpg" width="0" height="20"', "image[0].width: A size must be"),
        ('name="a.jpg" width="1e9" height="20"', "image[0].width: This must be a fin"),
        ('name="a.jpg" width="99999" height="99999"', "A picture must have at most"),
        ('name="a.jpg" width="31" height="20"', "The photo must have the height and"),
        ('name="" width="30" height="20"', "image[0].name: This must be the name"),
    ],
)
def test_wrong_picture_is_named(photo, write, fails, head, message):
    photo("a.jpg")
    write("a.xml", document(head=head))
    text = fails(classes=("background", "b"))
    assert "a.xml: image[0]" in text
    assert message in text


def test_polygon_of_a_million_points(photo, write, masks_of):
    photo("a.png", (300, 300))
    angle = np.linspace(0, 2 * np.pi, 1_000_000, endpoint=False)
    circle = np.stack([150 + 100 * np.cos(angle), 150 + 100 * np.sin(angle)], 1)
    text = ";".join(f"{x:.4f},{y:.4f}" for x, y in circle.tolist())
    head = 'name="a.png" width="300" height="300"'
    write("a.xml", document(tag("polygon", points=text), head=head))
    found = masks_of()[1]["a"] == 2
    assert abs(found.sum() - math.pi * 100**2) < 100


def test_real_coins(data_dir, masks_of):
    source = data_dir("annotations") / "cvat-images-polygons-coins"
    names, masks = masks_of("auto", source, skip_missing=True)
    assert len(masks) == 8
    assert set(names[1:]) >= {"1_ruble", "tail", "eagle", "digit", "5"}
    mask = masks["034-903_k650"]
    digit = mask == names.index("5")
    # The digit lies on the coin, which is drawn before it.
    around = mask[digit.any(1)][:, digit.any(0)]
    assert set(np.unique(around)) == {names.index("5"), names.index("5_ruble")}


def test_real_coins_without_their_photos_are_named(data_dir, fails):
    message = fails("cvat", data_dir("annotations") / "cvat-images-polygons-coins")
    assert "8 found, 21 missing" in message
    assert "annotations.xml: image[8].name '1731615_mainViewLot_2x.jpg'" in message
    assert "skip_missing=True" in message


def test_real_project_has_a_photo_per_subset(data_dir, masks_of):
    source = data_dir("annotations") / "cvat-datumaro" / "for_images" / "export_project"
    names, masks = masks_of("auto", source, line_width=1)
    assert names == ("background", "label1", "label2")
    assert list(masks) == [
        f"{s}/img{i}" for s in ("test", "train", "validation") for i in (0, 1)
    ]
    assert (masks["train/img0"] == 1).sum() == 8
    triangle = shapely.Polygon([(1, 2), (3, 4), (6, 5)])
    assert triangle.area == 2
    assert (masks["train/img1"] == 1).sum() <= 3


def test_real_task_has_shapes_without_label(data_dir, fails, masks_of):
    source = data_dir("annotations") / "cvat-datumaro" / "for_images" / "export_task"
    message = fails("cvat", source)
    assert "train.xml: image[0].polyline[0]: A shape must have a label" in message
    names, masks = masks_of("cvat", source, renames={"": "label2"})
    assert names == ("background", "label1", "label2")
    assert sorted(masks) == ["img0", "img1"]


@pytest.mark.parametrize(
    "name", ["cvat-images-masks-rle", "cvat-images-masks-polygons"]
)
def test_real_run_lengths_add_up_to_their_windows(data_dir, name):
    from kseg.data.annotations import cvat
    from kseg.data.annotations.documents import read_document
    from kseg.data.annotations.places import Place
    from kseg.data.annotations.shapes import Runs

    path = data_dir("annotations") / name / "annotations.xml"
    document = read_document(path, Place(path.name))
    masks = list(document.xml.iter("mask"))
    export = cvat.read(document)
    runs = [
        part
        for picture in export.pictures
        for shape in picture.shapes
        for part in shape.parts
        if isinstance(part, Runs)
    ]
    assert len(runs) == len(masks) > 5
    for part, xml in zip(runs, masks, strict=True):
        counts = list(map(int, xml.get("rle").split(",")))
        assert sum(counts) == part.height * part.width
        assert int(part.counts[1::2].sum()) == sum(counts[1::2])


def test_real_masks_are_drawn_where_they_say(data_dir, folder, masks_of):
    source = data_dir("annotations") / "cvat-images-masks-polygons"
    Image.new("RGB", (1920, 1080)).save(folder / "BH-07A-40X.jpg")
    names, masks = masks_of("cvat", source, images=folder, skip_missing=True)
    normal = masks["BH-07A-40X"] == names.index("normal")
    # The first mask: left 0, top 719, 386 x 361; its first run of 1s is at 89, 54 long.
    assert normal[719, 89 : 89 + 54].all()
    assert not normal[719, :89].any()
    assert not normal[719, 143:180].any()  # where no other mask lies
