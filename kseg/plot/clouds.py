"""A cloud of points, painted by its classes."""

import numpy as np
from PIL import Image

from kseg.plot.colors import as_colors, palette

_ASIDE, _ABOVE = np.radians(30), np.radians(25)  # where the eye is
_DARKEST = 0.6  # share of its colour that the farthest point keeps
_LARGEST = 16  # pixels across of a point that is alone


def cloud(
    points, labels, colors=None, *, up=(0.0, 0.0, 1.0), size: int = 512
) -> Image.Image:
    """Paints a cloud as seen from above and a little from the side.

    Rarer classes cover more frequent ones, so that ceiling and walls hide nothing; of
    equally frequent ones, as of one class, the nearer points cover the farther, which
    are darker.

    Args:
        points: Array of shape `(points, 3 or more)`, x, y, z first.
        labels: Integer array of shape `(points,)`: class ids; `()` for one of all.
        colors: One colour per class id, as for `overlay`. Defaults to
            `palette(…, background=False)`.
        up: Direction `(x, y, z)` to the ceiling.
        size: Height and width in pixels.

    Returns:
        PIL image of mode `"RGB"`, white around.

    Raises:
        ValueError: If there is no point, a coordinate is not finite, labels and points
            are not equally many, or a class has no colour.
    """
    xyz, ids = np.asarray(points), np.asarray(labels)
    if xyz.ndim != 2 or xyz.shape[1] < 3 or not len(xyz):
        raise ValueError(
            "`points` must be an array of shape (points, 3 or more). "
            f"Received: points.shape={xyz.shape}"
        )
    xyz = xyz[:, :3].astype(np.float64)
    if not np.isfinite(xyz).all():
        raise ValueError(
            "`points` must be finite. Received: points with "
            f"{xyz[~np.isfinite(xyz).all(1)][0].tolist()}"
        )
    if ids.dtype.kind not in "iu" or ids.shape not in ((), xyz.shape[:1]):
        raise ValueError(
            "`labels` must be an integer for each point, or one for all. Received: "
            f"labels of {ids.dtype}, shape={ids.shape}, points.shape={np.shape(points)}"
        )
    ids = np.broadcast_to(ids, len(xyz))
    if colors is None:
        colors = palette(min(max(int(ids.max()), 0) + 1, 1000), background=False)
    table = as_colors(colors)
    if ids.min() < 0 or ids.max() >= len(table):
        raise ValueError(
            f"`labels` must be class ids from 0 to {len(table) - 1}, one per color. "
            f"Received: labels from {ids.min()} to {ids.max()}"
        )
    seen = xyz @ _view(up).T
    share = np.bincount(ids)[ids]
    order = np.lexsort((-seen[:, 2], -share))  # what comes last lies on top
    seen, ids = seen[order], ids[order]
    near, far = seen[:, 2].min(), seen[:, 2].max()
    light = 1 - (1 - _DARKEST) * (seen[:, 2] - near) / max(far - near, 1e-12)
    paint = np.rint(light[:, None] * table[ids]).astype(np.uint8)
    # As wide as the gaps of as many points spread over half the picture's sides.
    dot = int(np.clip(round(size / 2 / np.sqrt(len(xyz))), 1, _LARGEST))
    places = _fitted(seen[:, :2], size, margin=dot)
    step = np.arange(dot) - dot // 2
    x = places[:, 0, None, None] + step
    y = places[:, 1, None, None] + step[:, None]
    x, y = np.clip(x, 0, size - 1), np.clip(y, 0, size - 1)
    canvas = np.full((size * size, 3), 255, np.uint8)
    canvas[(y * size + x).ravel()] = np.repeat(paint, dot * dot, axis=0)
    return Image.fromarray(canvas.reshape(size, size, 3))


def _view(up):
    """The directions to the right, downwards and away from the eye, as rows."""
    up = np.asarray(up, np.float64) / np.linalg.norm(up)
    right = np.eye(3)[np.abs(up).argmin()]
    right = right - right @ up * up
    right /= np.linalg.norm(right)
    ahead = np.cross(up, right)
    cos, sin = np.cos(_ASIDE), np.sin(_ASIDE)
    right, ahead = cos * right + sin * ahead, cos * ahead - sin * right
    cos, sin = np.cos(_ABOVE), np.sin(_ABOVE)
    return np.stack([right, -(cos * up + sin * ahead), cos * ahead - sin * up])


def _fitted(places, size, margin):
    """Places in pixels, the cloud in the middle with its proportions."""
    low, high = places.min(0), places.max(0)
    scale = (size - 2 * margin) / max((high - low).max(), 1e-12)
    return np.floor((places - (low + high) / 2) * scale + size / 2).astype(np.int64)
