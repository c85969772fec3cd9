"""What every metric reads from a batch: for each pixel, the counter it goes to."""

from collections.abc import Iterable
from numbers import Integral

import keras
import numpy as np
from keras import ops

# Counters behind those of the matrix: pixels of the ignored class, masked ones, NaN
# scores, predicted ids that are no class, fractional labels; then labels that are no
# class: all below LOWEST, each one from LOWEST to HIGHEST, all above HIGHEST.
IGNORED, MASKED, NAN_SCORE, BAD_PREDICTION, FRACTION, BELOW = range(6)
LOWEST, HIGHEST = -128, 1023
ABOVE = BELOW + HIGHEST - LOWEST + 2
NUM_EXTRA = ABOVE + 1


def read(y_true, y_pred, num_classes, threshold):
    """Returns truth and predicted ids of shape `(batch, height, width)`.

    Args:
        y_true: Class ids of shape `(batch, height, width)`, or with a last axis of 1.
        y_pred: Scores of a floating-point dtype and shape
            `(batch, height, width, num_classes)`, or ids of an integer dtype and shape
            `(batch, height, width)`.
        num_classes: Number of classes, 1 for a foreground score.
        threshold: What a foreground score must exceed.

    Returns:
        Tuple `(truth, predicted, has_nan)`: the truth in its own dtype, int32 ids, and
        where a score is NaN, or `None` if none is.
    """
    truth, scores = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    has_nan = None
    if not keras.backend.is_float_dtype(scores.dtype):
        predicted = ops.cast(scores, "int32")
    elif scores.shape[-1] != num_classes:
        raise ValueError(
            f"`y_pred` must hold num_classes={num_classes} scores per pixel on its last "
            "axis, or class ids of an integer dtype without that axis. "
            f"Received: y_pred.shape={tuple(scores.shape)}, y_pred.dtype={scores.dtype}"
        )
    else:
        # A sum without NaN proves, where it has a value, that no score is NaN.
        if not is_true(ops.logical_not(ops.isnan(ops.sum(scores)))):
            has_nan = ops.any(ops.isnan(scores), axis=-1)
        if num_classes == 1:
            predicted = ops.cast(ops.squeeze(scores, axis=-1) > threshold, "int32")
        else:
            predicted = ops.cast(ops.argmax(scores, axis=-1), "int32")
    if len(truth.shape) == len(predicted.shape) + 1 and truth.shape[-1] == 1:
        truth = ops.squeeze(truth, axis=-1)
    if not fits(truth.shape, predicted.shape):
        raise ValueError(
            "`y_true` must hold one class id per pixel of `y_pred`: shape (batch, "
            f"height, width). Received: y_true.shape={tuple(truth.shape)}, "
            f"y_pred.shape={tuple(scores.shape)}"
        )
    return truth, predicted, has_nan


def ignored(ignore_class):
    """Returns the ids that `ignore_class` names as a tuple of ints in rising order."""
    ids = ignore_class
    if ids is None or isinstance(ids, Integral):
        ids = () if ids is None else (ids,)
    if not isinstance(ids, Iterable) or not all(isinstance(i, Integral) for i in ids):
        raise ValueError(
            "`ignore_class` must be a class id, a collection of class ids, or None. "
            f"Received: ignore_class={ignore_class!r}"
        )
    return tuple(sorted({int(i) for i in ids}))


