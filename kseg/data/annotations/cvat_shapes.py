"""The shapes of CVAT, in images and in tracks."""

import math

import numpy as np

from kseg.data.annotations.places import Element, parse_number
from kseg.data.annotations.shapes import Box, Ellipse, Part, Polygon, Runs, Stroke

WITHOUT_AREA = ("tag", "cuboid", "skeleton")


def parts(element: Element) -> tuple[Part, ...]:
    """Returns what a shape covers; each of several points is a part of its own."""
    if element.tag == "points":
        return tuple(Stroke(point[None]) for point in element.points())
    return (_part(element),)


def _part(element):
    tag = element.tag
    angle = math.radians(element.number("rotation", 0))
    if tag == "box":
        sides = [element.number(side) for side in ("xtl", "ytl", "xbr", "ybr")]
        return Box(*sides, angle)
    if tag == "ellipse":
        radii = element.number("rx"), element.number("ry")
        if min(radii) < 0:
            raise element.place.error("`rx` and `ry` must not be negative.", radii)
        return Ellipse((element.number("cx"), element.number("cy")), radii, angle)
    if tag == "polygon":
        return Polygon((element.points(least=3),))
    if tag == "polyline":
        return Stroke(element.points())
    if tag == "mask":
        return _runs(element)
    raise element.place.error("A shape must be of a kind that CVAT has.", tag)


def _runs(element):
    place, text = element.place.at("rle"), element.get("rle")
    height, width = element.size("height"), element.size("width")
    try:
        counts = np.array(text.split(","), np.float64)
    except ValueError:
        counts = np.array(
            [parse_number(c, place.at(i)) for i, c in enumerate(text.split(","))]
        )
    if not (np.isfinite(counts) & (counts >= 0)).all() or (counts % 1).any():
        raise place.error("Run lengths must be integers, 0 or more.", text)
    if counts.sum() != height * width:
        raise place.error(
            "Run lengths must add up to width x height of the mask. Received: "
            f"{counts.sum():.0f} pixels, width={width}, height={height}"
        )
    top, left = element.integer("top"), element.integer("left")
    return Runs(counts.astype(np.int64), top, left, height, width, order="C")
