import numpy as np
import pytest
import shapely
from defusedxml import ElementTree

CENTERS = shapely.points(np.arange(30) + 0.5, np.arange(20)[:, None] + 0.5)


def tags(**values):
    return "".join(f"<{k}>{v}</{k}>" for k, v in values.items())


def numbered(points, suffix=""):
    return "".join(
        tags(**{f"x{i}{suffix}": x, f"y{i}{suffix}": y})
        for i, (x, y) in enumerate(points, 1)
    )


def thing(inner, name="a"):
    return f"<object><name>{name}</name>{inner}</object>"


def box(left, top, right, bottom):
    return f"<bndbox>{tags(xmin=left, ymin=top, xmax=right, ymax=bottom)}</bndbox>"


def document(*things, size=(20, 30), name="a.jpg"):
    return (
        f"<annotation><filename>{name}</filename><size>"
        f"{tags(width=size[1], height=size[0], depth=3)}</size>{''.join(things)}"
        "</annotation>"
    )


@pytest.fixture
def mask(photo, write, masks_of):
    def mask(*things, **options):
        photo("a.jpg")
        write("annotations/a.xml", document(*things))
        return masks_of("rectlabel", **options)[1]["a"]

    return mask


def test_box_and_polygon_without_box(mask):
    ring = [(12, 3), (27, 6), (14, 18)]
    found = mask(
        thing(box(2, 3, 8, 7)), thing(f"<polygon>{numbered(ring)}</polygon>", "b")
    )
    assert (found == 1).sum() == 6 * 4
    expected = shapely.contains(shapely.Polygon(ring), CENTERS)
    np.testing.assert_array_equal(found == 2, expected)


def test_polygon_goes_before_its_box(mask):
    ring = [(2, 2), (6, 2), (6, 4), (2, 4)]
    found = mask(thing(box(0, 0, 20, 20) + f"<polygon>{numbered(ring)}</polygon>"))
    assert found.sum() == 8


def bezier(knots, first, second):
    return (
        f"<cubic_bezier>{numbered(knots)}{numbered(first, '_c1')}"
        f"{numbered(second, '_c2')}</cubic_bezier>"
    )


def test_curve_of_four_arcs_is_a_circle(mask):
    # Handles of 0.5523 of the radius make a circle up to 0.03 %.
    k, r, x, y = 0.5522847, 8, 15, 10
    knots = [(x + r, y), (x, y + r), (x - r, y), (x, y - r)]
    turn = [(0, 1), (-1, 0), (0, -1), (1, 0)]
    ahead = [(a + k * r * u, b + k * r * v) for (a, b), (u, v) in zip(knots, turn, strict=True)]  # fmt: skip
    back = [(a - k * r * u, b - k * r * v) for (a, b), (u, v) in zip(knots, turn, strict=True)]  # fmt: skip
    circle = shapely.Point(x, y).buffer(r, 2000)
    found = mask(thing(bezier(knots, ahead, back)))
    np.testing.assert_array_equal(found, shapely.contains(circle, CENTERS))


def test_curve_with_handles_on_its_points_is_their_polygon(mask):
    knots = [(3, 2), (25, 5), (11, 18)]
    found = mask(thing(bezier(knots, knots, knots)))
    expected = shapely.contains(shapely.Polygon(knots), CENTERS)
    np.testing.assert_array_equal(found, expected)


def test_line_and_point(mask):
    line = [(3, 3), (20, 15)]
    found = mask(
        thing(f"<line>{numbered(line)}</line>"),
        thing(f"<point>{numbered([(25, 4)])}</point>", "b"),
        line_width=3,
    )
    near = shapely.distance(shapely.LineString(line), CENTERS) < 1.5
    np.testing.assert_array_equal(found == 1, near)
    assert (found == 2).any()


def test_first_object_lies_on_top(mask):
    found = mask(thing(box(5, 5, 8, 8)), thing(box(0, 0, 20, 20), "b"))
    assert (found == 1).sum() == 9


