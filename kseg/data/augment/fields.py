"""Kernels on fields, the points of the sample for each pixel of a bent picture.

They are compiled by numba when they are first imported, which is when a picture bends.
"""

from numba import float64, njit, void
from numba.types import Array

_FAR = -1e6  # pixels: where points go that no pixel of the source is near
_MATRIX = Array(float64, 2, "A", readonly=True)
_FIELD = Array(float64, 3, "C")


@njit(void(_FIELD), cache=True, nogil=True)
def pixel_centers(field):
    """Fills in the centre of each pixel, x first."""
    for i in range(field.shape[0]):
        for j in range(field.shape[1]):
            field[i, j, 0] = j + 0.5
            field[i, j, 1] = i + 0.5


@njit(void(_FIELD, _MATRIX), cache=True, nogil=True)
def project(field, matrix):
    """Moves points by a matrix of shape `(3, 3)`, in place."""
    for i in range(field.shape[0]):
        for j in range(field.shape[1]):
            x, y = field[i, j, 0], field[i, j, 1]
            w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
            if w <= 0:
                field[i, j, :] = _FAR
                continue
            field[i, j, 0] = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]) / w
            field[i, j, 1] = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]) / w


@njit(
    void(_FIELD, Array(float64, 5, "C"), float64, float64),
    cache=True,
    nogil=True,
)
def displace(field, patches, height, width):
    """Adds the bicubic displacements of a picture of `height` and `width`, in place.

    `patches` has shape `(rows, columns, 4, 4, 2)`: the coefficients of the powers of y
    and of x, from the third down, of each patch that the picture is cut into.
    """
    rows, columns = patches.shape[:2]
    for i in range(field.shape[0]):
        for j in range(field.shape[1]):
            x = min(max(field[i, j, 0] * columns / width, 0.0), columns)
            y = min(max(field[i, j, 1] * rows / height, 0.0), rows)
            column = min(int(x), columns - 1)
            row = min(int(y), rows - 1)
            x -= column
            y -= row
            for axis in range(2):
                value = 0.0
                for m in range(4):
                    inner = 0.0
                    for n in range(4):
                        inner = inner * x + patches[row, column, m, n, axis]
                    value = value * y + inner
                field[i, j, axis] += value
