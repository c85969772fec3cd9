"""Kernels that resample arrays, compiled by numba, which let other threads run.

Coordinates are those of `Plan`: pixel `i` reaches from `i` to `i + 1`. A point outside
of the source gets the fill, one within half a pixel of its border the border's value.
They are counted in 1/2**32 pixel. `field`, if not empty, holds the point of the source
for each pixel of the result, x first; else `matrix` computes it.
"""

import numpy as np
from numba import float32, float64, int32, njit, uint8, void
from numba.types import Array

_FAR = 1e6  # pixels: where points go that no pixel of the source is near
_MASK = np.uint64(255)
_ROUND = np.uint64(4096 * (1 + 2**21 + 2**42))


def _given(dtype, dimensions):
    """Any array that is read: with gaps or without, locked or not."""
    return Array(dtype, dimensions, "A", readonly=True)


def _made(dtype, dimensions):
    return Array(dtype, dimensions, "C")


_MATRIX, _FIELD = _given(float64, 2), _made(float64, 3)
_MASKS = [void(_given(t, 2), _MATRIX, _FIELD, t, _made(t, 2)) for t in (uint8, int32)]
_WEIGHTS = void(_given(float32, 2), _MATRIX, _FIELD, float32, _made(float32, 2))


@njit(cache=True, nogil=True)
def _locate(matrix, field, row, x, y):
    """Fills in the points of the source of one row of the result, rounded."""
    one = 2.0**32
    if len(field):
        for j in range(len(x)):
            x[j] = np.int64(min(max(field[row, j, 0], -_FAR), _FAR) * one + 0.5)
            y[j] = np.int64(min(max(field[row, j, 1], -_FAR), _FAR) * one + 0.5)
        return
    a, b, c = matrix[0, 0], matrix[1, 0], matrix[2, 0]
    v = row + 0.5
    x0 = a * 0.5 + matrix[0, 1] * v + matrix[0, 2]
    y0 = b * 0.5 + matrix[1, 1] * v + matrix[1, 2]
    w0 = c * 0.5 + matrix[2, 1] * v + matrix[2, 2]
    if c == 0 and w0 == 1:
        for j in range(len(x)):
            x[j] = np.int64(min(max(x0 + a * j, -_FAR), _FAR) * one + 0.5)
            y[j] = np.int64(min(max(y0 + b * j, -_FAR), _FAR) * one + 0.5)
        return
    for j in range(len(x)):
        w = w0 + c * j
        if w <= 0:  # beyond the horizon
            x[j] = np.int64(-_FAR * one)
            continue
        x[j] = np.int64(min(max((x0 + a * j) / w, -_FAR), _FAR) * one + 0.5)
        y[j] = np.int64(min(max((y0 + b * j) / w, -_FAR), _FAR) * one + 0.5)


@njit(
    void(_given(uint8, 3), _MATRIX, _FIELD, _made(uint8, 1), _made(uint8, 3)),
    cache=True,
    nogil=True,
)
def resample_image(source, matrix, field, fill, result):
    """Bilinear interpolation of a uint8 image of shape `(height, width, 3)`.

    The three values of a pixel lie in one integer, 21 bits each, so that one
    multiplication weighs them all; the weights have 13 bits and add up to 2**13.
    """
    height, width = source.shape[:2]
    packed = np.empty((height, width), np.uint64)
    for i in range(height):
        for j in range(width):
            packed[i, j] = (
                np.uint64(source[i, j, 0])
                | np.uint64(source[i, j, 1]) << np.uint64(21)
                | np.uint64(source[i, j, 2]) << np.uint64(42)
            )
    xs = np.zeros(result.shape[1], np.int64)
    ys = np.zeros(result.shape[1], np.int64)
    right, bottom, half = width << 32, height << 32, 1 << 31
    for i in range(result.shape[0]):
        _locate(matrix, field, i, xs, ys)
        for j in range(result.shape[1]):
            x, y = xs[j], ys[j]
            if x < 0 or y < 0 or x >= right or y >= bottom:
                for channel in range(3):
                    result[i, j, channel] = fill[channel]
                continue
            x -= half
            y -= half
            # The 13 bits after the point, rounded down.
            u, v = (x >> 19) & 8191, (y >> 19) & 8191
            left, top = max(x >> 32, 0), max(y >> 32, 0)
            after, below = min((x >> 32) + 1, width - 1), min((y >> 32) + 1, height - 1)
            uv = (u * v + 4096) >> 13
            value = (
                packed[top, left] * np.uint64(8192 - u - v + uv)
                + packed[top, after] * np.uint64(u - uv)
                + packed[below, left] * np.uint64(v - uv)
                + packed[below, after] * np.uint64(uv)
                + _ROUND
            )
            result[i, j, 0] = np.uint8((value >> np.uint64(13)) & _MASK)
            result[i, j, 1] = np.uint8((value >> np.uint64(34)) & _MASK)
            result[i, j, 2] = np.uint8((value >> np.uint64(55)) & _MASK)


@njit(_MASKS, cache=True, nogil=True)
def resample_mask(source, matrix, field, fill, result):
    """Nearest neighbours of an array of shape `(height, width)`."""
    height, width = source.shape
    xs = np.zeros(result.shape[1], np.int64)
    ys = np.zeros(result.shape[1], np.int64)
    right, bottom = width << 32, height << 32
    for i in range(result.shape[0]):
        _locate(matrix, field, i, xs, ys)
        for j in range(result.shape[1]):
            x, y = xs[j], ys[j]
            if x < 0 or y < 0 or x >= right or y >= bottom:
                result[i, j] = fill
            else:
                result[i, j] = source[y >> 32, x >> 32]


@njit(_WEIGHTS, cache=True, nogil=True)
def resample_weights(source, matrix, field, fill, result):
    """Bilinear interpolation of a float32 array of shape `(height, width)`."""
    height, width = source.shape
    xs = np.zeros(result.shape[1], np.int64)
    ys = np.zeros(result.shape[1], np.int64)
    right, bottom, half = width << 32, height << 32, 1 << 31
    for i in range(result.shape[0]):
        _locate(matrix, field, i, xs, ys)
        for j in range(result.shape[1]):
            x, y = xs[j], ys[j]
            if x < 0 or y < 0 or x >= right or y >= bottom:
                result[i, j] = fill
                continue
            x -= half
            y -= half
            u = np.float32((x & 0xFFFFFFFF) / 2.0**32)
            v = np.float32((y & 0xFFFFFFFF) / 2.0**32)
            left, top = max(x >> 32, 0), max(y >> 32, 0)
            after, below = min((x >> 32) + 1, width - 1), min((y >> 32) + 1, height - 1)
            one = np.float32(1)
            upper = (one - u) * source[top, left] + u * source[top, after]
            lower = (one - u) * source[below, left] + u * source[below, after]
            result[i, j] = (one - v) * upper + v * lower
