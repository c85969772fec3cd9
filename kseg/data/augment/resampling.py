"""Applies the geometry of a plan: one resampling, whatever it is made of."""

import math

import numpy as np
from PIL import Image


def resample(plan, array: np.ndarray, kernel: str, fill) -> np.ndarray:
    """Interpolates an array, averaging over what falls into one pixel.

    `kernel` is a function of `sampling`, `fill` what lies beyond the array.
    """
    from kseg.data.augment import sampling

    matrix, field = plan.matrix, plan.field
    window = find_window(plan)
    if window is not None:
        return resize(plan, array, window, Image.Resampling.BILINEAR)
    # Bilinear sampling reads 2x2 pixels and would skip what lies between them, so
    # blocks of as many pixels as there are to one are averaged before.
    factors = _factors(plan)
    left, top, right, bottom = _bounds(plan, factors)
    shift = translation(-left, -top)
    if max(factors) > 1:
        picture = Image.fromarray(np.ascontiguousarray(array))
        array = np.asarray(picture.reduce(factors, (left, top, right, bottom)))
        shift = np.diag([1 / factors[0], 1 / factors[1], 1.0]) @ shift
    else:
        array = array[top:bottom, left:right]
    if plan.bends:
        from kseg.data.augment import fields

        field = field.copy()
        fields.project(field, shift)
    result = np.empty((*plan.size, *array.shape[2:]), array.dtype)
    getattr(sampling, kernel)(array, shift @ matrix, field, fill, result)
    return result


def find_window(plan):
    """The box that an upright view shows; None for others and beyond the photo."""
    matrix = plan.matrix
    tilted = np.any(matrix[[0, 1, 2, 2], [1, 0, 0, 1]])
    if tilted or matrix[2, 2] != 1 or plan.bends:
        return None
    x = (matrix[0, 2], matrix[0, 2] + matrix[0, 0] * plan.width)
    y = (matrix[1, 2], matrix[1, 2] + matrix[1, 1] * plan.height)
    box = np.array([min(x), min(y), max(x), max(y)])
    inside = np.clip(box, 0, [*plan.source[::-1]] * 2)
    # The matrix products leave rounding errors at the borders.
    return inside if np.abs(box - inside).max() < 1e-6 else None


def resize(plan, array, window, filter):
    """Resizes the part of an array in a box, which is mirrored as the plan says."""
    picture = Image.fromarray(np.ascontiguousarray(array))
    size, box = plan.size[::-1], tuple(window.tolist())
    picture = picture.resize(size, filter, box)
    if plan.matrix[0, 0] < 0:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if plan.matrix[1, 1] < 0:
        picture = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return np.asarray(picture)


def _factors(plan):
    """How many pixels of the sample, across and down, there are to one."""
    x, y = plan.width / 2, plan.height / 2
    ends = [[x - 0.5, y], [x + 0.5, y], [x, y - 0.5], [x, y + 0.5]]
    left, right, above, below = plan.locate(ends)
    steps = np.hypot(*(right - left)), np.hypot(*(below - above))
    return tuple(min(max(1, round(step)), 10_000) for step in steps)


def _bounds(plan, margins):
    """The box that the view shows, in whole pixels, with room for averaging."""
    if plan.bends:
        points = plan.field.reshape(-1, 2)
    else:
        x, y = np.meshgrid([0, plan.width], [0, plan.height])
        points = np.stack([x.ravel(), y.ravel(), np.ones(4)], -1) @ plan.matrix.T
        # A view that reaches beyond the horizon may show any part of the photo.
        everything = [[0.0, 0.0], plan.source[::-1]]
        beyond = points[:, 2].min() <= 0
        points = everything if beyond else points[:, :2] / points[:, 2:]
    low, high = [], []
    for values, size, margin in zip(
        np.transpose(points), plan.source[::-1], margins, strict=True
    ):
        low.append(min(max(math.floor(values.min()) - 2 * margin, 0), size - 1))
        high.append(max(min(math.ceil(values.max()) + 2 * margin, size), 1))
    return (*low, *high)


def translation(x: float, y: float) -> np.ndarray:
    """Returns the matrix that takes a point to one that lies `x`, `y` further."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])
