"""Rooms cut into blocks that overlap, as PointNet takes them."""

from collections.abc import Sequence

import numpy as np

from kseg.data.batches import check_integer
from kseg.data.datasets.points import PointDataset, PointSample
from kseg.data.points.checking import check_cloud, check_length
from kseg.data.points.geometry import estimate_normals


class Blocks(PointDataset):
    """Columns of a square base, cut out of rooms; each is a sample of its own.

    A column stands on the floor and reaches to the ceiling. Columns begin every `stride`,
    so with a stride of half their size each point lies in up to four. Without a
    `viewpoint` the channels of a block are the nine of PointNet: x, y, z, where the
    middle of the column is the origin on the floor; red, green, blue of 0 to 1; x, y, z
    as shares of the room's extent. With it they are those that
    `kseg.models.points.a_cnn_semantic_segmentation` takes: x, y, z as before; the normal;
    red, green, blue of 0 to 1, if the rooms have colours.

    All rooms are read at once and stay in memory.

    Example:

    ```python
    rooms = kseg.data.datasets.S3DIS("Stanford3dDataset_v1.2_Aligned_Version")
    blocks = kseg.data.points.Blocks(rooms, min_points=100)
    batches = kseg.data.points.loader(blocks, 24, 4096)
    ```

    Reference:
    - [PointNet](https://arxiv.org/abs/1612.00593) (CVPR 2017), section 5.1

    Args:
        rooms: Data set of `PointSample`, with a label per point (or `None`, for
            `predict_rooms`) and the channels x, y, z, and red, green, blue of 0 to 255
            (needed without `viewpoint`).
        size: Side of the base, in the unit of the rooms (metres).
        stride: Distance from one column to the next. Defaults to half the size.
        up: Axis that points to the ceiling or the floor: 2, the z axis, for rooms; 1 for
            clouds of a depth camera.
        viewpoint: Point `(x, y, z)` of a room from which it was scanned, to which the
            normals are turned. Defaults to `None`, without normals.
        min_points: Columns with fewer points are left out.

    Attributes:
        rooms: List of the rooms, as `PointSample`.
        inside: List of pairs: index of the room, and indices of its points, per block.

    Raises:
        ValueError: If a room has no points, colours or labels per point, a coordinate is
            not finite, or a number is out of its range.
        TypeError: If a number is of another type.
    """

    def __init__(
        self,
        rooms: Sequence[PointSample],
        size: float = 1.0,
        stride: float | None = None,
        *,
        up: int = 2,
        viewpoint: tuple | None = None,
        min_points: int = 1,
    ):
        stride = size / 2 if stride is None else stride
        check_length("size", size)
        check_length("stride", stride)
        check_integer("min_points", min_points, 1)
        if stride > size:
            raise ValueError(
                "`stride` must be at most `size`, or points between the blocks are lost. "
                f"Received: stride={stride}, size={size}"
            )
        if up not in (0, 1, 2):
            raise ValueError(f"`up` must be an axis, 0, 1 or 2. Received: up={up!r}")
        self.size, self.viewpoint = size, viewpoint
        self._floor = [axis for axis in range(3) if axis != up]
        self.rooms = [_checked(room, viewpoint) for room in rooms]
        self._extents = [np.ptp(room.points[:, :3], axis=0) for room in self.rooms]
        self.inside, self._middles, items = [], [], []
        self._normals = None
        if viewpoint is not None:
            self._normals = [
                estimate_normals(room.points, viewpoint=viewpoint)
                for room in self.rooms
            ]
        paths = getattr(rooms, "paths", lambda index: ("", ""))
        for number, room in enumerate(self.rooms):
            xyz = room.points[:, :3].astype(np.float64)
            for cell, low, inside in columns(xyz[:, self._floor], size, stride):
                if len(inside) < min_points:
                    continue
                middle = np.zeros(3)
                middle[self._floor] = low + size / 2
                name = f"{room.id}/{cell[0]}_{cell[1]}"
                items.append((name, *paths(number)))
                self.inside.append((number, inside))
                self._middles.append(middle)
        names = getattr(rooms, "class_names", None)
        if names is None:
            known = [room.labels for room in self.rooms if room.labels is not None]
            most = max((labels.max() for labels in known), default=0)
            names = [str(label) for label in range(most + 1)]
        super().__init__(items, names, getattr(rooms, "colors", None))
        self._numbers = {item[0]: index for index, item in enumerate(self._items)}

    def read_sample(self, id, points_path=None, labels_path=None) -> PointSample:
        index = self._numbers[id]
        number, inside = self.inside[index]
        room = self.rooms[number]
        xyz = room.points[inside, :3].astype(np.float64)
        colors = room.points[inside, 3:6] / 255
        if self.viewpoint is None:
            low = room.points[:, :3].min(0)
            extent = np.where(self._extents[number] > 0, self._extents[number], 1)
            channels = (xyz - self._middles[index], colors, (xyz - low) / extent)
        else:
            normals = self._normals[number][inside]
            channels = (xyz - self._middles[index], normals, colors)
        points = np.concatenate(channels, axis=1).astype(np.float32)
        labels = None if room.labels is None else room.labels[inside]
        return PointSample(points, labels, id)

    def _set_items(self, items):
        super()._set_items(items)
        if hasattr(self, "_numbers"):  # a slice: the blocks of this part alone
            kept = [self._numbers[id] for id in self.ids]
            self.inside = [self.inside[index] for index in kept]
            self._middles = [self._middles[index] for index in kept]
            self._numbers = {id: index for index, id in enumerate(self.ids)}


