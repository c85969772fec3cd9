"""Permutohedral lattice: Gaussian filtering in many dimensions, in linear time."""

import numpy as np
from numba import njit
from scipy.spatial.distance import cdist


class PermutohedralLattice:
    """Filters values at scattered points with a Gaussian of their distance.

    Space is cut into simplices, the cells of the lattice A*_d. Each point hands its
    values to the `d + 1` corners of its simplex, the corners blur among their neighbours
    along `d + 1` axes, and the points read them back. The time is linear in the number
    of points, the kernel an approximation, better where many points are near.

    Reference:
    - [Fast High-Dimensional Filtering Using the Permutohedral Lattice](
      https://doi.org/10.1111/j.1467-8659.2009.01645.x) (Eurographics 2010)

    Args:
        features: Positions in units of the standard deviation, float32 of shape
            `(points, dimensions)`.

    Raises:
        ValueError: If the features span more than 2**63 cells.
    """

    def __init__(self, features: np.ndarray):
        dimensions = features.shape[1]
        self.features = features
        elevated = np.empty((len(features), dimensions + 1), np.float32)
        low, high = _elevate(features, _elevation(dimensions), elevated)
        strides = _strides(high - low)
        self.corners, self.shares, self.neighbors = _build(elevated, strides)
        # A point that lies on a corner then answers to itself with weight 1.
        self.gain = np.float32(1 / (1 + 0.5**dimensions))
        self._work = np.empty((2, 0, 0), np.float32)

    def diagonal(self):
        """Returns the weight with which each point answers to itself."""
        count = self.shares.shape[1]
        # From corner to corner of a simplex it is some axes forth, or the others back,
        # and each step halves the weight; a corner returns to itself by all axes, too.
        steps = np.arange(count)
        weights = 0.5**steps + 0.5 ** (count - steps)
        weights[0] += 0.5**count
        matrix = weights[abs(steps[:, None] - steps)].astype(np.float32)
        return self.gain * ((self.shares @ matrix) * self.shares).sum(1)

    def exact_scale(self, degree):
        """Returns the factor that makes sums of the kernel those of a true Gaussian.

        It is measured at 64 of the points; `degree` is the lattice's sum at each point.
        """
        some = np.linspace(0, len(degree) - 1, 64).astype(int)
        squares = cdist(self.features[some], self.features, "sqeuclidean")
        return np.exp(-0.5 * squares).sum() / degree[some].sum(dtype=float)

    def add_message(self, scores, values, before, after, own, factors):
        """Adds filtered values to the scores: see `mean_field`."""
        # The last row stays 0: it stands for neighbours that do not exist.
        shape = (2, self.neighbors.shape[1] + 1, values.shape[2])
        if self._work.shape != shape:
            self._work = np.zeros(shape, np.float32)
        _add_message(
            *(scores, values, before, after * self.gain, own, factors),
            *(self.corners, self.shares, self.neighbors, self._work),
        )


def _elevation(dimensions):
    """Maps features to `dimensions + 1` coordinates whose sum is 0."""
    matrix = np.zeros((dimensions + 1, dimensions))
    for column in range(dimensions):
        matrix[: column + 1, column] = 1
        matrix[column + 1, column] = -(column + 1)
    matrix /= np.sqrt(np.square(matrix).sum(0))
    # Splatting, blurring and slicing each add to the variance (section 3 of the paper).
    return (matrix * np.sqrt(2 / 3) * (dimensions + 1)).astype(np.float32)


def _strides(extent):
    """Factors that make one integer of the coordinates of a corner."""
    # The corners of a simplex and their neighbours are at most two cells away.
    spans = np.ceil(extent[:-1].astype(float)) + 4 * len(extent) + 1
    if not np.prod(spans) < 2**63:
        raise ValueError(
            "The features of the lattice must span less than 2**63 cells: take larger "
            f"standard deviations. Received: features that span {np.prod(spans):.3g}"
        )
    return np.concatenate([[1], np.cumprod(spans[:-1])]).astype(np.int64)


@njit(cache=True, nogil=True)
def _elevate(features, elevation, elevated):
    """Computes `features @ elevation.T`; returns its least and greatest columns."""
    low = np.full(elevated.shape[1], np.inf, np.float32)
    high = -low
    for i in range(elevated.shape[0]):
        for j in range(elevated.shape[1]):
            total = np.float32(0)
            for k in range(features.shape[1]):
                total += features[i, k] * elevation[j, k]
            elevated[i, j] = total
            low[j] = min(low[j], total)
            high[j] = max(high[j], total)
    return low, high


