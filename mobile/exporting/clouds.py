"""Clouds of points for an export: how many points, and which ones."""

from numbers import Integral

import numpy as np

from kseg.mobile.exporting.calibration import evenly


def static_points(name: str, shape, size) -> tuple[int]:
    """Returns `(number of points,)` of a file.

    Args:
        name: Name of the model.
        shape: Shape of its input, `(batch, points, channels)`.
        size: Number of points, or `None` for the model's own.

    Raises:
        ValueError: If the number is not given, or another than the model's own.
    """
    _, points, channels = shape
    if size is None and points is None:
        raise ValueError(
            "`size` must be the number of points, because the model takes any and a "
            f"file one: size=2048. Received: size=None, {name!r} of input "
            f"({points}, {channels})"
        )
    if size is not None and (isinstance(size, bool) or not isinstance(size, Integral)):
        raise ValueError(
            f"`size` must be an integer, the number of points. Received: size={size!r}"
        )
    if size is not None and (size < 1 or points not in (None, size)):
        raise ValueError(
            f"`size` must be the model's own number of points, {points or 'at least 1'}, "
            f"or left out. Received: size={size}"
        )
    return (int(size or points),)


def read_clouds(
    source, size: tuple[int], channels: int, limit: int
) -> list[np.ndarray]:
    """Reads clouds at a net's number of points.

    Args:
        source: Array of shape `(clouds, points, channels)`, list of arrays of shape
            `(points, channels)`, or data set whose samples have an attribute `points`,
            such as `kseg.data.points.Blocks`. From a cloud of more points some are drawn,
            in one of fewer some are repeated, always the same ones.
        size: `(points,)` of the net's input.
        channels: Channels of the net's input.
        limit: Of more clouds than these, so many are taken at even distances.

    Returns:
        float32 arrays of shape `(1, *size, channels)`.

    Raises:
        TypeError: If `source` is no collection of clouds.
        ValueError: If there is no cloud, or one has other channels or is not finite.
    """
    # At the call: without kseg's data room the rest of this file still runs.
    from kseg.data.points.checking import check_cloud
    from kseg.data.points.loading import draw

    if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
        raise TypeError(
            "`calibration` must be clouds of points, because none ship with kseg: an "
            "array (clouds, points, channels), a list of arrays, or a data set. "
            f"Received: calibration of type {type(source).__name__}"
        )
    if len(source) == 0:
        raise ValueError(
            f"`calibration` must hold at least one cloud. Received: none in {source}"
        )
    rng, clouds = np.random.default_rng(0), []
    for index in evenly(len(source), limit):
        item = source[index]
        points = check_cloud("calibration", getattr(item, "points", item))
        if points.shape[1] != channels:
            raise ValueError(
                f"`calibration` must hold clouds of {channels} channels. "
                f"Received: cloud {index} of shape {points.shape}"
            )
        drawn = draw(len(points), *size, rng)
        clouds.append(points[drawn][None].astype("float32"))
    return clouds
