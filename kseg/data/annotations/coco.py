"""COCO: one JSON file of pictures, categories and objects."""

import numpy as np

from kseg.data.annotations.places import Node, as_number
from kseg.data.annotations.runs import unpack_counts
from kseg.data.annotations.shapes import Box, Export, Picture, Polygon, Runs, Shape


def read(document: Node) -> Export:
    """Reads a file of [COCO](https://cocodataset.org/#format-data)'s object detection.

    The polygons of an object are joined, as COCO's own tools do: an object with holes
    needs run lengths. A later object covers an earlier one; crowds lie below all others
    and have no instance of their own. An object without segmentation is its box.
    """
    if "categories" not in document.value:
        raise document.place.error("`categories` must be given here.")
    names = {}
    for node in document["categories"].elements():
        _add(names, node, node["name"].text().strip())
    pictures = {}
    for node in document["images"].elements():
        size = node["height"].size(), node["width"].size()
        name = node["file_name"]
        picture = Picture((name.text(),), name.place, size)
        _add(pictures, node, picture)
    for node in document["annotations"].elements():
        if node.get("segments_info") is not None:
            raise node.place.error(
                "This must be an object with `category_id` and `segmentation`; "
                "panoptic exports hold their masks in PNG files of their own."
            )
        picture = _find(pictures, node["image_id"], "images")
        crowd = node.get("iscrowd")
        crowd = crowd is not None and bool(as_number(crowd.value, crowd.place))
        shape = Shape(
            label=_find(names, node["category_id"], "categories"),
            parts=_parts(node, picture.size),
            place=node.place,
            z_order=-1 if crowd else 0,
            crowd=crowd,
        )
        picture.shapes.append(shape)
    return Export(list(pictures.values()), tuple(names.values()))


def _add(table, node, value):
    key = _key(node["id"])
    # VGG Image Annotator repeats its categories.
    if table.setdefault(key, value) != value:
        raise node.place.at("id").error("Ids must be unique.", node["id"].value)


def _key(node):
    """An id as text: some tools write `0` in one place and `"0"` in another."""
    if not isinstance(node.value, str | int) or isinstance(node.value, bool):
        raise node.place.error("An id must be an integer or a string.", node.value)
    return str(node.value)


def _find(table, node, where):
    found = table.get(_key(node))
    if found is None:
        raise node.place.error(f"This must be an id of `{where}`.", node.value)
    return found


def _parts(node, size):
    segmentation = node.get("segmentation")
    if segmentation is None or segmentation.value == []:
        left, top, width, height = _box(node["bbox"])
        return (Box(left, top, left + width, top + height),)
    if isinstance(segmentation.value, dict):
        return (_runs(segmentation, size),)
    rings = list(segmentation.elements())
    if not isinstance(segmentation.value[0], list):
        rings = [segmentation]  # VGG Image Annotator leaves out a level
    return tuple(Polygon((ring.flat_points(least=3),)) for ring in rings)


def _box(node):
    numbers = [element.number() for element in node.elements()]
    if len(numbers) != 4 or min(numbers[2:]) < 0:
        raise node.place.error("A box must be x, y, width, height.", node.value)
    return numbers


def _runs(node, size):
    stated = [element.size() for element in node["size"].elements()]
    if stated != list(size):
        raise node.place.at("size").error(
            f"The size must be that of the picture, {list(size)}.", stated
        )
    counts = node["counts"]
    if isinstance(counts.value, str):
        try:
            runs = np.array(unpack_counts(counts.value), np.int64)
        except (ValueError, OverflowError) as error:
            raise counts.place.error(
                f"This must be compressed run lengths ({error})."
            ) from error
    else:
        runs = np.array([element.number() for element in counts.elements()])
    if len(runs) and (runs.min() < 0 or (runs % 1).any()):
        raise counts.place.error("Run lengths must be integers, 0 or more.")
    total = sum(runs.astype(object).tolist()) if len(runs) else 0
    if total != size[0] * size[1]:
        raise counts.place.error(
            "Run lengths must add up to height x width of the picture. Received: "
            f"{int(total)} pixels, height={size[0]}, width={size[1]}"
        )
    return Runs(runs.astype(np.int64), 0, 0, *size, order="F")
