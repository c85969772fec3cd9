"""Masks -> outlines along pixel edges."""

import dataclasses
from collections.abc import Iterator

import numpy as np

_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # right, down, left, up in x and y


@dataclasses.dataclass(frozen=True, eq=False)
class Region:
    """Pixels of one class that hang together by their sides.

    Attributes:
        class_id: Their class.
        top: First row.
        left: First column.
        inside: bool array: which pixels of the bounding rectangle are meant.
        rings: Corners of the outlines, arrays `(points, 2)` of x and y: the outer one
            clockwise, then the holes.
    """

    class_id: int
    top: int
    left: int
    inside: np.ndarray
    rings: tuple[np.ndarray, ...]

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.inside.sum())

    @property
    def outer_area(self) -> int:
        """Number of pixels with those of the holes."""
        x, y = self.rings[0].T
        doubled = x * np.roll(y, -1) - y * np.roll(x, -1)
        return int(abs(doubled.sum())) // 2


def trace(mask: np.ndarray) -> Iterator[Region]:
    """Yields the regions of all classes of a mask, class by class.

    Pixels that touch at a corner only belong to different regions, unless there is
    another way from one to the other. Filled by the rule of `rasterizing.py`, the rings of
    a region give exactly its pixels.
    """
    from scipy import ndimage

    for class_id in np.unique(mask).tolist():
        labels, _ = ndimage.label(mask == class_id)
        for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
            inside = labels[rows, columns] == number
            top, left = rows.start, columns.start
            rings = tuple(ring + (left, top) for ring in _rings(inside))
            yield Region(class_id, top, left, inside, rings)


def simplify(ring: np.ndarray, tolerance: float) -> np.ndarray:
    """Leaves out points of a closed ring that are within `tolerance` of the rest.

    The method of Ramer, Douglas and Peucker. A ring of which less than a triangle
    would be left is returned as it is.
    """
    if tolerance <= 0 or len(ring) < 4:
        return ring
    far = int(np.hypot(*(ring - ring[0]).T).argmax())
    closed = np.concatenate([ring, ring[:1]])
    kept = {0, far}
    spans = [(0, far), (far, len(ring))]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        distance = _distances(closed[first + 1 : last], closed[first], closed[last])
        index = int(distance.argmax())
        if distance[index] > tolerance:
            middle = first + 1 + index
            kept.add(middle)
            spans += [(first, middle), (middle, last)]
    return ring[sorted(kept)] if len(kept) > 2 else ring


def _rings(inside):
    """The outlines of one region: its outer one, then its holes."""
    padded = np.pad(inside, 1)
    within = padded[1:-1, 1:-1]
    height, width = inside.shape
    # leaves[d][y, x]: an edge leaves the corner (x, y) in direction d, inside on its right
    leaves = np.zeros((4, height + 1, width + 1), bool)
    leaves[0, :-1, :-1] = within & ~padded[:-2, 1:-1]
    leaves[1, :-1, 1:] = within & ~padded[1:-1, 2:]
    leaves[2, 1:, 1:] = within & ~padded[2:, 1:-1]
    leaves[3, 1:, :-1] = within & ~padded[1:-1, :-2]
    rings = []
    # Row by row, so the first edge found is on top of the region: on its outer ring.
    for y, x in np.argwhere(leaves[0]).tolist():
        if leaves[0, y, x]:
            rings.append(_follow(leaves, x, y))
    return rings


def _follow(leaves, x, y):
    """Follows one ring from the corner (x, y) to the right; erases its edges."""
    corners, direction, last = [], 0, None
    while leaves[direction, y, x]:
        leaves[direction, y, x] = False
        if direction != last:
            corners.append((x, y))
        last = direction
        x, y = x + _STEPS[direction][0], y + _STEPS[direction][1]
        # To the right first: where two pixels touch at a corner, around the same one.
        for turn in (1, 0, 3):
            if leaves[(direction + turn) % 4, y, x]:
                direction = (direction + turn) % 4
                break
    return np.array(corners)


def _distances(points, start, end):
    """Distances of points from the line piece between two others."""
    along = end - start
    length = float(along @ along)
    away = points - start
    if length:
        share = np.clip(away @ along / length, 0, 1)
        away = away - share[:, None] * along
    return np.hypot(*away.T)
