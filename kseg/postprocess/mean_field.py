"""Mean-field inference in a fully connected CRF.

Values and scores are held as float32 of shape `(groups, pixels, lanes)`: the classes in
groups of at most 32, a multiple of 8, as vector registers want them. Classes that fill
up the last group have probability 0.

A kernel has `add_message(scores, values, before, after, own, factors)`, which computes,
for a kernel matrix `K`,

    scores += factors * (after * (K @ (before * values)) - own * values)

with `before`, `after` and `own` of shape `(pixels,)` and `factors` of shape
`(groups, lanes)`; `diagonal()`, that of `K`; and `exact_scale(K @ 1)`.
"""

import numpy as np
from numba import njit

_LANES = 8
_MAX_LANES = 32
_NEVER = np.float32(-1e4)  # score of the classes that fill up a group
_BLOCK = 64  # pixels that stay in the processor's first cache


class Term:
    """One pairwise term: a kernel, its normalisation, and a label compatibility.

    Args:
        kernel: The kernel.
        compat: Weight of a Potts model, or energies `(classes,)` of equal labels or
            `(classes, classes)` of all pairs.
        normalization: As in `DenseCRF`.
        self_message: Whether a pixel sends a message to itself.
        pixels: Number of pixels.
    """

    def __init__(self, kernel, compat, normalization, self_message, pixels):
        self.kernel = kernel
        self.compat = np.asarray(compat, np.float32)
        one = np.ones(pixels, np.float32)
        degree = np.zeros((1, pixels, _LANES), np.float32)
        factors = np.ones((1, _LANES), np.float32)
        kernel.add_message(degree, np.ones_like(degree), one, one, 0 * one, factors)
        degree = np.ascontiguousarray(degree[0, :, 0])
        self.before = self.after = one
        if normalization == "symmetric":
            self.before = self.after = degree**-0.5
        elif normalization == "before":
            self.before = 1 / degree
        elif normalization == "after":
            self.after = 1 / degree
        else:
            self.after = one * np.float32(kernel.exact_scale(degree))
        self.own = 0 * one
        if not self_message:
            # Where a point is alone, a lattice returns less than its diagonal says.
            own = np.minimum(kernel.diagonal(), degree)
            self.own = own * self.before * self.after

    def add(self, scores, values):
        """Adds the messages of this term to the scores."""
        groups, _, lanes = scores.shape
        size = groups * lanes
        scales = (self.before, self.after, self.own)
        if self.compat.ndim < 2:
            # A Potts weight is minus the energy of equal labels, but for a constant.
            if self.compat.ndim == 0:
                factors = np.full(size, self.compat)
            else:
                factors = np.pad(-self.compat, (0, size - len(self.compat)))
            factors = factors.reshape(groups, lanes)
            self.kernel.add_message(scores, values, *scales, factors)
            return
        messages = np.zeros_like(scores)
        factors = np.ones((groups, lanes), np.float32)
        self.kernel.add_message(messages, values, *scales, factors)
        symmetric = (self.compat + self.compat.T) / 2
        energies = np.pad(symmetric, (0, size - len(symmetric)))
        energies = energies.reshape(groups, lanes, groups, lanes)
        for g in range(groups):
            for h in range(groups):
                scores[h] -= messages[g] @ energies[g, :, h]


def infer(log_probabilities, terms, iterations):
    """Runs parallel mean-field updates.

    Args:
        log_probabilities: Negative unary energies, float32 of shape `(pixels, classes)`.
        terms: The pairwise terms.
        iterations: Number of updates.

    Returns:
        Probabilities, float32 of shape `(pixels, classes)`.
    """
    classes = log_probabilities.shape[1]
    unary = _grouped(log_probabilities)
    del log_probabilities  # frees its memory
    values = np.empty_like(unary)
    _softmax(unary, values)
    scores = np.empty_like(unary)
    for _ in range(iterations):
        scores[:] = unary
        for term in terms:
            term.add(scores, values)
        _softmax(scores, values)
    result = np.concatenate(list(values), -1) if len(values) > 1 else values[0]
    return np.ascontiguousarray(result[:, :classes])


def _grouped(log_probabilities):
    pixels, classes = log_probabilities.shape
    groups = -(-classes // _MAX_LANES)
    lanes = -(-classes // (groups * _LANES)) * _LANES
    grouped = np.full((groups, pixels, lanes), _NEVER, np.float32)
    for g in range(groups):
        part = log_probabilities[:, g * lanes : (g + 1) * lanes]
        grouped[g, :, : part.shape[1]] = part
    return grouped


@njit(cache=True, nogil=True, fastmath={"reassoc", "nsz", "contract"})
def _softmax(scores, values):
    groups, pixels, lanes = scores.shape
    for start in range(0, pixels, _BLOCK):
        stop = min(start + _BLOCK, pixels)
        for i in range(start, stop):
            top = scores[0, i, 0]
            for g in range(groups):
                score = scores[g, i]
                for k in range(lanes):
                    top = max(top, score[k])
            for g in range(groups):
                score, value = scores[g, i], values[g, i]
                for k in range(lanes):
                    value[k] = score[k] - top
        for g in range(groups):
            _exponentiate(values[g, start:stop].reshape(-1))
        for i in range(start, stop):
            total = np.float32(0)
            for g in range(groups):
                value = values[g, i]
                for k in range(lanes):
                    total += value[k]
            share = 1 / total
            for g in range(groups):
                value = values[g, i]
                for k in range(lanes):
                    value[k] *= share


@njit(cache=True, nogil=True, fastmath={"contract"})
def _exponentiate(x):
    """Replaces numbers of at most 0 by their exponential, to 3e-7 of it.

    The compiler has no vector form of `exp`: 2**n goes into the exponent bits, and a
    Taylor polynomial gives the rest, of at most sqrt(2).
    """
    for i in range(x.size):
        number = max(x[i], np.float32(-80))
        n = np.floor(number * np.float32(1.4426950408889634) + np.float32(0.5))
        rest = number - n * np.float32(0.6931471805599453)
        power = np.float32(1 / 720)
        power = power * rest + np.float32(1 / 120)
        power = power * rest + np.float32(1 / 24)
        power = power * rest + np.float32(1 / 6)
        power = power * rest + np.float32(1 / 2)
        power = power * rest + np.float32(1)
        power = power * rest + np.float32(1)
        power *= np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(
            np.float32
        )
        # Not the tiniest numbers: sums of them are slow.
        x[i] = power if number > np.float32(-50) else np.float32(0)