def columns(floor: np.ndarray, size: float, stride: float):
    """Cuts the points of a floor into squares.

    Squares begin at the least coordinates; as many follow as it takes to reach the
    greatest. A point on the last line belongs to the last square.

    Args:
        floor: float64 array of shape `(points, 2)`.
        size: Side of a square.
        stride: Distance from one square to the next.

    Yields:
        The number of a square in both directions, its lowest corner, and the indices of
        the points in it, for each square that holds any.
    """
    low, extent = floor.min(0), np.ptp(floor, axis=0)
    last = np.maximum(np.ceil((extent - size) / stride - 1e-9), 0)
    for i, x, in_x in _strips(floor[:, 0], low[0], last[0], size, stride):
        for j, y, in_y in _strips(floor[in_x, 1], low[1], last[1], size, stride):
            yield (i, j), np.array([x, y]), np.sort(in_x[in_y])


def _strips(values, low, last, size, stride):
    """The number, the beginning and the values' indices of each strip that has any."""
    # Of those that exist: one stray point may be a million strips away.
    nearest = np.unique(np.floor((values - low) / stride))
    back = np.arange(-np.ceil(size / stride), 2)
    numbers = np.unique(np.clip(nearest[:, None] + back, 0, last))
    begins = low + stride * numbers
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.searchsorted(ordered, begins)
    ends = np.searchsorted(ordered, begins + size)
    # No point falls between two strips by rounding, and none behind the last.
    adjacent = np.diff(numbers) == 1
    ends[:-1] = np.where(adjacent, np.maximum(ends[:-1], starts[1:]), ends[:-1])
    ends[numbers == last] = len(ordered)
    for number, begin, start, end in zip(numbers, begins, starts, ends, strict=True):
        if start < end:
            yield int(number), begin, order[start:end]


def _checked(room, viewpoint):
    points = check_cloud(f"points of {room.id!r}", room.points)
    if viewpoint is None and points.shape[1] < 6:
        raise ValueError(
            "`rooms` must have colours, 6 channels, for the channels of PointNet; with "
            "a `viewpoint` blocks have normals, and need none. "
            f"Received: {room.id!r} of shape {points.shape}"
        )
    if room.labels is not None and room.labels.shape != points.shape[:1]:
        raise ValueError(
            "`rooms` must have one label per point. Received: "
            f"{room.id!r} with labels of shape {room.labels.shape}"
        )
    return room
