import pytest

from kseg.data.annotations.classes import ClassTable
from kseg.data.annotations.places import Place

PLACE = Place("a.json", "shapes[2]")


def table(labels=(), declared=(), classes=None, renames=None):
    places = (dict.fromkeys(names, PLACE) for names in (labels, declared))
    return ClassTable(*places, classes, renames)


def test_names_are_sorted_behind_background_whatever_their_order():
    for labels in (["b", "a", "C"], ["C", "b", "a"]):
        assert table(labels).names == ("background", "C", "a", "b")


def test_declared_labels_are_classes_though_unused():
    found = table(["b"], declared=["c", "a", ""])
    assert found.names == ("background", "a", "b", "c")
    assert [found.id(label) for label in "abc"] == [1, 2, 3]


@pytest.mark.parametrize("label", ["background", "_background_", "__background__"])
def test_names_of_the_background(label):
    assert table(["a", label]).names == ("background", "a")
    assert table(["a", label]).id(label) == 0


def test_ignore_is_255_and_no_class():
    found = table(["a", "__ignore__"])
    assert found.names == ("background", "a")
    assert found.id("__ignore__") == 255


def test_blanks_and_composed_accents_make_no_difference():
    found = table(["cafe\u0301", " caf\u00e9\n"])
    assert found.names == ("background", "caf\u00e9")


def test_given_classes_keep_their_order():
    found = table(["a"], classes=("background", "z", "a"))
    assert (found.id("a"), found.outside) == (2, 0)


def test_without_background_the_outside_is_ignored():
    found = table(["a", "background"], classes=("z", "a"))
    assert found.outside == 255
    assert found.id("background") == 255


def test_renames_merge_ignore_and_drop():
    renames = {"truck": "vehicle", "car ": "vehicle", "junk": "__ignore__", "x": "background"}  # fmt: skip
    found = table(["car", "truck", "junk", "x"], renames=renames)
    assert found.names == ("background", "vehicle")
    assert [found.id(x) for x in ("car", "truck", "junk", "x")] == [1, 1, 255, 0]


def test_label_without_class_is_named_with_its_place():
    with pytest.raises(ValueError, match=r"'b' \(a\.json: shapes\[2\]\)"):
        table(["a", "b"], classes=("background", "a"))


@pytest.mark.parametrize(
    "classes", [(), ("a",), ("a", "a"), ("a", ""), ("background", "_background_")]
)
def test_classes_that_are_no_table(classes):
    with pytest.raises(ValueError, match="at least two different names"):
        table(["a"], classes=classes)


@pytest.mark.parametrize("classes", ["ab", ("a", 1)])
def test_classes_of_a_wrong_type(classes):
    with pytest.raises(TypeError, match="sequence of names"):
        table(["a"], classes=classes)


def test_255_classes_at_most():
    assert len(table([f"{i:03}" for i in range(254)]).names) == 255
    with pytest.raises(ValueError, match="at most 255 classes.*256"):
        table([f"{i:03}" for i in range(255)])


def test_nothing_to_name():
    with pytest.raises(ValueError, match="must hold shapes with an area and a label"):
        table(["background", "__ignore__"])


@pytest.mark.parametrize("label", ["a\ud800", "a\nb", "a\0"])
def test_label_that_cannot_be_written_is_named(label):
    for given in ({"labels": [label]}, {"labels": ["a"], "declared": [label]}):
        with pytest.raises(ValueError, match=r"a\.json: shapes\[2\]: .*printable"):
            table(**given)
