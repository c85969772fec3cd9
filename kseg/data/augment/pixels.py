"""Kernels on the pixels of an image, compiled by numba, which let other threads run."""

import numpy as np
from numba import float32, float64, intp, njit, uint8, uint64, void
from numba.types import Array

_IMAGE = Array(uint8, 3, "C", readonly=True)
_RESULT = Array(uint8, 3, "C")
_FLOATS = Array(float32, 1, "C")


@njit(
    _RESULT(_IMAGE, Array(float64, 2, "A", readonly=True)),
    cache=True,
    nogil=True,
)
def recolor(image, matrix):
    """Applies a `(3, 4)` matrix to each colour `(r, g, b, 1)`, rounded and clipped."""
    height, width = image.shape[:2]
    result = np.empty(image.shape, np.uint8)
    m = matrix.astype(np.float32)
    m[:, 3] += np.float32(0.5)  # the cast cuts off
    low, high = np.float32(0), np.float32(255)
    # Channel by channel, row by row: what the processor computes eight at a time.
    before = np.empty((3, width), np.float32)
    after = np.empty((3, width), np.uint8)
    for i in range(height):
        for j in range(width):
            before[0, j], before[1, j] = image[i, j, 0], image[i, j, 1]
            before[2, j] = image[i, j, 2]
        for c in range(3):
            by_r, by_g, by_b, offset = m[c, 0], m[c, 1], m[c, 2], m[c, 3]
            for j in range(width):
                value = by_r * before[0, j] + by_g * before[1, j] + by_b * before[2, j]
                after[c, j] = np.uint8(np.int32(min(max(value + offset, low), high)))
        for j in range(width):
            result[i, j, 0], result[i, j, 1] = after[0, j], after[1, j]
            result[i, j, 2] = after[2, j]
    return result


@njit(
    void(Array(uint8, 2, "C", readonly=True), intp, _FLOATS, Array(uint8, 2, "C")),
    cache=True,
    nogil=True,
)
def blur(rows, channels, taps, result):
    """Filters rows and columns by an odd number of taps; the border's values go on."""
    height, length = rows.shape
    reach = len(taps) // 2
    start = reach * channels
    row = np.empty(length + 2 * start, np.float32)
    total = np.empty(length, np.float32)
    for i in range(height):
        for j in range(length):
            row[start + j] = 0
            total[j] = 0.5  # the cast cuts off
        for k in range(len(taps)):
            tap, other = taps[k], min(max(i + k - reach, 0), height - 1)
            for j in range(length):
                row[start + j] += tap * np.float32(rows[other, j])
        for j in range(start):
            row[j] = row[start + j % channels]
            row[start + length + j] = row[length + start - channels + j % channels]
        for k in range(len(taps)):
            tap, shift = taps[k], k * channels
            for j in range(length):
                total[j] += tap * row[shift + j]
        for j in range(length):
            result[i, j] = np.uint8(np.int32(total[j]))


@njit(
    void(Array(uint8, 1, "C", readonly=True), _FLOATS, uint64, Array(uint8, 1, "C")),
    cache=True,
    nogil=True,
)
def add_noise(values, table, seed, result):
    """Adds to each value an entry of a table of 4096, drawn by its place and `seed`.

    The draws are 12 bits each of SplitMix64 (doi.org/10.1145/2714064.2660195), which is
    several times as fast as a normal distribution for every value.
    """
    state = seed
    half, high = np.float32(0.5), np.float32(255.5)
    for start in range(0, len(values), 5):
        state += np.uint64(0x9E3779B97F4A7C15)
        bits = state
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        bits ^= bits >> np.uint64(31)
        for i in range(start, min(start + 5, len(values))):
            noisy = np.float32(values[i]) + table[bits & np.uint64(4095)] + half
            result[i] = np.uint8(np.int32(min(max(noisy, np.float32(0)), high)))
            bits >>= np.uint64(12)
