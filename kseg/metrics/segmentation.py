"""What derives from the confusion matrix: accuracy, IoU and F1."""

import math

import keras
from keras import ops

from kseg.metrics.confusion import ConfusionMatrix

METRICS = (
    "pixel_accuracy",
    "mean_accuracy",
    "mean_iou",
    "frequency_weighted_iou",
    "mean_f1",
    "iou",
    "f1",
)
ABSENT = {"nan": math.nan, "zero": 0.0, "one": 1.0}


@keras.saving.register_keras_serializable(package="kseg.metrics")
class SegmentationMetrics(ConfusionMatrix):
    """Several metrics over all valid pixels since the last reset, at the cost of one.

    `result()` is a dict, and Keras logs every entry by its key: `mean_iou`, in
    validation `val_mean_iou`, `iou_person`, ... A callback that monitors one needs
    `mode="max"`.

    Formula, with the confusion matrix `n[true, predicted]`, `t = n.sum(axis=1)`,
    `p = n.sum(axis=0)`, `hits = diag(n)`:

    - `"pixel_accuracy"`: `sum(hits) / sum(t)`
    - `"mean_accuracy"`: mean over the classes of `hits / t`
    - `"iou"`: `hits / (t + p - hits)` of each class, keys `iou_<class>`
    - `"mean_iou"`: its mean over the classes
    - `"frequency_weighted_iou"`: `sum(t * iou) / sum(t)`
    - `"f1"`: `2 * hits / (t + p)` of each class, keys `f1_<class>`; equals Dice
    - `"mean_f1"`: its mean over the classes

    The ratio of an absent class is 0/0: for accuracy a class without a true pixel, for
    IoU and F1 one that is not predicted either. By default it is NaN, and means are
    over the other classes. If `ignore_class` is one of the classes, it is left out of
    the means, and its own ratios are NaN. If no pixel was valid, `pixel_accuracy`
    and `frequency_weighted_iou` are NaN. Bad labels and NaN scores: see
    `ConfusionMatrix`.

    Reference:
    - [Fully Convolutional Networks](https://arxiv.org/abs/1411.4038) (CVPR 2015),
      section 5

    Args:
        num_classes: Number of classes; `1` means a foreground score, and the classes 0
            and 1.
        metrics: Sequence of the names above. Defaults to
            `("pixel_accuracy", "mean_iou")`.
        class_names: Names for the keys of `"iou"` and `"f1"`, two for `num_classes=1`;
            `None` for the class ids. Defaults to `None`.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether scores are logits; matters for `num_classes=1` alone.
            Defaults to `False`.
        absent: Ratio of an absent class: `"nan"`, `"zero"` or `"one"`. Defaults to
            `"nan"`.
        name: Name of the metric. Defaults to `"segmentation_metrics"`.

    Call arguments:
        y_true: Class ids of shape `(batch, height, width)` or
            `(batch, height, width, 1)`.
        y_pred: Scores of a floating-point dtype, shape
            `(batch, height, width, num_classes)`, or class ids of an integer dtype,
            shape `(batch, height, width)`.
        sample_weight: `None`, or of shape `(batch,)` or `(batch, height, width)`; what
            has weight 0 is left out.

    Example:

    >>> metrics = kseg.metrics.SegmentationMetrics(21, metrics=("mean_iou", "iou"))
    >>> model.compile("adam", loss=kseg.losses.SparseCrossEntropy(), metrics=[metrics])
    """

    def __init__(
        self,
        num_classes: int,
        metrics=("pixel_accuracy", "mean_iou"),
        class_names=None,
        ignore_class: int | None = 255,
        from_logits: bool = False,
        absent: str = "nan",
        name: str = "segmentation_metrics",
    ):
        super().__init__(num_classes, ignore_class, from_logits, name)
        metrics = (metrics,) if isinstance(metrics, str) else tuple(metrics)
        if not metrics or not set(metrics) <= set(METRICS):
            raise ValueError(
                f"`metrics` must be some of {METRICS}. Received: metrics={metrics}"
            )
        if absent not in ABSENT:
            raise ValueError(
                f"`absent` must be 'nan', 'zero' or 'one'. Received: absent={absent!r}"
            )
        if class_names is not None:
            class_names = tuple(class_names)
            if len(class_names) != self._size or len(set(class_names)) != self._size:
                raise ValueError(
                    f"`class_names` must be {self._size} different names. "
                    f"Received: class_names={class_names}"
                )
        self.metrics = metrics
        self.class_names = class_names
        self.absent = absent

    def result(self):
        """Returns a dict of float32 scalars."""
        values = _derive(self._float_matrix(), self.absent, self.ignore_class)
        results = {}
        for metric in self.metrics:
            if len(values[metric].shape):
                for index, name in enumerate(self.class_names or range(self._size)):
                    results[f"{metric}_{name}"] = values[metric][index]
            else:
                results[metric] = values[metric]
        return {key: self._unless_bad(value) for key, value in results.items()}

    def get_config(self):
        return {
            **super().get_config(),
            "metrics": self.metrics,
            "class_names": self.class_names,
            "absent": self.absent,
        }


