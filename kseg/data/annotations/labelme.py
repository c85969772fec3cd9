"""LabelMe: one JSON file per photo; all shapes of versions 3 to 5."""

import base64
import binascii

import numpy as np

from kseg.data.annotations.places import Node
from kseg.data.annotations.shapes import (
    Bitmap,
    Box,
    Ellipse,
    Export,
    Picture,
    Polygon,
    Shape,
    Stroke,
)


def read(document: Node) -> Export:
    """Reads a file of [LabelMe](https://github.com/wkentaro/labelme).

    Lines and points have no area of their own and are drawn as strokes. Shapes with the
    same label and `group_id` are one instance. A later shape covers an earlier one.
    Corners at exactly `width - 1` or `height - 1` are on the border of the picture, where
    LabelMe 5 cannot place them.
    """
    name = document.get("imagePath")
    height, width = document.get("imageHeight"), document.get("imageWidth")
    picture = Picture(
        names=(name.text(),) if name else (),
        place=document.place.at("imagePath"),
        size=(height.size(), width.size()) if height and width else None,
        embedded=document.get("imageData") is not None,
    )
    for node in document["shapes"].elements():
        group = node.get("group_id")
        shape = Shape(
            label=node["label"].text().strip(),
            parts=_parts(node, picture.size),
            place=node.place,
            group=None if group is None else str(group.value),
        )
        picture.shapes.append(shape)
    return Export([picture])


def photo(document: Node) -> bytes:
    """Returns the photo that a file holds in `imageData`, as a picture file."""
    return _decode(document["imageData"])


def _decode(node):
    """The bytes that a string in Base64 stands for."""
    try:
        return base64.b64decode(node.text(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise node.place.error(f"This must be Base64 ({error}).", node.value) from error


def _parts(node, size):
    kind = node.get("shape_type")
    kind = "polygon" if kind is None else kind.text()
    if kind not in _LEAST:
        raise node.place.at("shape_type").error(
            f"A shape must be one of {', '.join(_LEAST)}.", kind
        )
    points = node["points"].points(least=_LEAST[kind])
    exact = {"rectangle": 2, "circle": 2, "mask": 2, "point": 1}.get(kind)
    if exact and len(points) != exact:
        raise node.place.at("points").error(
            f"A {kind} must have {exact} points.", points.tolist()
        )
    if kind in ("polygon", "rectangle") and size is not None:
        # LabelMe 5 lets no point go beyond width - 1 and height - 1: the border.
        border = np.array(size[::-1], float)
        points = np.where(points == border - 1, border, points)
    if kind == "polygon":
        return (Polygon((points,)),)
    if kind == "rectangle":
        return (Box(*points.min(axis=0), *points.max(axis=0)),)
    if kind == "circle":
        radius = float(np.hypot(*(points[1] - points[0])))
        return (Ellipse(tuple(points[0]), (radius, radius)),)
    if kind == "points":
        return tuple(Stroke(point[None]) for point in points)
    if kind == "mask":
        return (_bitmap(node, points),)
    return (Stroke(points),)


def _bitmap(node, points):
    # The points are the first and the last pixel, cut to integers.
    (left, top), (right, bottom) = points.astype(int).tolist()
    content = _decode(node["mask"])
    if right < left or bottom < top:
        raise node.place.at("points").error(
            "A mask must have its upper left and its lower right pixel.",
            points.tolist(),
        )
    return Bitmap(
        content=lambda: content,
        place=node.place.at("mask"),
        top=top,
        left=left,
        size=(bottom - top + 1, right - left + 1),
    )


_LEAST = {
    "polygon": 3,
    "rectangle": 2,
    "circle": 2,
    "line": 2,
    "linestrip": 2,
    "point": 1,
    "points": 1,
    "mask": 2,
}
