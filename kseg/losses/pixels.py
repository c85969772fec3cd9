"""What every loss reads from a batch: class ids, valid pixels, pixel weights."""

import math
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops


class Batch(NamedTuple):
    """The pixels of one batch, all of shape `(batch, height, width)` but the scores.

    Attributes:
        labels: Int32 class ids, inside the range of the classes whatever the truth holds.
        valid: Where pixels count: not of the ignored class, nor masked by Keras.
        bad: Where the label is neither a class nor ignored. Only inside a compiled
            step: outside it raises.
        scores: Float32 scores of shape `(batch, height, width, classes)`.
        score_dtype: Name of the dtype in which the scores came.
    """

    labels: Any
    valid: Any
    bad: Any
    scores: Any
    score_dtype: str


def read(y_true, y_pred, ignore_class, from_logits):
    """Checks one batch, and splits its truth into class ids, valid and bad pixels.

    Args:
        y_true: Whole numbers of shape `(batch, height, width)`, or with a last axis of
            1 more. There may be any number of axes between batch and classes.
        y_pred: Scores of shape `(batch, height, width, classes)`; a single channel is
            the score of class 1 of 2.
        ignore_class: Id of the pixels that do not count, or `None`.
        from_logits: Whether the scores are logits.

    Returns:
        A `Batch`.

    Raises:
        ValueError: If the shapes do not fit or, outside a compiled step, a label is no
            class or a probability lies outside 0 to 1.
    """
    truth, scores = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if len(truth.shape) == len(scores.shape) and truth.shape[-1] == 1:
        truth = ops.squeeze(truth, axis=-1)
    if not _fits(truth.shape, scores.shape[:-1]):
        raise ValueError(
            "`y_true` must hold one class id per pixel: shape (batch, height, width) "
            "for `y_pred` of shape (batch, height, width, classes). Turn one-hot masks "
            f"into ids with argmax. Received: y_true.shape={tuple(truth.shape)}, "
            f"y_pred.shape={tuple(scores.shape)}"
        )
    num_ids = max(scores.shape[-1], 2)
    labels = ops.cast(truth, "int32")
    is_class = ops.logical_and(labels >= 0, labels < num_ids)
    if ignore_class is None:
        valid = ops.ones_like(is_class)
    else:
        valid = ops.not_equal(labels, ignore_class)
    bad = ops.logical_and(valid, ops.logical_not(is_class))
    if keras.backend.is_float_dtype(truth.dtype):
        # Masks resized without nearest neighbour, or divided by 255, hold fractions.
        bad = ops.logical_or(bad, ops.not_equal(ops.cast(labels, truth.dtype), truth))
    _raise_for_labels(truth, bad, num_ids, ignore_class)
    if not from_logits:
        _raise_for_probabilities(scores)
    keras_mask = getattr(y_pred, "_keras_mask", None)
    if keras_mask is not None:
        is_in = ops.cast(broadcast(keras_mask, like=truth), "bool")
        valid = ops.logical_and(valid, is_in)
    return Batch(
        labels=ops.clip(labels, 0, num_ids - 1),
        valid=valid,
        bad=bad,
        scores=ops.cast(scores, "float32"),
        score_dtype=keras.backend.standardize_dtype(scores.dtype),
    )


def weights(valid, sample_weight):
    """Returns the weight of every pixel: 0 where invalid, else its `sample_weight`.

    Args:
        valid: Boolean tensor of shape `(batch, height, width)`.
        sample_weight: `None`, or what `broadcast` takes.

    Returns:
        Float32 tensor of shape `(batch, height, width)`.
    """
    result = ops.cast(valid, "float32")
    if sample_weight is None:
        return result
    factors = broadcast(sample_weight, like=valid)
    return result * ops.cast(factors, "float32")


def broadcast(sample_weight, like):
    """Gives a sample weight or Keras mask an axis for each axis of `like`.

    Whether it weighs images or pixels is read from its rank, so that a batch as large
    as the width is no trap.

    Args:
        sample_weight: A number, or a tensor of shape `(batch,)`,
            `(batch, height, width)` or `(batch, height, width, 1)`.
        like: Tensor of shape `(batch, height, width)`.

    Returns:
        Tensor that broadcasts against `like`.
    """
    factors = ops.convert_to_tensor(sample_weight)
    received, rank = tuple(factors.shape), len(like.shape)
    if len(received) == rank + 1 and received[-1] == 1:
        factors = ops.squeeze(factors, axis=-1)
    elif len(received) == 1:
        factors = factors[(..., *(None,) * (rank - 1))]
    if received and not _fits(factors.shape, like.shape, or_one=True):
        raise ValueError(
            "`sample_weight` must hold one weight per image or one per pixel: shape "
            f"(batch,) or (batch, height, width). Received: "
            f"sample_weight.shape={received}, which does not fit {tuple(like.shape)}"
        )
    return factors


def mark(losses, batch):
    """Sets the losses of invalid pixels to 0, and those of bad labels to NaN."""
    return ops.where(batch.bad, math.nan, ops.where(batch.valid, losses, 0.0))


def reduce(losses, sample_weight=None, reduction="sum_over_batch_size"):
    """Reduces losses in Keras' own way, its scaling under `tf.distribute` included."""
    return _Reduction(reduction=reduction, dtype="float32")(
        losses, losses, sample_weight
    )


class _Reduction(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return y_pred


def _fits(shape, expected, or_one=False):
    return len(shape) == len(expected) and all(
        a == b or a is None or b is None or (or_one and a == 1)
        for a, b in zip(shape, expected, strict=True)
    )


def _is_true(condition):
    """Returns the value of a boolean tensor; `False` in a compiled step: it has none."""
    try:
        return bool(condition)
    except (NotImplementedError, TypeError):
        return False


def _raise_for_labels(truth, bad, num_ids, ignore_class):
    if not _is_true(ops.any(bad)):
        return
    values = np.unique(ops.convert_to_numpy(truth)[ops.convert_to_numpy(bad)])
    hint = ""
    if num_ids == 2 and values.tolist() == [255]:
        hint = " Is it a 0/255 mask? Divide it by 255."
    elif np.any(values % 1):
        hint = " Resize masks with nearest neighbour only, and leave ids unscaled."
    shown = ", ".join(f"{value:g}" for value in values[:20])
    raise ValueError(
        f"`y_true` must hold class ids from 0 to {num_ids - 1}, or "
        f"ignore_class={ignore_class}.{hint} Received: y_true with the values {shown}"
    )


def _raise_for_probabilities(scores):
    low, high = ops.min(scores), ops.max(scores)
    if _is_true(ops.logical_or(low < -1e-3, high > 1 + 1e-3)):
        raise ValueError(
            "`y_pred` must hold probabilities from 0 to 1; for logits pass "
            f"from_logits=True. Received: y_pred from {float(low):.6g} to "
            f"{float(high):.6g}"
        )
