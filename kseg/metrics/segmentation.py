"""What derives from the confusion matrix: accuracy, IoU and F1."""

import math

import keras
import numpy as np
from keras import ops

from kseg.metrics import ratios
from kseg.metrics.confusion import ConfusionMatrix

METRICS = (
    "pixel_accuracy",
    "mean_accuracy",
    "iou",
    "mean_iou",
    "frequency_weighted_iou",
    "f1",
    "mean_f1",
    "weighted_f1",
    "micro_f1",
)


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
    - `"mean_f1"`: its mean over the classes, macro F1
    - `"weighted_f1"`: `sum(t * f1) / sum(t)`
    - `"micro_f1"`: `2 * sum(hits) / sum(t + p)`, which equals pixel accuracy

    The ratio of an absent class is 0/0: for accuracy a class without a true pixel, for
    IoU and F1 one that is not predicted either. So are ratios of sums without a valid
    pixel. By default 0/0 is NaN, and means are over the other classes. An ignored
    class that is one of the classes is left out of the means, and its own ratios are
    NaN. Bad labels and NaN scores: see `ConfusionMatrix`.

    Each is a class of its own too: `PixelAccuracy`, `MeanAccuracy`, `IoU`, `MeanIoU`,
    `FrequencyWeightedIoU`, and `F1`.

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
        ignore_class: As in `ConfusionMatrix`. Defaults to `255`.
        from_logits: As in `ConfusionMatrix`. Defaults to `False`.
        absent: What 0/0 is: `"nan"`, `"zero"` or `"one"`. Defaults to `"nan"`.
        name: Name of the metric. Defaults to `"segmentation_metrics"`.

    Call arguments: those of `ConfusionMatrix`.

    Example:

    >>> metrics = kseg.metrics.SegmentationMetrics(21, metrics=("mean_iou", "iou"))
    >>> model.compile("adam", loss=kseg.losses.SparseCrossEntropy(), metrics=[metrics])
    """

    def __init__(
        self,
        num_classes: int,
        metrics=("pixel_accuracy", "mean_iou"),
        class_names=None,
        ignore_class=255,
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
        if class_names is not None:
            class_names = tuple(class_names)
            if len(class_names) != self._size or len(set(class_names)) != self._size:
                raise ValueError(
                    f"`class_names` must be {self._size} different names. "
                    f"Received: class_names={class_names}"
                )
        self.metrics = metrics
        self.class_names = class_names
        self.absent = ratios.checked(absent)

    def result(self):
        """Returns a dict of float32 scalars."""
        values = self._derive(self._float_matrix())
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

    def _derive(self, matrix):
        """Returns every metric by name; those per class are tensors of `(classes,)`."""
        hits = ops.diagonal(matrix)
        true, predicted = ops.sum(matrix, axis=1), ops.sum(matrix, axis=0)
        total = ops.sum(true)
        is_ignored = np.isin(np.arange(self._size), self._ignored)

        def per_class(part, whole):
            ratio = ratios.ratio(part, whole, self.absent)
            return ops.where(is_ignored, math.nan, ratio)

        def weighted(values):
            values = ops.where(true > 0, true * values, 0.0)
            return ratios.ratio(ops.sum(values), total, self.absent)

        accuracy = ratios.ratio(ops.sum(hits), total, self.absent)
        iou = per_class(hits, true + predicted - hits)
        f1 = per_class(2 * hits, true + predicted)
        return {
            "pixel_accuracy": accuracy,
            "mean_accuracy": ratios.nanmean(per_class(hits, true)),
            "iou": iou,
            "mean_iou": ratios.nanmean(iou),
            "frequency_weighted_iou": weighted(iou),
            "f1": f1,
            "mean_f1": ratios.nanmean(f1),
            "weighted_f1": weighted(f1),
            # Each valid pixel is one true and one predicted pixel.
            "micro_f1": accuracy,
        }