def counters(truth, predicted, has_nan, size, ignored_ids):
    """Returns the index of the counter of every pixel, int32.

    Pixel `(i, j)` of a matrix of `size` classes has counter `i * size + j`; behind them
    come the counters that are named at the top of this file.
    """
    extra = size**2
    labels = ops.cast(truth, "int32")
    result = labels * size + predicted
    is_class = ops.logical_and(predicted >= 0, predicted < size)
    result = ops.where(is_class, result, extra + BAD_PREDICTION)
    if has_nan is not None:
        result = ops.where(has_nan, extra + NAN_SCORE, result)
    bad = ops.clip(labels, LOWEST - 1, HIGHEST + 1) + (extra + BELOW - LOWEST + 1)
    is_class = ops.logical_and(labels >= 0, labels < size)
    result = ops.where(is_class, result, bad)
    for ignored_id in ignored_ids:
        result = ops.where(ops.equal(labels, ignored_id), extra + IGNORED, result)
    if keras.backend.is_float_dtype(truth.dtype):
        is_whole = ops.equal(ops.cast(labels, truth.dtype), truth)
        result = ops.where(is_whole, result, extra + FRACTION)
    return result


def broadcast(sample_weight, like):
    """Returns a sample weight or Keras mask with an axis for each axis of `like`.

    Whether it weighs images or pixels is read from its rank, so that a batch as large
    as the width is no trap.
    """
    weights = ops.convert_to_tensor(sample_weight)
    received, rank = tuple(weights.shape), len(like.shape)
    if len(received) == rank + 1 and received[-1] == 1:
        weights = ops.squeeze(weights, axis=-1)
    elif len(received) == 1:
        weights = weights[(..., *(None,) * (rank - 1))]
    if received and not fits(weights.shape, like.shape, or_one=True):
        raise ValueError(
            "`sample_weight` must hold one weight per image or one per pixel: shape "
            f"(batch,) or (batch, height, width). Received: "
            f"sample_weight.shape={received}, which does not fit {tuple(like.shape)}"
        )
    return weights


def is_true(condition):
    """Returns the value of a boolean tensor; `False` in a compiled step: it has none."""
    try:
        return bool(condition)
    except (NotImplementedError, TypeError):
        return False


def to_numpy(tensor, metric):
    """Returns a tensor as a NumPy array; in a compiled step it has none, which raises."""
    try:
        return ops.convert_to_numpy(tensor)
    except (NotImplementedError, TypeError):
        raise ValueError(
            f"{type(metric).__name__} is computed with NumPy, which no compiled step "
            "can call. Give what `model.predict` returns to its `update_state`, or "
            "(not on JAX, where Keras traces even then) compile the model with "
            "run_eagerly=True. Received: y_pred without values"
        ) from None


def raise_for_labels(extra, size, ignore_class, name):
    """Raises a `ValueError` that names the labels which are no class.

    Args:
        extra: NumPy array of the counters behind the matrix.
        size: Number of classes in the matrix.
        ignore_class: As the metric was given it.
        name: Name of the metric.
    """
    if not extra[FRACTION:].any():
        return
    found = [str(LOWEST + i) for i in np.flatnonzero(extra[BELOW + 1 : ABOVE])]
    hint = ""
    if size == 2 and found == ["255"]:
        hint = " Is it a 0/255 mask? Divide it by 255."
    if extra[BELOW]:
        found.append(f"some below {LOWEST}")
    if extra[ABOVE]:
        found.append(f"some above {HIGHEST}")
    if extra[FRACTION]:
        found.append("fractions")
        hint = " Resize masks with nearest neighbour only, and leave ids unscaled."
    raise ValueError(
        f"`y_true` of metric {name!r} must hold class ids from 0 to {size - 1}, or "
        f"ignore_class={ignore_class}.{hint} Received: y_true with the values "
        f"{', '.join(found)} in {extra[FRACTION:].sum()} pixels"
    )


def raise_for_predictions(extra, size, name):
    """Raises a `ValueError` if a predicted id is no class."""
    if extra[BAD_PREDICTION]:
        raise ValueError(
            f"`y_pred` of metric {name!r} must hold class ids from 0 to {size - 1}. "
            f"Received: y_pred with other ids in {extra[BAD_PREDICTION]} pixels"
        )


def fits(shape, expected, or_one=False):
    return len(shape) == len(expected) and all(
        a == b or a is None or b is None or (or_one and a == 1)
        for a, b in zip(shape, expected, strict=True)
    )