@keras.saving.register_keras_serializable(package="kseg.metrics")
class MeanIoU(ConfusionMatrix):
    """Mean over the classes of intersection over union, of all valid pixels together.

    `"mean_iou"` of `SegmentationMetrics` as a metric of its own.

    Args:
        num_classes: Number of classes; `1` means a foreground score, and the mean over
            background and foreground.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether scores are logits; matters for `num_classes=1` alone.
            Defaults to `False`.
        absent: IoU of a class that is neither true nor predicted anywhere: `"nan"`
            (left out of the mean), `"zero"` or `"one"`. Defaults to `"nan"`.
        name: Name of the metric. Defaults to `"mean_iou"`.
    """

    def __init__(
        self,
        num_classes: int,
        ignore_class: int | None = 255,
        from_logits: bool = False,
        absent: str = "nan",
        name: str = "mean_iou",
    ):
        super().__init__(num_classes, ignore_class, from_logits, name)
        if absent not in ABSENT:
            raise ValueError(
                f"`absent` must be 'nan', 'zero' or 'one'. Received: absent={absent!r}"
            )
        self.absent = absent
        self._direction = "up"  # for callbacks with mode="auto"

    def result(self):
        """Returns a float32 scalar."""
        values = _derive(self._float_matrix(), self.absent, self.ignore_class)
        return self._unless_bad(values["mean_iou"])

    def get_config(self):
        return {**super().get_config(), "absent": self.absent}


@keras.saving.register_keras_serializable(package="kseg.metrics")
class PixelAccuracy(ConfusionMatrix):
    """Share of the valid pixels whose class is right.

    `"pixel_accuracy"` of `SegmentationMetrics` as a metric of its own.

    Args:
        num_classes: Number of classes; `1` means a foreground score.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether scores are logits; matters for `num_classes=1` alone.
            Defaults to `False`.
        name: Name of the metric. Defaults to `"pixel_accuracy"`.
    """

    def __init__(
        self,
        num_classes: int,
        ignore_class: int | None = 255,
        from_logits: bool = False,
        name: str = "pixel_accuracy",
    ):
        super().__init__(num_classes, ignore_class, from_logits, name)
        self._direction = "up"  # for callbacks with mode="auto"

    def result(self):
        """Returns a float32 scalar, NaN if no pixel was valid."""
        values = _derive(self._float_matrix(), "nan", self.ignore_class)
        return self._unless_bad(values["pixel_accuracy"])


def _derive(matrix, absent, ignore_class):
    """Returns every metric, by name; per-class metrics are tensors of `(classes,)`."""
    hits = ops.diagonal(matrix)
    true, predicted = ops.sum(matrix, axis=1), ops.sum(matrix, axis=0)
    total = ops.sum(true)
    is_ignored = ops.equal(ops.arange(matrix.shape[0]), _or_no_class(ignore_class))

    def per_class(part, whole):
        ratio = ops.where(whole > 0, part / ops.maximum(whole, 1.0), ABSENT[absent])
        return ops.where(is_ignored, math.nan, ratio)

    accuracy = per_class(hits, true)
    iou = per_class(hits, true + predicted - hits)
    f1 = per_class(2 * hits, true + predicted)
    weighted = ops.where(true > 0, true * iou, 0.0)
    return {
        "pixel_accuracy": _ratio(ops.sum(hits), total),
        "mean_accuracy": _nanmean(accuracy),
        "mean_iou": _nanmean(iou),
        "frequency_weighted_iou": _ratio(ops.sum(weighted), total),
        "mean_f1": _nanmean(f1),
        "iou": iou,
        "f1": f1,
    }


def _or_no_class(ignore_class):
    return -1 if ignore_class is None else ignore_class


def _ratio(part, whole):
    return ops.where(whole > 0, part / ops.maximum(whole, 1.0), math.nan)


def _nanmean(values):
    is_known = ops.logical_not(ops.isnan(values))
    return _ratio(
        ops.sum(ops.where(is_known, values, 0.0)),
        ops.sum(ops.cast(is_known, "float32")),
    )
