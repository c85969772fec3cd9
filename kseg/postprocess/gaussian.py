"""Gaussian kernels: in the plane, and by brute force in any space."""

import numpy as np
from numba import njit
from scipy.spatial.distance import cdist

_STORED = 2**24  # numbers of a kernel matrix that is kept: 64 MiB
_CHUNK = 2**22  # numbers of it that are computed at once: 32 MiB of float64
_TILE = 64  # pixels of a row whose surroundings stay in the processor's caches
_TAPS = 4  # of the filter, applied in one pass


class PlaneGaussian:
    """Filters images with a Gaussian of the distance in pixels, rows then columns.

    Args:
        size: Height and width of the images.
        sigma: Standard deviation in pixels.
        cutoff: Standard deviations beyond which the Gaussian counts as 0.
    """

    def __init__(self, size: tuple, sigma: float, cutoff: float = 4.0):
        self.size = size
        radius = min(np.ceil(cutoff * sigma), max(size) - 1)
        # Whole passes of `_TAPS` on either side; those beyond the radius are 0.
        distances = np.arange(1 + np.ceil(radius / _TAPS) * _TAPS)
        taps = np.exp(-0.5 * (distances / sigma) ** 2) * (distances <= radius)
        self.taps = taps.astype(np.float32)
        self._work = np.empty((0, 0), np.float32)

    def diagonal(self):
        """Returns the weight with which each pixel answers to itself."""
        return np.ones(np.prod(self.size), np.float32)

    def exact_scale(self, degree):
        """Returns the factor that makes sums of the kernel those of a Gaussian."""
        return 1.0

    def add_message(self, scores, values, before, after, own, factors):
        """Adds filtered values to the scores: see `mean_field`."""
        height, width = self.size
        lanes = values.shape[2]
        margin = len(self.taps) - 1
        # Rows filtered along the width, between margins that stay 0.
        shape = (height + 2 * margin, width * lanes)
        if self._work.shape != shape:
            self._work = np.zeros(shape, np.float32)
        _add_message(
            *(scores, values, before, after, own, factors),
            *(self.taps, width, self._work),
        )


class ExactGaussian:
    """Filters values at scattered points with a Gaussian, in O(points**2) time.

    At most 64 MiB of the kernel are kept, else it is computed anew in every update.

    Args:
        features: Positions in units of the standard deviation, float32 of shape
            `(points, dimensions)`.
    """

    def __init__(self, features: np.ndarray):
        self.features = features
        points = len(features)
        self.chunk = max(1, _CHUNK // points)
        self.stored = None
        if points**2 <= _STORED:
            self.stored = np.empty((points, points), np.float32)
            for rows in self._chunks():
                self.stored[rows] = self._rows(rows)

    def diagonal(self):
        """Returns the weight with which each point answers to itself."""
        return np.ones(len(self.features), np.float32)

    def exact_scale(self, degree):
        """Returns the factor that makes sums of the kernel those of a Gaussian."""
        return 1.0

    def add_message(self, scores, values, before, after, own, factors):
        """Adds filtered values to the scores: see `mean_field`."""
        values_before = values * before[:, None]
        for rows in self._chunks():
            kernel = self._rows(rows) if self.stored is None else self.stored[rows]
            message = after[rows, None] * (kernel @ values_before)
            message -= own[rows, None] * values[:, rows]
            scores[:, rows] += factors[:, None] * message

    def _chunks(self):
        for start in range(0, len(self.features), self.chunk):
            yield slice(start, start + self.chunk)

    def _rows(self, rows):
        squares = cdist(self.features[rows], self.features, "sqeuclidean")
        squares *= -0.5
        return np.exp(squares, out=squares).astype(np.float32)


@njit(cache=True, nogil=True, fastmath={"contract"})
def _add_message(scores, values, before, after, own, factors, taps, width, rows):
    groups, points, lanes = values.shape
    height = points // width
    margin = taps.size - 1
    row = np.zeros((width + 2 * margin) * lanes, np.float32)
    pixels = row[margin * lanes : (margin + width) * lanes].reshape(width, lanes)
    columns = rows.reshape(-1)
    filtered = np.empty((_TILE, lanes), np.float32)
    for g in range(groups):
        for y in range(height):
            for x in range(width):
                pixel, value = pixels[x], values[g, y * width + x]
                weight = before[y * width + x]
                for k in range(lanes):
                    pixel[k] = weight * value[k]
            for left in range(0, width, _TILE):
                right = min(left + _TILE, width)
                target = rows[margin + y, left * lanes : right * lanes]
                _filter(row, (margin + left) * lanes, lanes, taps, target)
        for left in range(0, width, _TILE):
            right = min(left + _TILE, width)
            target = filtered[: right - left].reshape(-1)
            for y in range(height):
                start = ((margin + y) * width + left) * lanes
                _filter(columns, start, width * lanes, taps, target)
                for x in range(left, right):
                    i = y * width + x
                    score, value, pixel = scores[g, i], values[g, i], filtered[x - left]
                    for k in range(lanes):
                        score[k] += factors[g, k] * after[i] * pixel[k]
                    if own[i]:
                        for k in range(lanes):
                            score[k] -= factors[g, k] * own[i] * value[k]


@njit(cache=True, nogil=True, fastmath={"contract"})
def _filter(source, start, step, taps, target):
    """Symmetric filter: number `i` of the target comes from `start + i` and around it.

    Tap `t` weighs the numbers `t * step` before and after.
    """
    size = target.size
    middle = source[start : start + size]
    for i in range(size):
        target[i] = taps[0] * middle[i]
    for t in range(1, taps.size, _TAPS):
        w0, w1, w2, w3 = taps[t], taps[t + 1], taps[t + 2], taps[t + 3]
        at = start - t * step
        a0, a1 = source[at : at + size], source[at - step : at - step + size]
        at -= 2 * step
        a2, a3 = source[at : at + size], source[at - step : at - step + size]
        at = start + t * step
        b0, b1 = source[at : at + size], source[at + step : at + step + size]
        at += 2 * step
        b2, b3 = source[at : at + size], source[at + step : at + step + size]
        for i in range(size):
            target[i] += (
                w0 * (a0[i] + b0[i])
                + w1 * (a1[i] + b1[i])
                + w2 * (a2[i] + b2[i])
                + w3 * (a3[i] + b3[i])
            )
