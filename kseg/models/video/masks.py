"""What comes between the scores of a frame and its mask, compiled by numba.

Layers of Keras do the same for batches and with gradients; on one frame after the other
they take longer than a net for phones.
"""

import numpy as np
from numba import njit
from scipy.special import expit, softmax


class MaskMaker:
    """From scores at a network's size to class ids at the frame's.

    Probabilities are resized as by `keras.layers.Resizing`, bilinear and, to a smaller
    size, antialiased.

    Args:
        shape: Shape of the scores, `(height, width, num_classes)`.
        size: `(height, width)` of the masks.
        is_logits: Whether the scores are logits.
    """

    def __init__(self, shape, size, is_logits):
        *source, classes = shape
        taps = [_taps(*pair) for pair in zip(source, size, strict=True)]
        self._taps = tuple(array for pair in taps for array in pair)
        self._size = tuple(size)
        self._dtype = "uint8" if classes <= 256 else "int32"
        self._activation = None
        if is_logits:
            self._activation = expit if classes == 1 else _softmax

    def __call__(self, scores):
        """Returns the likeliest class, or of one class 1 above 0.5, `(height, width)`."""
        if self._activation is not None:
            scores = self._activation(scores)
        mask = np.empty(self._size, self._dtype)
        _choose(np.ascontiguousarray(scores, "float32"), *self._taps, mask)
        return mask


def warp(scores, flow):
    """Returns scores moved along a flow, as `kseg.layers.Warping2D` does.

    Args:
        scores: Array of shape `(height, width, num_classes)`.
        flow: Array of shape `(height, width, 2)` in pixels, x first, finite.
    """
    scores = np.ascontiguousarray(scores, "float32")
    moved = np.empty_like(scores)
    _move(scores, np.ascontiguousarray(flow, "float32"), moved)
    return moved


def _softmax(scores):
    return softmax(scores, axis=-1)


def _taps(source, target):
    """Pixels that each pixel of a result is made of, and their weights."""
    scale = source / target
    reach = max(scale, 1.0)
    centers = (np.arange(target)[:, None] + 0.5) * scale
    first = np.maximum(np.ceil(centers - reach - 0.5), 0).astype("int64")
    index = first + np.arange(int(np.ceil(2 * reach)))
    weights = np.maximum(1 - np.abs(index + 0.5 - centers) / reach, 0)
    weights[index >= source] = 0
    weights /= weights.sum(1, keepdims=True)
    return np.minimum(index, source - 1), weights.astype("float32")


@njit(cache=True, nogil=True, fastmath={"contract"})
def _choose(scores, rows, row_weights, columns, column_weights, mask):
    """Resizes scores and fills in the class ids, row by row."""
    height, width, classes = scores.shape
    flat = scores.reshape(height, width * classes)
    line = np.empty(width * classes, np.float32)
    for i in range(mask.shape[0]):
        line[:] = 0
        for k in range(rows.shape[1]):
            weight, row = row_weights[i, k], rows[i, k]
            for n in range(len(line)):
                line[n] += weight * flat[row, n]
        for j in range(mask.shape[1]):
            best, most = 0, np.float32(-np.inf)
            for c in range(classes):
                score = np.float32(0)
                for k in range(columns.shape[1]):
                    score += column_weights[j, k] * line[columns[j, k] * classes + c]
                if score > most:
                    best, most = c, score
            mask[i, j] = best if classes > 1 else most > 0.5


@njit(cache=True, nogil=True)
def _move(scores, flow, moved):
    height, width, classes = scores.shape
    for i in range(height):
        for j in range(width):
            x = min(max(j + flow[i, j, 0], np.float32(0)), np.float32(width - 1))
            y = min(max(i + flow[i, j, 1], np.float32(0)), np.float32(height - 1))
            left, top = int(x), int(y)
            right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
            a, b = np.float32(x - left), np.float32(y - top)
            for c in range(classes):
                upper = scores[top, left, c] * (1 - a) + scores[top, right, c] * a
                lower = scores[bottom, left, c] * (1 - a) + scores[bottom, right, c] * a
                moved[i, j, c] = upper * (1 - b) + lower * b
