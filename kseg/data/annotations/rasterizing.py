"""Outlines -> pixels, by one rule for every tool.

Coordinates are those of all annotation tools: `(0, 0)` is the upper left corner of the
upper left pixel, so that the pixel in row `r` and column `c` is the square from
`(c, r)` to `(c + 1, r + 1)`. A pixel belongs to an area if its centre
`(c + 0.5, r + 0.5)` does. On an outline, the left and the upper side belong to the area,
the right and the lower do not: areas that share an outline neither overlap nor leave a
gap, and an outline along pixel edges gives exactly the pixels inside.
"""

import dataclasses

import numpy as np

_CHUNK = 1 << 20
_MOST_CROSSINGS = 1 << 28  # of an outline and pixel rows: half a minute


@dataclasses.dataclass(frozen=True, eq=False)
class Window:
    """The pixels of an area, inside the smallest rectangle that is sure to hold them.

    Attributes:
        top: First row of the rectangle in the picture.
        left: First column.
        inside: bool array: which pixels of the rectangle belong to the area.
    """

    top: int
    left: int
    inside: np.ndarray

    @property
    def slices(self) -> tuple[slice, slice]:
        """The rectangle as an index into the picture."""
        rows, columns = self.inside.shape
        return (
            slice(self.top, self.top + rows),
            slice(self.left, self.left + columns),
        )


def fill_polygon(rings, height: int, width: int) -> Window:
    """Fills the area inside closed rings; inside an even number of them is a hole.

    Args:
        rings: Sequence of arrays `(points, 2)` of x and y, each closed by itself.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.

    Returns:
        The `Window` of the pixels, clipped to the picture.

    Raises:
        ValueError: If the rings cross pixel rows more than 2^28 times.
    """
    starts = np.concatenate(rings)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    # Each edge from its upper end, so that neighbours compute the same crossings.
    down = (starts[:, 1] <= ends[:, 1])[:, None]
    upper, lower = np.where(down, starts, ends), np.where(down, ends, starts)
    first = _first_centre(upper[:, 1], height)
    stop = _first_centre(lower[:, 1], height)
    crossing = first < stop
    upper, lower, first, stop = (a[crossing] for a in (upper, lower, first, stop))
    if not len(first):
        return _nothing()
    top, bottom = first.min(), stop.max()
    columns = _first_centre(np.stack([upper[:, 0], lower[:, 0]]), width)
    left, right = columns.min(), columns.max()
    flips = np.zeros((bottom - top, right - left + 1), np.uint8)
    for edge, row in _rows_of(first, stop):
        share = (row + 0.5 - upper[edge, 1]) / (lower[edge, 1] - upper[edge, 1])
        x = upper[edge, 0] + share * (lower[edge, 0] - upper[edge, 0])
        column = np.clip(_first_centre(x, width), left, right)
        # uint8 wraps around, which leaves odd and even as they are.
        np.add.at(flips.ravel(), (row - top) * flips.shape[1] + column - left, 1)
    inside = np.bitwise_xor.accumulate(flips & 1, axis=1)[:, :-1]
    return Window(int(top), int(left), inside.astype(bool))


def fill_stroke(points, thickness: float, height: int, width: int) -> Window:
    """Fills the pixels within `thickness / 2` of a line, or of a single point."""
    start, end = (points, points) if len(points) == 1 else (points[:-1], points[1:])
    radius = thickness / 2
    reach = np.minimum(start, end) - radius, np.maximum(start, end) + radius
    first = _first_centre(reach[0][:, 1], height)
    stop = _first_centre(reach[1][:, 1], height, side="right")
    if not (first < stop).any() or thickness <= 0:
        return _nothing()
    top, bottom = first[first < stop].min(), stop[first < stop].max()
    left = _first_centre(reach[0][:, 0].min(), width)
    right = _first_centre(reach[1][:, 0].max(), width, side="right")
    steps = np.zeros((bottom - top, right - left + 1), np.int32)
    for segment, row in _rows_of(first, stop):
        x0, x1 = _extent(start[segment], end[segment], radius, row + 0.5)
        begin = np.clip(_first_centre(x0, width), left, right)
        finish = np.clip(_first_centre(x1, width, side="right"), begin, right)
        line = (row - top) * steps.shape[1] - left
        np.add.at(steps.ravel(), line + begin, 1)
        np.add.at(steps.ravel(), line + finish, -1)
    inside = np.cumsum(steps, axis=1)[:, :-1] > 0
    return Window(int(top), int(left), inside)


