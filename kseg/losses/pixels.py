"""What every loss reads from a batch: class ids, valid pixels, pixel weights."""

import numpy as np
from keras import losses, ops

# The slope of the logarithm stops growing at probability EPSILON, so that a true class of
# probability 0 still has a finite gradient. 1 / EPSILON**2 fits into float32, so the second
# moment of Adam stays finite too; float16 ends at 65504 and needs a larger one.
EPSILON = 1e-18
EPSILON_FLOAT16 = 1e-4


def read(y_true, y_pred, ignore_class, from_logits):
    """Checks one batch and splits the truth into class ids, valid pixels and bad ones.

    Args:
        y_true: Whole numbers of shape `(batch, height, width)`, or the same with a last
            axis of 1. Any number of axes between batch and classes will do.
        y_pred: Scores of shape `(batch, height, width, classes)`.
        ignore_class: Id of the pixels that do not count, or `None`.
        from_logits: Whether the scores are logits.

    Returns:
        Tuple `(labels, valid, bad, scores)`: int32 ids in the range of the classes whatever
        the truth holds, two boolean maps, and the scores as a tensor. Bad pixels hold an id
        that is neither a class nor ignored; they can only occur inside a compiled step.

    Raises:
        ValueError: If the shapes do not fit or, outside a compiled step, a pixel is bad or
            probabilities lie outside 0 to 1.
    """
    scores = ops.convert_to_tensor(y_pred)
    truth = ops.convert_to_tensor(y_true)
    if len(truth.shape) == len(scores.shape) and truth.shape[-1] == 1:
        truth = ops.squeeze(truth, axis=-1)
    if not _fits(truth.shape, scores.shape[:-1]):
        raise ValueError(
            "`y_true` must hold one class id per pixel of `y_pred`: shape "
            "(batch, height, width) for scores of shape (batch, height, width, classes); "
            "turn one-hot masks into ids with argmax. "
            f"Received: y_true.shape={tuple(truth.shape)}, "
            f"y_pred.shape={tuple(scores.shape)}"
        )
    num_ids = max(int(scores.shape[-1]), 2)
    labels = ops.cast(truth, "int32")
    bad = ops.logical_or(labels < 0, labels >= num_ids)
    if ignore_class is None:
        valid = ops.ones_like(bad)
    else:
        valid = ops.not_equal(labels, ignore_class)
        bad = ops.logical_and(bad, valid)
    if "float" in str(truth.dtype):
        bad = ops.logical_or(bad, ops.not_equal(ops.cast(labels, truth.dtype), truth))
    _raise_for_labels(truth, bad, num_ids, ignore_class)
    if not from_logits:
        _raise_for_probabilities(scores)
    return ops.clip(labels, 0, num_ids - 1), valid, bad, scores


def pixel_weights(sample_weight, like):
    """Broadcasts a `sample_weight` to the pixels, by its rank and never by its size.

    Args:
        sample_weight: `None`, a number, or a tensor of shape `(batch,)`,
            `(batch, height, width)` or `(batch, height, width, 1)`.
        like: Tensor of shape `(batch, height, width)`.

    Returns:
        Float32 tensor that broadcasts against `like`, or `None`.
    """
    if sample_weight is None:
        return None
    weights = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
    rank, pixel_rank = len(weights.shape), len(like.shape)
    if rank == pixel_rank + 1 and weights.shape[-1] == 1:
        weights = ops.squeeze(weights, axis=-1)
    elif rank == 1:
        weights = ops.reshape(weights, (-1,) + (1,) * (pixel_rank - 1))
    elif rank == 2 and pixel_rank > 2 and weights.shape[1] == 1:
        weights = ops.reshape(weights, (-1,) + (1,) * (pixel_rank - 1))
    if len(weights.shape) not in (0, pixel_rank) or (
        rank > 1 and rank >= pixel_rank and not _fits(weights.shape, like.shape)
    ):
        raise ValueError(
            "`sample_weight` must have one weight per image or one per pixel: shape "
            "(batch,) or (batch, height, width). "
            f"Received: sample_weight.shape={tuple(np.shape(sample_weight))} for masks of "
            f"shape {tuple(like.shape)}"
        )
    return weights


def reduce(values, sample_weight=None, reduction="sum_over_batch_size"):
    """Reduces losses as Keras does, its scaling under `tf.distribute` included."""
    return _Reduction(reduction=reduction, dtype="float32")(
        values, values, sample_weight
    )


class _Reduction(losses.Loss):
    def call(self, y_true, y_pred):
        return y_pred


def to_numpy(tensor):
    """Returns the tensor as an array, or `None` inside a compiled step."""
    try:
        return ops.convert_to_numpy(tensor)
    except (NotImplementedError, TypeError, ValueError):
        return None  # a symbolic tensor of TensorFlow, JAX or Keras


def _fits(shape, expected):
    return len(shape) == len(expected) and all(
        a is None or b is None or a == b
        for a, b in zip(shape, expected, strict=True)
    )


def _raise_for_labels(truth, bad, num_ids, ignore_class):
    found = to_numpy(ops.any(bad))
    if found is None or not found:
        return
    values = np.unique(to_numpy(truth)[to_numpy(bad)])
    hint = ""
    if num_ids == 2 and values.tolist() == [255]:
        hint = " Is it a 0/255 mask? Divide it by 255."
    elif values.dtype.kind == "f" and np.all((values > 0) & (values < 1)):
        hint = " Was the mask divided by 255? Leave class ids as they are."
    raise ValueError(
        f"`y_true` must hold class ids from 0 to {num_ids - 1}, or "
        f"ignore_class={ignore_class}.{hint} "
        f"Received: y_true with the values {values[:20].tolist()}"
    )


def _raise_for_probabilities(scores):
    low, high = to_numpy(ops.min(scores)), to_numpy(ops.max(scores))
    if low is not None and high is not None and (low < -1e-3 or high > 1 + 1e-3):
        raise ValueError(
            "`y_pred` must hold probabilities from 0 to 1; for logits pass "
            f"`from_logits=True`. Received: y_pred from {low:.6g} to {high:.6g}"
        )
