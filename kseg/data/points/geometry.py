"""Clouds as NumPy arrays: normalised, thinned out, with normals.

The same as the layers of `kseg.layers` compute inside of a net, for preparing data once:
faster on a CPU than any backend of Keras.
"""

import numpy as np
from numba import njit

from kseg.data.batches import check_integer
from kseg.data.points.checking import check_cloud


def unit_sphere(points: np.ndarray) -> np.ndarray:
    """Moves the mean of a cloud to the origin, and its farthest point to distance 1.

    Args:
        points: Array of shape `(points, channels)`, x, y, z first. Other channels stay
            as they are. Points that are all the same become the origin.

    Returns:
        float32 array of the same shape.

    Raises:
        ValueError: If it is no cloud, or a coordinate is not finite.
    """
    points = check_cloud("points", points)
    xyz = points[:, :3].astype(np.float64)
    xyz -= xyz.mean(0)
    radius = np.sqrt((xyz**2).sum(1).max())
    result = points.astype(np.float32)
    result[:, :3] = xyz / radius if radius > 0 else xyz
    return result


def farthest_points(points: np.ndarray, samples: int) -> np.ndarray:
    """Chooses points each of which is the farthest from those before it.

    The first is point 0; of equally far points the one of the lowest index is taken. The
    indices are those of `kseg.layers.FarthestPointSampling`.

    Args:
        points: Array of shape `(points, channels)`, x, y, z first.
        samples: Number of points to choose.

    Returns:
        int64 indices of shape `(samples,)`.

    Raises:
        ValueError: If there are fewer points than samples, or one is not finite.
        TypeError: If `samples` is not an integer.
    """
    check_integer("samples", samples, 1)
    points = check_cloud("points", points, least=samples)
    xyz = points[:, :3]
    if xyz.dtype not in (np.float16, np.float32):
        # Geographic coordinates have more digits than float32.
        xyz = xyz.astype(np.float64) - xyz[0]
    x, y, z = np.ascontiguousarray(xyz.T, np.float32)
    return _farthest(x, y, z, samples)


def estimate_normals(
    points: np.ndarray, k: int = 10, viewpoint: tuple = (0.0, 0.0, 0.0)
) -> np.ndarray:
    """Estimates the normal of the surface at each point, turned to a viewpoint.

    It is the direction in which the `k` nearest points, the point itself included,
    spread least. Points that span no plane (one point, duplicates only, a line) have the
    normal `(0, 0, 0)`, as in `kseg.layers.PointNormals`.

    Args:
        points: Array of shape `(points, channels)`, x, y, z first.
        k: Number of points that make up the neighbourhood, at most all.
        viewpoint: Point `(x, y, z)` from which the surface was seen.

    Returns:
        float32 array of shape `(points, 3)`.

    Raises:
        ValueError: If it is no cloud, or a coordinate is not finite.
        TypeError: If `k` is not an integer.
    """
    from scipy.spatial import cKDTree

    check_integer("k", k, 1)
    xyz = check_cloud("points", points)[:, :3].astype(np.float64)
    k = min(k, len(xyz))
    _, index = cKDTree(xyz).query(xyz, k=range(1, k + 1))
    offsets = xyz[index] - xyz[:, None]
    offsets -= offsets.mean(1, keepdims=True)
    values, vectors = np.linalg.eigh(offsets.transpose(0, 2, 1) @ offsets)
    normals = vectors[..., 0]
    away = (normals * (np.asarray(viewpoint, np.float64) - xyz)).sum(1) < 0
    normals[away] *= -1
    # Two directions of different size are needed, up to rounding, for a plane.
    normals[values[:, 1] <= 1e-6 * values[:, 2]] = 0
    return normals.astype(np.float32)


@njit(cache=True, nogil=True)
def _farthest(x, y, z, samples):
    count = len(x)
    nearest = np.full(count, np.float32(np.inf))
    chosen = np.zeros(samples, np.int64)
    last = 0
    for i in range(1, samples):
        px, py, pz = x[last], y[last], z[last]
        # Two loops: the first one runs in vector registers.
        for j in range(count):
            dx, dy, dz = x[j] - px, y[j] - py, z[j] - pz
            nearest[j] = min(nearest[j], dx * dx + dy * dy + dz * dz)
        last, best = 0, nearest[0]
        for j in range(1, count):
            if nearest[j] > best:
                last, best = j, nearest[j]
        chosen[i] = last
    return chosen
