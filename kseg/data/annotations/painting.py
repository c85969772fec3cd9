"""The shapes of a picture -> a mask of class ids and one of instances."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from kseg.data.annotations.classes import IGNORED, ClassTable
from kseg.data.annotations.shapes import Shape

CROWD = 65535


@dataclasses.dataclass(frozen=True, eq=False)
class Painting:
    """A painted picture.

    Attributes:
        mask: uint8 array `(height, width)` of class ids, 255 for pixels to ignore.
        instances: uint16 array: number of the instance, 0 where there is none, 65535
            in a crowd.
        empty: Places of the shapes that cover no pixel.
    """

    mask: np.ndarray
    instances: np.ndarray
    empty: tuple[str, ...]


def paint(
    shapes: Sequence[Shape], size: tuple[int, int], table: ClassTable, line_width: float
) -> Painting:
    """Paints shapes over each other, lowest `z_order` first.

    Args:
        shapes: The shapes, in the order of the export.
        size: Height and width of the picture.
        table: The classes.
        line_width: Thickness of lines, diameter of points, in pixels.

    Raises:
        ValueError: If a shape cannot be drawn, or there are more than 65,534 instances.
    """
    mask = np.full(size, table.outside, np.uint8)
    instances = np.zeros(size, np.uint16)
    numbers = _numbers(shapes, table)
    empty = []
    for index in sorted(range(len(shapes)), key=lambda i: shapes[i].z_order):
        shape, covered = shapes[index], False
        for part in shape.parts:
            try:
                window = part.fill(*size, line_width)
            except ValueError as error:
                if str(error).startswith(str(shape.place)):
                    raise
                raise shape.place.error(str(error)) from error
            mask[window.slices][window.inside] = table.id(shape.label)
            instances[window.slices][window.inside] = numbers[index]
            covered = covered or window.inside.any()
        if not covered:
            empty.append(str(shape.place))
    return Painting(mask, instances, tuple(empty))


def _numbers(shapes, table):
    """Number of each shape's instance: as given, else counted on from the highest."""
    given = [shape.number for shape in shapes if shape.number is not None]
    known, numbers = {}, []
    following = max(given, default=0) + 1
    for index, shape in enumerate(shapes):
        class_id = table.id(shape.label)
        key = index if shape.group is None else (class_id, shape.group)
        if class_id in (table.outside, IGNORED):
            numbers.append(0)
        elif shape.crowd:
            numbers.append(CROWD)
        elif shape.number is not None:
            numbers.append(shape.number)
        else:
            if key not in known:
                known[key] = following
                following += 1
            numbers.append(known[key])
    if following > CROWD or max(given, default=0) >= CROWD:
        raise shapes[0].place.error(
            f"A picture must have at most {CROWD - 1} instances."
        )
    return numbers
