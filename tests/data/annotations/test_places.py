import math

import numpy as np
import pytest
from defusedxml import ElementTree

from kseg.data.annotations.places import Element, Node, Place

PLACE = Place("photo1.json")


def node(value):
    return Node(value, PLACE.at("shapes").at(1).at("points"))


def element(text):
    return Element(ElementTree.fromstring(text), Place("a.xml"))


def test_place_reads_as_a_path():
    assert str(PLACE) == "photo1.json"
    assert str(PLACE.at("shapes").at(3).at("points").at(0)) == (
        "photo1.json: shapes[3].points[0]"
    )
    assert str(PLACE.at("a.jpg1").at("x")) == "photo1.json: ['a.jpg1'].x"


@pytest.mark.parametrize(
    "bad",
    [
        *(math.nan, math.inf, -math.inf, 1e30, -1e30, 10**400, 10**20),
        *("1", None, True, [1], {"x": 1}),
    ],
)
@pytest.mark.parametrize("axis", [0, 1])
def test_bad_coordinate_is_named(bad, axis):
    points = [[1, 2], [3, 4.5], [5, 6], [7, 8]]
    points[2][axis] = bad
    with pytest.raises(ValueError, match=r"photo1\.json: shapes\[1\]\.points\[2\]"):
        node(points).points(3)


@pytest.mark.parametrize("bad", [[1], [1, 2, 3], 5, None, "12", {"x": 1, "y": 2}, []])
def test_point_that_is_no_pair_is_named(bad):
    with pytest.raises(ValueError, match=r"points\[1\]: A point must be two numbers"):
        node([[1, 2], bad, [3, 4]]).points()


@pytest.mark.parametrize("value", [None, 3, "1,2", {"0": [1, 2]}])
def test_points_that_are_no_array(value):
    with pytest.raises(ValueError, match=r"shapes\[1\]\.points: This must be an array"):
        node(value).points()


def test_too_few_points():
    with pytest.raises(ValueError, match=r"points: There must be at least 3 points"):
        node([[1, 2], [3, 4]]).points(3)
    with pytest.raises(ValueError, match="at least 1 points"):
        node([]).points()


def test_points_are_float64():
    points = node([[1, 2], [3, 4]]).points()
    assert points.dtype == np.float64
    np.testing.assert_array_equal(points, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(
        node([1, 2, 3.5, 4]).flat_points(), [[1, 2], [3.5, 4]]
    )


def test_flat_points_of_odd_number_or_kind():
    with pytest.raises(ValueError, match="x0, y0, x1, y1"):
        node([1, 2, 3]).flat_points()
    with pytest.raises(ValueError, match=r"points\[1\].*'4'"):
        node([1, 2, 3, "4"]).flat_points()


@pytest.mark.parametrize("value", [0, -5, 2.5, "20", None, math.nan, 10**9, True])
def test_size_is_a_positive_integer(value):
    with pytest.raises(ValueError, match="size|number"):
        Node(value, PLACE).size()


def test_wrong_types_name_what_is_expected():
    for call, message in [
        (lambda n: n.text(), "string"),
        (lambda n: list(n.elements()), "array"),
        (lambda n: list(n.members()), "object"),
        (lambda n: n.get("x"), "object"),
        (lambda n: n.number(), "number"),
    ]:
        with pytest.raises(
            ValueError, match=rf"photo1\.json: This must be an? {message}"
        ):
            call(Node(("tuple",), PLACE))


def test_absent_and_null_members():
    value = Node({"a": None}, PLACE)
    assert value.get("a") is None
    assert value.get("b") is None
    with pytest.raises(ValueError, match="`a` must be given here"):
        value["a"]


def test_received_value_is_shortened():
    with pytest.raises(ValueError) as caught:
        Node("x" * 10_000, PLACE).number()
    assert len(str(caught.value)) < 200


def test_xml_children_are_counted_by_tag():
    root = element("<a><image/><box/><image><polygon/></image></a>")
    places = [str(child.place) for child in root.children()]
    assert places == ["a.xml: image[0]", "a.xml: box[0]", "a.xml: image[1]"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("1,2;3", r"points\[1\]: A point must be two numbers x,y"),
        ("1,2;3,4,5", r"points\[1\]"),
        ("1,2;3,x", r"points\[1\]: This must be a number"),
        ("1,2;nan,4", r"points\[1\]"),
        ("1,2;3,inf", r"points\[1\]"),
        ("1,2;3,1e99", r"points\[1\]"),
        ("", r"points\[0\]"),
        ("1,2;", r"points\[1\]"),
    ],
)
def test_xml_points_that_are_wrong(text, place):
    with pytest.raises(ValueError, match=f"a.xml: {place}"):
        element(f'<p points="{text}"/>').points()


def test_xml_numbers():
    shape = element('<box xtl="1.5" frame="2" half="2.5" bad="one"/>')
    assert shape.number("xtl") == 1.5
    assert shape.number("rotation", 0) == 0
    assert shape.integer("frame") == 2
    for name, message in [
        ("half", "integer"),
        ("bad", "number. Received: 'one'"),
        ("ytl", "`ytl` must be given"),
    ]:
        with pytest.raises(ValueError, match=message):
            shape.integer(name)
