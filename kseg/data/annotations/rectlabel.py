"""RectLabel: PASCAL VOC's XML with polygons and Bézier curves."""

import math

import numpy as np

from kseg.data.annotations.places import Element, as_size, parse_number
from kseg.data.annotations.shapes import Box, Export, Picture, Polygon, Shape, Stroke

_CLOSEST = 0.01  # pixels between a curve and the polygon that stands for it
_MOST_PIECES = 256


def read(document: Element) -> Export:
    """Reads a file of [RectLabel](https://rectlabel.com), or of PASCAL VOC's boxes.

    An object is drawn as its `polygon` or `cubic_bezier` where it has one, else as
    its `bndbox`. An earlier object covers a later one: what lies on another is listed
    first. Coordinates count from 0 at the upper left corner.
    """
    height, width = (_size(document, side) for side in ("height", "width"))
    picture = Picture(
        names=(document.text("filename") or "",),
        place=document.place.at("filename"),
        size=(height, width) if height and width else None,
    )
    for index, element in enumerate(document.children()):
        if element.tag == "object":
            shape = Shape(
                label=element.text("name") or "",
                parts=_parts(element),
                place=element.place,
                z_order=-index,
            )
            picture.shapes.append(shape)
    return Export([picture])


def _size(document, side):
    text = document.xml.findtext(f"size/{side}")
    place = document.place.at("size").at(side)
    # VOC allows 0 for "unknown".
    number = parse_number(text, place) if text and text.strip() else 0
    return as_size(number, place) if number else None


def _parts(element):
    children = {child.tag: child for child in element.children()}
    if "polygon" in children:
        return (Polygon((_points(children["polygon"], least=3),)),)
    if "cubic_bezier" in children:
        return (_bezier(children["cubic_bezier"]),)
    if "line" in children:
        return (Stroke(_points(children["line"], least=2)),)
    if "point" in children:
        return (Stroke(_points(children["point"], least=1)),)
    if "bndbox" in children:
        corners = children["bndbox"]
        return (Box(*(_number(corners, s) for s in ("xmin", "ymin", "xmax", "ymax"))),)
    raise element.place.error(
        "An object must have a polygon, cubic_bezier, line, point or bndbox.",
        sorted(children),
    )


def _number(element, tag):
    text = element.text(tag)
    if text is None:
        raise element.place.error(f"`{tag}` must be given here.")
    return parse_number(text, element.place.at(tag))


def _points(element, least, suffix=""):
    """x1, y1, x2, y2, … as `(points, 2)`; with a suffix x1_c1, y1_c1, …"""
    texts = {child.tag: child.text or "" for child in element.xml}
    points = []
    while (tag := f"x{len(points) + 1}{suffix}") in texts:
        other = f"y{tag[1:]}"
        if other not in texts:
            raise element.place.error(f"`{other}` must be given beside `{tag}`.")
        pair = [parse_number(texts[t], element.place.at(t)) for t in (tag, other)]
        points.append(pair)
    numbered = sum(tag.startswith("x") and "_" not in tag for tag in texts)
    if len(points) < least or (not suffix and len(points) != numbered):
        raise element.place.error(
            f"Points must be numbered from 1 on, {least} at least.", list(texts)[:6]
        )
    return np.array(points)


def _bezier(element):
    """A closed curve: c1 of a point leads to the next point, c2 to the one before."""
    knots = _points(element, least=2)
    handles = [_points(element, len(knots), f"_c{i}") for i in (1, 2)]
    if any(len(h) != len(knots) for h in handles):
        raise element.place.error("Every point must have its handles c1 and c2.")
    ends = np.roll(knots, -1, axis=0)
    curves = np.stack([knots, handles[0], np.roll(handles[1], -1, axis=0), ends], 1)
    return Polygon((np.concatenate([_flat(curve) for curve in curves]),))


def _flat(curve):
    """Points on a cubic curve, its end left out, so many that nothing is to be seen."""
    # Wang's bound on how far a chord is from its piece of curve.
    bend = np.hypot(*np.diff(curve, n=2, axis=0).T).max()
    pieces = min(max(1, math.ceil(math.sqrt(0.75 * bend / _CLOSEST))), _MOST_PIECES)
    t = np.arange(pieces)[:, None] / pieces
    weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
    return sum(w * point for w, point in zip(weights, curve, strict=True))
