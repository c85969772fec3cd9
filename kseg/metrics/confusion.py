"""Exact confusion matrix of masks: the state of every metric in this room."""

import math

import keras
import numpy as np
from keras import ops

# A count is two int32 words, low + WORD * high, since JAX has no int64. 2**24 leaves the low
# word room for the pixels of a step and makes both words exact in float32.
WORD = 2**24
# Behind the matrix, one counter per kind of pixel that is not in it: ignored, prediction NaN,
# prediction no class, label 0 to 255 that is no class, label below, above or between whole numbers.
IGNORED, NAN_PREDICTION, BAD_PREDICTION, BAD_LABEL, BELOW, ABOVE, FRACTION = (
    0,
    1,
    2,
    3,
    259,
    260,
    261,
)
NUM_EXTRA = 262
# Fewer pixels than this without any foreground prove nothing about a 0/255 mask.
ENOUGH_PIXELS = 2**20


@keras.saving.register_keras_serializable(package="kseg.metrics")
class ConfusionMatrix(keras.metrics.Metric):
    """Counts, over all valid pixels since the last reset, true class by predicted class.

    Row i, column j is the number of pixels of class i that were predicted as class j. Counts
    are exact on every backend up to 2**55 pixels. A pixel is valid if its label is not
    `ignore_class` and its `sample_weight` is not 0; each valid pixel counts once, whatever
    its weight. Predictions are the class of the highest score (the first of equals), or for
    `num_classes=1` foreground where the probability is over 0.5 (the logit over 0).

    A label that is no class raises at once when called eagerly. Inside a compiled step, where
    nothing can raise, it is counted: `result()` is NaN until the next reset, and `check()`
    raises with the values. A pixel with a NaN among its scores is counted the same way, but
    never raises by itself. Infinite scores are ordered like any others.

    `keras.metrics.MeanIoU` drops labels that are no class without a word, wants ids instead of
    scores, and has weights in its counts.

    Args:
        num_classes: Number of classes; `1` means a foreground score `(batch, height, width, 1)`
            and masks of 0 and 1, counted in a matrix of 2x2.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether scores are logits; moves the threshold of `num_classes=1` from 0.5
            to 0. Defaults to `False`.
        name: Name of the metric. Defaults to `"confusion_matrix"`.

    Call arguments:
        y_true: Class ids of shape `(batch, height, width)` or `(batch, height, width, 1)`.
        y_pred: Scores (floating point) of shape `(batch, height, width, num_classes)`, or
            class ids (integer) of shape `(batch, height, width)`.
        sample_weight: `None`, `(batch,)` or `(batch, height, width)`; 0 leaves a pixel out.
    """

    def __init__(
        self, num_classes, ignore_class=255, from_logits=False, name="confusion_matrix"
    ):
        super().__init__(name=name, dtype="float32")
        if not isinstance(num_classes, int) or num_classes < 1:
            raise ValueError(
                "`num_classes` must be a positive integer. "
                f"Received: num_classes={num_classes!r}"
            )
        self.num_classes = num_classes
        self.ignore_class = ignore_class
        self.from_logits = from_logits
        self._size = max(num_classes, 2)
        self._counts = self.add_variable(
            (2, self._size**2 + NUM_EXTRA), "zeros", dtype="int32", name="counts"
        )
        # The lowest label below 0 and the highest above 255.
        self._extremes = self.add_variable(
            (2,), "zeros", dtype="int32", name="extremes"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        truth, predicted, nan = self._read(y_true, y_pred)
        codes, low, high = self._codes(truth, predicted, nan)
        if sample_weight is not None:
            keep = ops.not_equal(_per_pixel(sample_weight, truth), 0)
            codes = ops.where(keep, codes, self._size**2 + IGNORED)
        codes = ops.reshape(codes, (-1,))
        counts = ops.segment_sum(
            ops.ones_like(codes), codes, num_segments=self._size**2 + NUM_EXTRA
        )
        extremes = ops.stack([low, high])
        found = _to_numpy(counts)
        if found is not None:
            self._raise_for_labels(found.astype("int64"), _to_numpy(extremes))
            self._raise_for_predictions(found)
        self._add(counts, 0, extremes)

    def merge_state(self, metrics):
        """Adds the counts of other metrics of the same number of classes to this one."""
        for metric in metrics:
            if metric.num_classes != self.num_classes:
                raise ValueError(
                    "`metrics` must have the number of classes of this metric, "
                    f"{self.num_classes}. Received: num_classes={metric.num_classes}"
                )
            low, high = metric._counts[0], metric._counts[1]
            self._add(low, high, ops.convert_to_tensor(metric._extremes))

    def result(self):
        """Returns the matrix in float32, rounded beyond 2**24; `matrix()` is exact."""
        return self._or_nan(self._float_matrix())

    def matrix(self):
        """Returns the exact matrix as a NumPy array of int64."""
        return self._totals()[: self._size**2].reshape(self._size, self._size)

    def check(self):
        """Raises if a compiled step has met bad labels or predictions since the last reset.

        Raises:
            ValueError: If a label was no class, naming the values; if a score was NaN; or if
                of at least 2**20 pixels some were 255 (ignored), but none was foreground:
                a 0/255 mask looks like this.
        """
        totals = self._totals()
        self._raise_for_labels(totals, ops.convert_to_numpy(self._extremes))
        self._raise_for_predictions(totals)
        extra = totals[self._size**2 :]
        if extra[NAN_PREDICTION]:
            raise ValueError(
                f"`y_pred` of metric {self.name!r} must not be NaN. Received: NaN scores in "
                f"{extra[NAN_PREDICTION]} pixels"
            )
        foreground = self.matrix()[1:].sum()
        if (
            self._size == 2
            and self.ignore_class == 255
            and not foreground
            and extra[IGNORED]
            and totals.sum() >= ENOUGH_PIXELS
        ):
            raise ValueError(
                f"`y_true` of metric {self.name!r} must hold some foreground (1). Is it a "
                "0/255 mask? Divide it by 255. Received: y_true with the values [0, 255], of "
                "which 255 is ignored (ignore_class=255)"
            )

    def get_config(self):
        return {
            "num_classes": self.num_classes,
            "ignore_class": self.ignore_class,
            "from_logits": self.from_logits,
            "name": self.name,
        }

    def _read(self, y_true, y_pred):
        """Returns truth and predicted ids of shape (batch, height, width), and where NaN."""
        truth, scores = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        nan = None
        if "int" in str(scores.dtype):
            predicted = scores
        else:
            if scores.shape[-1] != self.num_classes:
                raise ValueError(
                    "`y_pred` must be scores with a last axis of num_classes="
                    f"{self.num_classes}, or class ids of an integer dtype without that "
                    f"axis. Received: y_pred.shape={tuple(scores.shape)}, "
                    f"y_pred.dtype={scores.dtype}"
                )
            nan = ops.any(ops.isnan(scores), axis=-1)
            if self.num_classes == 1:
                threshold = 0.0 if self.from_logits else 0.5
                predicted = ops.squeeze(scores, axis=-1) > threshold
            else:
                predicted = ops.argmax(scores, axis=-1)
        predicted = ops.cast(predicted, "int32")
        if len(truth.shape) == len(predicted.shape) + 1 and truth.shape[-1] == 1:
            truth = ops.squeeze(truth, axis=-1)
        if not _fits(truth.shape, predicted.shape):
            raise ValueError(
                "`y_true` must hold one class id per pixel of `y_pred`: shape (batch, "
                f"height, width). Received: y_true.shape={tuple(truth.shape)}, "
                f"y_pred.shape={tuple(scores.shape)}"
            )
        return truth, predicted, nan

    def _codes(self, truth, predicted, nan):
        """Returns the counter of every pixel, and the extremes of the bad labels."""
        size, extra = self._size, self._size**2
        labels = ops.cast(truth, "int32")
        is_class = ops.logical_and(labels >= 0, labels < size)
        codes = labels * size + predicted
        good_prediction = ops.logical_and(predicted >= 0, predicted < size)
        codes = ops.where(good_prediction, codes, extra + BAD_PREDICTION)
        if nan is not None:
            codes = ops.where(nan, extra + NAN_PREDICTION, codes)
        bad = ops.clip(labels, -1, 256)
        bad = ops.where(bad < 0, BELOW, ops.where(bad > 255, ABOVE, BAD_LABEL + bad))
        if "float" in str(truth.dtype):
            whole = ops.equal(ops.cast(labels, truth.dtype), truth)
            is_class = ops.logical_and(is_class, whole)
            bad = ops.where(whole, bad, FRACTION)
        codes = ops.where(is_class, codes, extra + bad)
        low, high = ops.min(labels), ops.max(labels)
        if self.ignore_class is not None:
            ignored = ops.equal(labels, self.ignore_class)
            codes = ops.where(ignored, extra + IGNORED, codes)
            if self.ignore_class < 0:
                low = ops.min(ops.where(ignored, 0, labels))
            if self.ignore_class > 255:
                high = ops.max(ops.where(ignored, 0, labels))
        return codes, ops.minimum(low, 0), ops.where(high > 255, high, 0)

    def _add(self, low, high, extremes):
        low = self._counts[0] + low
        carry = low // WORD
        self._counts.assign(
            ops.stack([low - carry * WORD, self._counts[1] + high + carry])
        )
        self._extremes.assign(
            ops.stack(
                [
                    ops.minimum(self._extremes[0], extremes[0]),
                    ops.maximum(self._extremes[1], extremes[1]),
                ]
            )
        )

    def _float_matrix(self):
        words = ops.cast(self._counts[:, : self._size**2], "float32")
        return ops.reshape(words[0] + WORD * words[1], (self._size, self._size))

    def _or_nan(self, value):
        bad = ops.sum(self._counts[:, self._size**2 + NAN_PREDICTION :])
        return ops.where(bad > 0, math.nan, value)

    def _totals(self):
        low, high = ops.convert_to_numpy(self._counts).astype("int64")
        return low + WORD * high

    def _raise_for_labels(self, totals, extremes):
        extra = totals[self._size**2 :]
        if not extra[BAD_LABEL:].any():
            return
        values = np.flatnonzero(extra[BAD_LABEL:BELOW])
        found = [str(value) for value in values]
        hint = ""
        if self._size == 2 and found == ["255"]:
            hint = " Is it a 0/255 mask? Divide it by 255."
        if extra[BELOW]:
            found.append(f"down to {extremes[0]}")
        if extra[ABOVE]:
            found.append(f"up to {extremes[1]}")
        if extra[FRACTION]:
            found.append("fractions")
            hint = " Was the mask divided by 255? Leave class ids as they are."
        raise ValueError(
            f"`y_true` of metric {self.name!r} must hold class ids from 0 to "
            f"{self._size - 1}, or ignore_class={self.ignore_class}.{hint} "
            f"Received: y_true with the values {', '.join(found)} in "
            f"{extra[BAD_LABEL:].sum()} pixels"
        )

    def _raise_for_predictions(self, totals):
        wrong = totals[self._size**2 + BAD_PREDICTION]
        if wrong:
            raise ValueError(
                f"`y_pred` of metric {self.name!r} must hold class ids from 0 to "
                f"{self._size - 1}. Received: other values in {wrong} pixels"
            )


class CheckLabels(keras.callbacks.Callback):
    """Ends training or evaluation at the first epoch whose labels were bad.

    Calls `check()` of every metric of this room that the model was compiled with, after each
    epoch and each evaluation.
    """

    def on_epoch_end(self, epoch, logs=None):
        self._check()

    def on_test_end(self, logs=None):
        self._check()

    def _check(self):
        for metric in self.model.metrics:
            for one in getattr(metric, "metrics", [metric]):
                if isinstance(one, ConfusionMatrix):
                    one.check()


def _per_pixel(sample_weight, like):
    weights = ops.convert_to_tensor(sample_weight)
    if len(weights.shape) == len(like.shape) + 1 and weights.shape[-1] == 1:
        weights = ops.squeeze(weights, axis=-1)
    elif len(weights.shape) == 1:
        weights = ops.reshape(weights, (-1,) + (1,) * (len(like.shape) - 1))
    return weights


def _fits(shape, expected):
    return len(shape) == len(expected) and all(
        a is None or b is None or a == b
        for a, b in zip(shape, expected, strict=True)
    )


def _to_numpy(tensor):
    """Returns the tensor as an array, or `None` inside a compiled step."""
    try:
        return ops.convert_to_numpy(tensor)
    except (NotImplementedError, TypeError, ValueError):
        return None
