"""Exact confusion matrix of masks: the state of every metric in this room."""

import math
from collections.abc import Iterable

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
    ignored and its `sample_weight` not 0; each valid pixel counts once, whatever
    its weight. The predicted class is that of the highest score (the first of equals);
    with `num_classes=1`, foreground where the probability exceeds 0.5 (the logit 0).
    Infinite scores are ordered like any other.

    A label that is no class raises at once, naming the values, when called eagerly; the
    batch is not counted then. Inside a compiled step, where nothing can raise, `result()`
    is NaN until the next reset, and `check()` raises. A predicted id that is no class
    is treated alike. A pixel with a NaN score makes `result()` NaN and `check()` raise.

    Every metric of this room counts this matrix and keeps these rules. Results do not
    depend on how the pixels are batched, and `merge_state` adds those of other workers.

    `keras.metrics.MeanIoU` drops labels that are no class without a word and counts
    with weights; this counts, and what derives from it is `SegmentationMetrics`.

    Args:
        num_classes: Number of classes. `1` means masks of 0 and 1 and the score of the
            foreground, and a matrix of 2x2.
        ignore_class: Id of the pixels that do not count, a collection of such ids, or
            `None`. Defaults to `255`.
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

    # What `check` says that scores must be; they are counted where they are not.
    _scores_must = "not be NaN"

    def __init__(
        self,
        num_classes: int,
        ignore_class=255,
        from_logits: bool = False,
        name: str = "confusion_matrix",
    ):
        super().__init__(name=name, dtype="float32")
        if not isinstance(num_classes, int) or num_classes < 1:
            raise ValueError(
                "`num_classes` must be a positive integer. "
                f"Received: num_classes={num_classes!r}"
            )
        self._ignored = pixels.ignored(ignore_class)
        is_collection = isinstance(ignore_class, Iterable)
        self.num_classes = num_classes
        self.ignore_class = self._ignored if is_collection else ignore_class
        self.from_logits = from_logits
        self._size = max(num_classes, 2)
        self._counts = self._add_counts(self._size**2 + pixels.NUM_EXTRA, "counts")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self._count(y_true, y_pred, sample_weight)

    def merge_state(self, metrics):
        """Adds the counts of other metrics to those of this one.

        Args:
            metrics: Sequence of metrics of the same class and arguments.
        """
        for metric in metrics:
            self._check_mergeable(metric)
            for mine, theirs in zip(self.variables, metric.variables, strict=True):
                self._add(mine, *theirs.value)

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
                f"`y_pred` of metric {self.name!r} must {self._scores_must}. "
                f"Received: y_pred with other scores in {extra[pixels.NAN_SCORE]} pixels"
            )
        no_foreground = extra[pixels.IGNORED] and not self.matrix()[1:].any()
        is_binary = self._size == 2 and 255 in self._ignored
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

    def _count(self, y_true, y_pred, sample_weight, is_bad_score=None):
        """Counts one batch, unless it raises.

        Args:
            y_true: As in `update_state`.
            y_pred: As in `update_state`.
            sample_weight: As in `update_state`.
            is_bad_score: Where a score counts like NaN, or `None`.

        Returns:
            Tuple `(truth, predicted, is_valid)` of shape `(batch, height, width)`: int32
            ids, which are classes where the pixel is valid.
        """
        threshold = 0.0 if self.from_logits else 0.5
        truth, predicted, has_nan = pixels.read(
            y_true, y_pred, self.num_classes, threshold
        )
        if is_bad_score is not None:
            is_nan = False if has_nan is None else has_nan
            has_nan = ops.logical_or(is_nan, is_bad_score)
        counters = pixels.counters(truth, predicted, has_nan, self._size, self._ignored)
        num_cells = self._size**2
        if sample_weight is not None:
            is_out = ops.equal(pixels.broadcast(sample_weight, like=truth), 0)
            counters = ops.where(is_out, num_cells + pixels.MASKED, counters)
        keras_mask = getattr(y_pred, "_keras_mask", None)
        if keras_mask is not None:
            is_in = ops.cast(pixels.broadcast(keras_mask, like=truth), "bool")
            counters = ops.where(is_in, counters, num_cells + pixels.MASKED)
        part = self._part(truth)
        if part is not None:
            # What is no class, and NaN, is noticed everywhere.
            is_out = ops.logical_and(ops.logical_not(part), counters < num_cells)
            counters = ops.where(is_out, num_cells + pixels.MASKED, counters)
        counts = histogram(counters, num_cells + pixels.NUM_EXTRA)
        extra = counts[num_cells:]
        if pixels.is_true(ops.any(extra[pixels.BAD_PREDICTION :] > 0)):
            self._raise_for(ops.convert_to_numpy(extra))
        self._add(self._counts, counts)
        return ops.cast(truth, "int32"), predicted, counters < num_cells

    def _part(self, truth):
        """Returns which pixels this metric is about; `None` stands for all."""
        return

    def _add_counts(self, shape, name):
        shape = (shape,) if isinstance(shape, int) else shape
        return self.add_variable((2, *shape), "zeros", "int32", name=name)

    def _add(self, variable, low, high=0):
        low = variable[0] + low
        carry = low // WORD
        variable.assign(ops.stack([low - carry * WORD, variable[1] + high + carry]))

    def _check_mergeable(self, metric):
        mine, theirs = self.get_config(), metric.get_config()
        for key in mine:
            if key != "name" and mine[key] != theirs.get(key):
                raise ValueError(
                    f"`metrics` must have {key}={mine[key]}. "
                    f"Received: {key}={theirs.get(key)}"
                )

    def _totals(self):
        low, high = ops.convert_to_numpy(self._counts.value).astype("int64")
        return low + WORD * high

    def _float_matrix(self):
        counts = as_float(self._counts)[: self._size**2]
        return ops.reshape(counts, (self._size, self._size))

    def _unless_bad(self, value):
        bad = self._counts[:, self._size**2 + pixels.NAN_SCORE :]
        return ops.where(ops.any(bad > 0), math.nan, value)

    def _raise_for(self, extra):
        pixels.raise_for_labels(extra, self._size, self.ignore_class, self.name)
        pixels.raise_for_predictions(extra, self._size, self.name)


def histogram(indices, size):
    """Returns how often each of the numbers below `size` is in an int32 tensor."""
    # Unlike bincount this compiles on JAX; and it is faster than scatter.
    indices = ops.reshape(indices, (-1,))
    return ops.segment_sum(ops.ones_like(indices), indices, size)


def as_float(counts):
    """Returns counts of two words, on the first axis, as one float32 number each."""
    words = ops.cast(counts, "float32")
    return words[0] + WORD * words[1]