@njit(cache=True, nogil=True)
def _build(elevated, strides):
    """Finds the corners of every point's simplex, its shares in them, and neighbours.

    Returns:
        Corners and shares of shape `(points, d + 1)`, and neighbours of shape
        `(d + 1, corners, 2)`, where the number of corners stands for none.
    """
    points, count = elevated.shape
    corners = np.empty((points, count), np.uint32)
    shares = np.empty((points, count), np.float32)
    size = 4096
    slots = np.full(size, -1, np.int32)
    keys = np.empty(size, np.int64)
    filled = 0
    all_axes = strides.sum()
    nearest = np.empty(count, np.int32)
    rank = np.empty(count, np.int32)
    order = np.empty(count, np.int32)
    below = np.empty(count, np.float32)
    inverse = np.float32(1 / count)
    for i in range(points):
        # The nearest corner of remainder 0, off the plane by `excess` cells.
        excess = 0
        for j in range(count):
            cell = np.int32(np.floor(elevated[i, j] * inverse + np.float32(0.5)))
            excess += cell
            nearest[j] = cell * count
            below[j] = elevated[i, j] - np.float32(nearest[j])
            rank[j] = 0
        for j in range(count):
            for k in range(j + 1, count):
                less = np.int32(below[j] < below[k])
                rank[j] += less
                rank[k] += 1 - less
        key = np.int64(0)
        for j in range(count):
            rank[j] += excess
            if rank[j] < 0:
                rank[j] += count
                nearest[j] += count
                below[j] -= count
            elif rank[j] >= count:
                rank[j] -= count
                nearest[j] -= count
                below[j] += count
            order[rank[j]] = j
            if j < count - 1:
                key += nearest[j] * strides[j]
        # Barycentric coordinates are the steps between sorted residues.
        for r in range(count):
            if r == 0:
                step = below[order[count - 1]] - below[order[0]]
                shares[i, 0] = 1 + step * inverse
            else:
                axis = order[count - r]
                shares[i, r] = (below[order[count - r - 1]] - below[axis]) * inverse
                key += all_axes
                if axis < count - 1:
                    key -= count * strides[axis]
            slot = _find(key, keys, slots)
            if slots[slot] < 0:
                slots[slot] = filled
                keys[filled] = key
                filled += 1
                if 2 * filled > slots.size:
                    keys, slots = _grown(keys, slots)
                corners[i, r] = filled - 1
            else:
                corners[i, r] = slots[slot]
    neighbors = np.full((count, filled, 2), filled, np.uint32)
    for j in range(count):
        step = all_axes
        if j < count - 1:
            step -= count * strides[j]
        for corner in range(filled):
            for side in range(2):
                other = slots[_find(keys[corner] + step * (2 * side - 1), keys, slots)]
                if other >= 0:
                    neighbors[j, corner, side] = other
    return corners, shares, neighbors


@njit(cache=True, nogil=True, inline="always")
def _find(key, keys, slots):
    """Slot that holds the key, or the free one where it belongs."""
    slot = (key * np.int64(-7046029254386353131) >> np.int64(24)) & (slots.size - 1)
    while slots[slot] >= 0 and keys[slots[slot]] != key:
        slot = (slot + 1) & (slots.size - 1)
    return slot


@njit(cache=True, nogil=True)
def _grown(keys, slots):
    filled = slots.size // 2 + 1
    new_keys = np.empty(2 * keys.size, np.int64)
    new_keys[:filled] = keys[:filled]
    new_slots = np.full(2 * slots.size, -1, np.int32)
    for corner in range(filled):
        new_slots[_find(keys[corner], new_keys, new_slots)] = corner
    return new_keys, new_slots


@njit(cache=True, nogil=True, fastmath={"contract"})
def _add_message(
    scores, values, before, after, own, factors, corners, shares, neighbors, lattice
):
    groups, points, lanes = values.shape
    count = shares.shape[1]
    old, new = lattice[0], lattice[1]
    half = np.float32(0.5)
    for g in range(groups):
        old[:] = 0
        for i in range(points):
            value = values[g, i]
            for j in range(count):
                corner = old[corners[i, j]]
                share = shares[i, j] * before[i]
                for k in range(lanes):
                    corner[k] += share * value[k]
        for j in range(count):
            for i in range(neighbors.shape[1]):
                here, blurred = old[i], new[i]
                left, right = old[neighbors[j, i, 0]], old[neighbors[j, i, 1]]
                for k in range(lanes):
                    blurred[k] = here[k] + half * (left[k] + right[k])
            old, new = new, old
        for i in range(neighbors.shape[1]):
            corner = old[i]
            for k in range(lanes):
                corner[k] *= factors[g, k]
        for i in range(points):
            score, value = scores[g, i], values[g, i]
            for j in range(count):
                corner = old[corners[i, j]]
                share = shares[i, j] * after[i]
                for k in range(lanes):
                    score[k] += share * corner[k]
            if own[i]:
                for k in range(lanes):
                    score[k] -= factors[g, k] * own[i] * value[k]
