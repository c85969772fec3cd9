"""Exact confusion matrix of masks: the state of every metric in this room."""

import math

import keras
from keras import ops

from kseg.metrics import pixels

# A count is two int32 words, low + WORD * high, since JAX has no int64. With 2**24 the low
# word has room for the pixels of a step, and both words are exact in float32.
WORD = 2**24

# Among fewer pixels than this, none of the foreground proves nothing.
ENOUGH_PIXELS = 2**20


@keras.saving.register_keras_serializable(package="kseg.metrics")
class ConfusionMatrix(keras.metrics.Metric):
    """Number of valid pixels since the last reset, true class by predicted class.

    Row i, column j counts the pixels of class i that were predicted as class j. Counts
    are exact on every backend, up to 2**55. A pixel is valid if its label is not
    `ignore_class` and its `sample_weight` not 0; each valid pixel counts once, whatever
    its weight. The predicted class is that of the highest score (the first of equals);
    with `num_classes=1`, foreground where the probability exceeds 0.5 (the logit 0).
    Infinite scores are ordered like any other.

    A label that is no class raises at once, naming the values, when called eagerly; the
    batch is not counted then. Inside a compiled step, where nothing can raise, `result()`
    is NaN until the next reset, and `check()` raises. A predicted id that is no class
    is treated alike. A pixel with a NaN score makes `result()` NaN and `check()` raise.

    `keras.metrics.MeanIoU` drops labels that are no class without a word and counts
    with weights; this counts, and what derives from it is `SegmentationMetrics`.

    Args:
        num_classes: Number of classes. `1` means masks of 0 and 1 and the score of the
            foreground, and a matrix of 2x2.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether scores are logits, which moves the threshold of
            `num_classes=1` from 0.5 to 0. Defaults to `False`.
        name: Name of the metric. Defaults to `"confusion_matrix"`.

    Call arguments:
        y_true: Class ids of shape `(batch, height, width)` or
            `(batch, height, width, 1)`.
        y_pred: Scores of a floating-point dtype, shape
            `(batch, height, width, num_classes)`, or class ids of an integer dtype,
            shape `(batch, height, width)`.
        sample_weight: `None`, or of shape `(batch,)` or `(batch, height, width)`; what
            has weight 0 is left out.

    Example:

    >>> metric = kseg.metrics.ConfusionMatrix(2)
    >>> metric.update_state([[[0, 1, 1, 255]]], np.array([[[0, 0, 1, 1]]]))
    >>> metric.matrix()
    array([[1, 0],
           [1, 1]])
    """

    def __init__(
        self,
        num_classes: int,
        ignore_class: int | None = 255,
        from_logits: bool = False,
        name: str = "confusion_matrix",
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
            (2, self._size**2 + pixels.NUM_EXTRA), "zeros", "int32", name="counts"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        threshold = 0.0 if self.from_logits else 0.5
        truth, predicted, has_nan = pixels.read(
            y_true, y_pred, self.num_classes, threshold
        )
        counters = pixels.counters(
            truth, predicted, has_nan, self._size, self.ignore_class
        )
        num_cells = self._size**2
        if sample_weight is not None:
            is_out = ops.equal(pixels.broadcast(sample_weight, like=truth), 0)
            counters = ops.where(is_out, num_cells + pixels.MASKED, counters)
        keras_mask = getattr(y_pred, "_keras_mask", None)
        if keras_mask is not None:
            is_in = ops.cast(pixels.broadcast(keras_mask, like=truth), "bool")
            counters = ops.where(is_in, counters, num_cells + pixels.MASKED)
        counters = ops.reshape(counters, (-1,))
        # Unlike bincount this compiles on JAX; and it is faster than scatter.
        counts = ops.segment_sum(
            ops.ones_like(counters), counters, num_cells + pixels.NUM_EXTRA
        )
        extra = counts[num_cells:]
        if pixels.is_true(ops.any(extra[pixels.BAD_PREDICTION :] > 0)):
            self._raise_for(ops.convert_to_numpy(extra))
        self._add(ops.stack([counts, ops.zeros_like(counts)]))

    def merge_state(self, metrics):
        """Adds the counts of other metrics to those of this one.

        Args:
            metrics: Sequence of metrics of this room with the same `num_classes`.
        """
        for metric in metrics:
            if metric.num_classes != self.num_classes:
                raise ValueError(
                    f"`metrics` must have num_classes={self.num_classes}. "
                    f"Received: num_classes={metric.num_classes}"
                )
            self._add(metric._counts.value)

    def result(self):
        """Returns the matrix in float32, rounded beyond 2**24; `matrix()` is exact.

        In the history of `fit` it is an array; the progress bar shows its mean.
        """
        return self._unless_bad(self._float_matrix())

    def matrix(self):
        """Returns the exact matrix, a NumPy array of int64."""
        return self._totals()[: self._size**2].reshape(self._size, self._size)

    def check(self):
        """Raises what could not be raised inside a compiled step since the last reset.

        A 0/255 mask read with `ignore_class=255` holds no bad label, but no foreground
        either. So with one or two classes it also raises if ignored pixels were seen
        and none of the foreground, in at least 2**20 pixels.

        Raises:
            ValueError: If a label or a predicted id was no class, naming the labels; if
                a score was NaN; or if the masks look like 0/255 masks.
        """
        totals = self._totals()
        extra = totals[self._size**2 :]
        self._raise_for(extra)
        if extra[pixels.NAN_SCORE]:
            raise ValueError(
                f"`y_pred` of metric {self.name!r} must not be NaN. "
                f"Received: NaN scores in {extra[pixels.NAN_SCORE]} pixels"
            )
        no_foreground = extra[pixels.IGNORED] and not self.matrix()[1:].any()
        is_binary = self._size == 2 and self.ignore_class == 255
        if is_binary and no_foreground and totals.sum() >= ENOUGH_PIXELS:
            raise ValueError(
                f"`y_true` of metric {self.name!r} must hold foreground (1). Is it a "
                "0/255 mask? Divide it by 255. Received: y_true with the values 0 and "
                "255 alone, of which ignore_class=255 does not count"
            )

    def get_config(self):
        return {
            "num_classes": self.num_classes,
            "ignore_class": self.ignore_class,
            "from_logits": self.from_logits,
            "name": self.name,
        }

    def _add(self, words):
        words = self._counts + words
        carry = words[0] // WORD
        self._counts.assign(ops.stack([words[0] - carry * WORD, words[1] + carry]))

    def _totals(self):
        low, high = ops.convert_to_numpy(self._counts.value).astype("int64")
        return low + WORD * high

    def _float_matrix(self):
        words = ops.cast(self._counts[:, : self._size**2], "float32")
        return ops.reshape(words[0] + WORD * words[1], (self._size, self._size))

    def _unless_bad(self, value):
        bad = self._counts[:, self._size**2 + pixels.NAN_SCORE :]
        return ops.where(ops.any(bad > 0), math.nan, value)

    def _raise_for(self, extra):
        pixels.raise_for_labels(extra, self._size, self.ignore_class, self.name)
        pixels.raise_for_predictions(extra, self._size, self.name)