def fill_ellipse(center, radii, angle: float, height: int, width: int) -> Window:
    """Fills an ellipse; `angle` turns it clockwise, in radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    reach = np.hypot([radii[0] * cos, radii[0] * sin], [radii[1] * sin, radii[1] * cos])
    left, right = _first_centre(center[0] + np.array([-1, 1]) * reach[0], width)
    top, bottom = _first_centre(center[1] + np.array([-1, 1]) * reach[1], height)
    if min(radii) <= 0 or top >= bottom or left >= right:
        return _nothing()
    x = np.arange(left, right) + 0.5 - center[0]
    y = np.arange(top, bottom)[:, None] + 0.5 - center[1]
    along, across = x * cos + y * sin, y * cos - x * sin
    inside = (along / radii[0]) ** 2 + (across / radii[1]) ** 2 <= 1
    return Window(int(top), int(left), inside)


def fill_bitmap(inside, top: int, left: int, height: int, width: int) -> Window:
    """Places a bool array in the picture; what lies outside is cut off."""
    rows = slice(max(0, -top), max(0, height - top))
    columns = slice(max(0, -left), max(0, width - left))
    return Window(max(0, top), max(0, left), inside[rows, columns])


def _first_centre(position, size, side="left"):
    """Index of the first pixel whose centre is at or behind a position; 0 ... size."""
    index = np.ceil(position - 0.5) if side == "left" else np.floor(position + 0.5)
    return np.clip(index, 0, size).astype(np.int64)


def _rows_of(first, stop):
    """Yields, in chunks, pairs of arrays: index of an edge, each row that it crosses."""
    counts = np.maximum(stop - first, 0)
    behind = np.cumsum(counts)
    if behind[-1] > _MOST_CROSSINGS:
        raise ValueError(
            "An outline must cross pixel rows at most 2^28 times in all. "
            f"Received: {len(first)} edges with {behind[-1]} crossings"
        )
    bounds = np.searchsorted(behind, np.arange(_CHUNK, behind[-1], _CHUNK)) + 1
    for chunk in np.split(np.arange(len(first)), np.unique(bounds)):
        edge = np.repeat(chunk, counts[chunk])
        start = np.repeat(behind[chunk] - counts[chunk], counts[chunk])
        within = np.arange(len(edge)) + (start[0] if len(start) else 0) - start
        yield edge, first[edge] + within


def _extent(start, end, radius, y):
    """Leftmost and rightmost x at the height `y` of two discs and what joins them."""
    along = end - start
    length = np.hypot(along[:, 0], along[:, 1])
    normal = along[:, ::-1] * [-1, 1] * (radius / np.maximum(length, 1e-12))[:, None]
    low, high = np.full(len(y), np.inf), np.full(len(y), -np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        for center in (start, end):
            half = np.sqrt(radius**2 - (y - center[:, 1]) ** 2)  # nan: not reached
            low = np.fmin(low, center[:, 0] - half)
            high = np.fmax(high, center[:, 0] + half)
        for side in (start + normal, start - normal):
            share = (y - side[:, 1]) / along[:, 1]
            x = np.where(
                (share >= 0) & (share <= 1), side[:, 0] + share * along[:, 0], np.nan
            )
            low, high = np.fmin(low, x), np.fmax(high, x)
    # A row that only touches the outline is left out.
    reached = low <= high
    return np.where(reached, low, 0.0), np.where(reached, high, -1.0)


def _nothing():
    return Window(0, 0, np.zeros((0, 0), bool))