BAD = {
    "nothing": ("", "object[0]: An object must have a polygon"),
    "keypoints": ("<keypoints/>", "object[0]: An object must have a polygon"),
    "no side": ("<bndbox><xmin>1</xmin></bndbox>", "bndbox[0]: `ymin` must be given"),
    "text": (box("one", 1, 2, 2), "object[0].bndbox[0].xmin: This must be a number"),
    "inf": (box("inf", 1, 2, 2), "object[0].bndbox[0].xmin: This must be a finite"),
    "two": (f"<polygon>{numbered([(1, 1), (2, 2)])}</polygon>", "polygon[0]: Points"),
    "gap": (
        f"<polygon>{numbered([(1, 1), (5, 2), (3, 9)])}<x5>1</x5><y5>1</y5></polygon>",
        "polygon[0]: Points must be numbered from 1 on",
    ),
    "half a point": (
        f"<polygon>{numbered([(1, 1), (5, 2), (3, 9)])}<x4>1</x4></polygon>",
        "polygon[0]: `y4` must be given beside `x4`",
    ),
    "no handles": (
        f"<cubic_bezier>{numbered([(1, 1), (5, 2), (3, 9)])}</cubic_bezier>",
        "cubic_bezier[0]: Points must be numbered",
    ),
}


@pytest.mark.parametrize(("inner", "message"), BAD.values(), ids=BAD)
def test_wrong_object_is_named(photo, write, fails, inner, message):
    photo("a.jpg")
    write("a.xml", document(thing(inner)))
    text = fails()
    assert "a.xml: object[0]" in text
    assert message in text


@pytest.mark.parametrize("size", [("x", 30), (-20, 30), (10**9, 30), (21, 30)])
def test_wrong_size_is_named(photo, write, fails, size):
    photo("a.jpg")
    write("a.xml", document(thing(box(1, 1, 2, 2)), size=size))
    assert "a.xml: " in fails()


def test_size_of_0_is_unknown(photo, write, masks_of):
    photo("a.jpg")
    write("a.xml", document(thing(box(1, 1, 3, 3)), size=(0, 0)))
    assert masks_of()[1]["a"].shape == (20, 30)


def test_object_without_name_needs_a_rename(photo, write, fails):
    photo("a.jpg")
    write("a.xml", document(thing(box(1, 1, 2, 2), "")))
    assert "a.xml: object[0]: A shape must have a label" in fails()


def test_real_photo_that_is_absent(data_dir, fails):
    message = fails("rectlabel", data_dir("annotations") / "rectlabel")
    assert "1 found, 1 missing" in message
    assert "christopher-windus-93178.xml: filename" in message


def test_real_curve_is_a_car_with_its_plate_on_it(data_dir, masks_of):
    source = data_dir("annotations") / "rectlabel"
    names, masks = masks_of("auto", source, skip_missing=True)
    assert names == ("background", "car", "plate")
    mask = masks["tuce-311434"]
    plates = [
        [(1219, 1183), (1338, 1169), (1337, 1084), (1217, 1099)],
        [(1686, 1928), (1801, 1926), (1791, 1866), (1675, 1867)],
    ]
    area = sum(shapely.Polygon(plate).area for plate in plates)
    assert abs((mask == 2).sum() - area) < 100
    # The curve stays within its handles, and close to the polygon of its points.
    path = source / "annotations" / "tuce-311434.xml"
    curve = ElementTree.parse(path).find(".//cubic_bezier")
    values = {child.tag: float(child.text) for child in curve}
    car = np.argwhere(mask == 1)[:, ::-1]
    for axis, name in enumerate("xy"):
        held = [value for tag, value in values.items() if tag.startswith(name)]
        assert min(held) - 1 <= car[:, axis].min() < car[:, axis].max() <= max(held)
    numbers = range(1, sum(tag.endswith("_c1") for tag in values) // 2 + 1)
    outline = shapely.Polygon([(values[f"x{i}"], values[f"y{i}"]) for i in numbers])
    covered = (mask == 1).sum() + shapely.Polygon(plates[1]).area
    assert covered == pytest.approx(outline.area, rel=0.02)


def test_real_boxes(data_dir, masks_of):
    source = data_dir("annotations") / "rectlabel-boxes"
    names, masks = masks_of("auto", source)
    assert names[1:] == (
        *("shoes-boots-left", "shoes-boots-right"),
        *("shoes-sneakers-left", "shoes-sneakers-right"),
    )
    left, right = shapely.box(364, 454, 491, 591), shapely.box(241, 412, 397, 589)
    assert (masks["2"] == 3).sum() == left.area
    assert (masks["2"] == 4).sum() == right.difference(left).area
