"""Average precision, of pixels or of regions, from histograms of the scores."""

import math

import keras
import numpy as np
from keras import ops

from kseg.metrics import confusion, pixels, ratios, regions
from kseg.metrics.per_class import PerClass

# Scores are ranked by their logit, in bins that are finest where most scores are and
# still tell those near 0 and 1 apart: 1/400 of a logit wide at 0, 1/26 at 16, and one
# for all beyond 64. Bin 0 is for true regions that were not found.
LARGEST = 64.0
NUM_BINS = 1 + 4096


@keras.saving.register_keras_serializable(package="kseg.metrics")
class AveragePrecision(PerClass):
    """Mean over the classes of the area under precision and recall of their scores.

    Formula, for a class, with precision P and recall R of what scores at least the n-th
    highest score; without interpolation, as in scikit-learn:

    ```python
    average_precision = sum((R[n] - R[n - 1]) * P[n])
    ```

    With `iou_threshold=None` it ranks valid pixels, each class against the rest.

    With a threshold it ranks regions, as detection does. A region holds the connected
    pixels of a class (diagonals connect), or those of a class in a given instance; its
    score is the mean probability of the class over its valid pixels. In falling order of
    score each predicted region takes, of the true regions of its class in the image, the
    one with the highest IoU that no other took; it is right if that IoU is at least the
    threshold. With several thresholds the result is the mean over them. Ignored pixels
    are in no true region, and those of a predicted one do not count. Regions
    come from SciPy, outside of Keras: this is for evaluation, and in `compile` it raises
    as `HausdorffDistance` does.

    Memory does not grow with the data: scores go to 4096 bins of their logit, and what
    shares a bin shares its rank. So the result is that of scikit-learn for scores
    rounded to their bin; where logits spread over more than one the two differ by less
    than 0.001.

    A class that is never true is `absent`.

    Args:
        num_classes: Number of classes; `1` means a foreground score.
        iou_threshold: `None` for pixels; for regions a number above 0 and up to 1, or a
            sequence of them. Defaults to `None`.
        ignore_class: As in `ConfusionMatrix`. Defaults to `255`.
        from_logits: Whether scores are logits. Defaults to `False`.
        include_background: Whether class 0 takes part in the mean; a single channel
            holds the foreground alone either way. Defaults to `True`.
        absent: Average precision of a class that is never true: `"nan"` (left out of
            the mean), `"zero"` or `"one"`. Defaults to `"nan"`.
        name: Name of the metric. Defaults to `"average_precision"`.

    Call arguments:
        y_true: As in `ConfusionMatrix`.
        y_pred: Scores of shape `(batch, height, width, num_classes)`.
        sample_weight: As in `ConfusionMatrix`.
        true_instances: With a threshold, numbers of the true instances, of shape
            `(batch, height, width)`; `None` for connected pixels.
        predicted_instances: The same for the predicted ones.
    """

    _scores_must = (
        "hold probabilities from 0 to 1; for logits pass from_logits=True; and no NaN"
    )

    def __init__(
        self,
        num_classes: int,
        iou_threshold=None,
        ignore_class=255,
        from_logits: bool = False,
        include_background: bool = True,
        absent: str = "nan",
        name: str = "average_precision",
    ):
        super().__init__(
            num_classes, ignore_class, from_logits, include_background, absent, name
        )
        thresholds = () if iou_threshold is None else np.ravel(iou_threshold)
        if iou_threshold is not None and (
            not len(thresholds) or not all(0 < t <= 1 for t in thresholds)
        ):
            raise ValueError(
                "`iou_threshold` must be None, a number above 0 and up to 1, or a "
                f"sequence of them. Received: iou_threshold={iou_threshold}"
            )
        self.iou_threshold = iou_threshold
        if np.ndim(iou_threshold):
            self.iou_threshold = tuple(float(t) for t in thresholds)
        self._thresholds = tuple(float(t) for t in thresholds)
        self._direction = "up"  # for callbacks with mode="auto"
        # All that has a score, and what of it is right, by threshold, class and bin.
        self._shape = (2, max(1, len(thresholds)), num_classes, NUM_BINS)
        self._histograms = self._add_counts(self._shape, "histograms")

    def update_state(
        self,
        y_true,
        y_pred,
        sample_weight=None,
        true_instances=None,
        predicted_instances=None,
    ):
        instances = (true_instances, predicted_instances)
        if self._thresholds:
            pixels.to_numpy(y_pred, self)
        elif any(one is not None for one in instances):
            raise ValueError(
                "`true_instances` and `predicted_instances` need an `iou_threshold`. "
                "Received: iou_threshold=None"
            )
        logits, is_bad = self._logits(ops.convert_to_tensor(y_pred))
        read = self._count(y_true, y_pred, sample_weight, is_bad)
        count = self._count_regions if self._thresholds else self._count_pixels
        self._add(self._histograms, count(logits, *read, *instances))

    def get_config(self):
        return {**super().get_config(), "iou_threshold": self.iou_threshold}

    def _values(self):
        counts = ops.flip(confusion.as_float(self._histograms), axis=-1)
        everything, right = ops.cumsum(counts, axis=-1)
        # Bin 0, now the last, completes the number of what is true, and has no rank.
        ranked = counts[1] * right / ops.maximum(everything, 1.0)
        area = ops.sum(ranked[..., :-1], axis=-1)
        return ops.mean(ratios.ratio(area, right[..., -1], self.absent), axis=0)

    def _logits(self, scores):
        """Returns the logit of each class against the rest, and bad pixels, if any can be."""
        if not keras.backend.is_float_dtype(scores.dtype):
            raise ValueError(
                "`y_pred` must hold scores of a floating-point dtype. "
                f"Received: y_pred.dtype={scores.dtype}"
            )
        scores = ops.cast(scores, "float32")
        if not self.from_logits:
            is_bad = ops.logical_or(scores < -1e-3, scores > 1 + 1e-3)
            if pixels.is_true(ops.any(is_bad)):
                raise ValueError(
                    "`y_pred` must hold probabilities from 0 to 1; for logits pass "
                    f"from_logits=True. Received: y_pred from {float(ops.min(scores)):.6g}"
                    f" to {float(ops.max(scores)):.6g}"
                )
            scores = ops.clip(scores, 0.0, 1.0)
            return logit(scores), ops.any(is_bad, axis=-1)
        # So large that infinite ones rank alike, and differences stay finite.
        scores = ops.clip(scores, -1e30, 1e30)
        return one_vs_rest(scores) if self.num_classes > 1 else scores, None

    def _count_pixels(self, logits, truth, predicted, is_valid, *_):
        num_cells = self.num_classes * NUM_BINS
        cells = bins(logits) + ops.arange(self.num_classes) * NUM_BINS
        cells = ops.where(is_valid[..., None], cells, num_cells)
        is_right = ops.equal(truth[..., None], self._classes)
        counts = [
            confusion.histogram(one, num_cells + 1)[:-1]
            for one in (cells, ops.where(is_right, cells, num_cells))
        ]
        return ops.reshape(ops.stack(counts), self._shape)

    def _count_regions(self, logits, *maps):
        probabilities = ops.convert_to_numpy(ops.sigmoid(logits))
        maps = [m if m is None else ops.convert_to_numpy(m) for m in maps]
        counts = np.zeros(self._shape, "int32")
        for image, scores in enumerate(probabilities):
            truth, predicted, is_valid, *instances = (
                m if m is None else m[image] for m in maps
            )
            for index, label in enumerate(self._classes):
                # Ignored pixels part true regions, but not the predicted ones.
                is_true = (truth == label) & is_valid
                true_regions = regions.split(is_true, instances[0])
                found = regions.split(predicted == label, instances[1]) * is_valid
                ious = regions.ious(true_regions, found)
                means = regions.means(scores[..., index], found)
                ranks = ops.convert_to_numpy(bins(logit(means)))
                for t, threshold in enumerate(self._thresholds):
                    is_right = regions.match(ious, means, threshold)
                    here = counts[:, t, index]
                    np.add.at(here[0], ranks, 1)
                    np.add.at(here[1], ranks[is_right], 1)
                    here[1, 0] += len(ious) - is_right.sum()
        return ops.convert_to_tensor(counts)


def logit(probabilities):
    """Returns the logit of float32 probabilities, infinite for 0 and 1."""
    return ops.log(probabilities) - ops.log1p(-probabilities)


def one_vs_rest(scores):
    """Returns `log(p / (1 - p))` of `p = softmax(scores)`, exact where p rounds to 1."""
    scores = scores - ops.max(scores, axis=-1, keepdims=True)
    top = ops.argmax(scores, axis=-1)[..., None]
    is_top = ops.equal(ops.cast(top, "int32"), ops.arange(scores.shape[-1]))
    without_top = ops.where(is_top, 0.0, ops.exp(scores))
    rest = ops.sum(without_top, axis=-1, keepdims=True)
    return scores - ops.log(ops.where(is_top, rest, 1.0 + rest - without_top))


def bins(logits):
    """Returns the bin of each logit, from 1 on, int32."""
    place = ops.arcsinh(ops.clip(logits, -LARGEST, LARGEST)) / math.asinh(LARGEST)
    index = ops.cast(ops.floor((place + 1) / 2 * (NUM_BINS - 1)), "int32")
    return 1 + ops.clip(index, 0, NUM_BINS - 2)
