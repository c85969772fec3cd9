"""Checks of point clouds that several layers have."""

import numpy as np
from keras import ops


def check_points(name, shape, channels=3, least=1):
    """Raises an error for what is no cloud of `(batch, points, channels)`.

    Args:
        name: How the error calls the cloud.
        shape: Its shape; batch and number of points may be `None`.
        channels: Smallest number of channels.
        least: Smallest number of points.
    """
    if len(shape) != 3 or shape[-1] is None or shape[-1] < channels:
        raise ValueError(
            f"`{name}` must have the shape `(batch, points, channels)` with at least "
            f"{channels} channels. Received: {name}.shape={tuple(shape)}"
        )
    if shape[1] is not None and shape[1] < least:
        raise ValueError(
            f"`{name}` must have at least {least} points. "
            f"Received: {name}.shape={tuple(shape)}"
        )


def check_finite(name, points):
    """Raises an error that names the first row with a NaN or an infinite value.

    Inside a compiled step there are no values yet, and nothing is checked.
    """
    try:
        if ops.convert_to_numpy(ops.all(ops.isfinite(points))):
            return
    except (TypeError, NotImplementedError):
        return
    values = ops.convert_to_numpy(points)
    rows = np.argwhere(~np.isfinite(values).all(-1))
    first = tuple(int(i) for i in rows[0])
    index = ", ".join(map(str, first))
    raise ValueError(
        f"`{name}` must be finite; {len(rows)} rows are not, and "
        f"`cloud[np.isfinite(cloud).all(-1)]` leaves them out. "
        f"Received: {name}[{index}]={values[first].tolist()} (cloud {first[0]}, "
        f"row {first[1]})"
    )
