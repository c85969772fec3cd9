"""Where a new scene begins."""

import numpy as np

_BINS = 16  # Of a colour, where the colours of two frames are compared.


def histogram(frame):
    """Shares of the values of each colour, `(3, bins)`, of some ten thousand pixels."""
    step = max(1, int((frame.shape[0] * frame.shape[1] / 10_000) ** 0.5))
    values = frame[::step, ::step].reshape(-1, 3) // (256 // _BINS)
    counts = [np.bincount(values[:, color], minlength=_BINS) for color in range(3)]
    return np.array(counts) / len(values)


def distance(colors, before):
    """Share of the pixels whose colour value the other frame lacks, for the worst."""
    return float(np.abs(colors - before).sum(-1).max() / 2)
