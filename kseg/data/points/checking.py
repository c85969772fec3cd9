"""Checks of clouds that are NumPy arrays."""

from numbers import Real

import numpy as np


def check_cloud(name, points, least=1):
    """Returns a cloud as an array, or raises an error that names the first bad row.

    Args:
        name: How the error calls it.
        points: To be of shape `(points, 3 or more)`, with finite numbers.
        least: Smallest number of points.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype.kind not in "fiu":
        raise ValueError(
            f"`{name}` must be numbers of shape `(points, channels)`, x, y, z first. "
            f"Received: {name} of shape {points.shape}, {points.dtype}"
        )
    if len(points) < least:
        raise ValueError(
            f"`{name}` must have at least {least} points. "
            f"Received: {name} of shape {points.shape}"
        )
    finite = np.isfinite(points).all(1)
    if not finite.all():
        rows = np.flatnonzero(~finite)
        raise ValueError(
            f"`{name}` must be finite; {len(rows)} rows are not, and "
            "`points[np.isfinite(points).all(1)]` leaves them out. "
            f"Received: {name}[{rows[0]}]={points[rows[0]].tolist()}"
        )
    return points


def without_missed(name, cloud):
    """Leaves out the points that a depth camera missed: x, y and z are all NaN.

    Any other point that is not finite raises an error with its row in the file.

    Args:
        name: How the error calls the points.
        cloud: A `kseg.data.points.Cloud`.
    """
    missed = np.isnan(cloud.xyz).all(1)
    check_cloud(name, np.where(missed[:, None], 0, cloud.xyz))
    return cloud.take(~missed)


def check_length(name, value):
    """Raises an error unless `value` is a positive number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"`{name}` must be a number. Received: {name}={value!r}")
    if not 0 < value < np.inf:
        raise ValueError(f"`{name}` must be positive. Received: {name}={value}")
