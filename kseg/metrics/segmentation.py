"""What derives from the confusion matrix: accuracy, IoU and F1."""

import math

import keras
from keras import ops

from kseg.metrics.confusion import ConfusionMatrix

MEANS = (
    "pixel_accuracy",
    "mean_accuracy",
    "mean_iou",
    "frequency_weighted_iou",
    "mean_f1",
)
PER_CLASS = ("iou", "f1")


@keras.saving.register_keras_serializable(package="kseg.metrics")
class SegmentationMetrics(ConfusionMatrix):
    def __init__(
        self,
        num_classes,
        metrics=("pixel_accuracy", "mean_iou"),
        class_names=None,
        ignore_class=255,
        from_logits=False,
        absent="nan",
        name="segmentation_metrics",
    ):
        super().__init__(num_classes, ignore_class, from_logits, name)
        self.metrics = tuple(metrics)
        self.class_names = None if class_names is None else tuple(class_names)
        self.absent = absent

    def result(self):
        values = scores(self._float_matrix(), self.absent, self.ignore_class)
        names = self.class_names or range(self._size)
        results = {}
        for metric in self.metrics:
            if metric in PER_CLASS:
                for index, name in enumerate(names):
                    results[f"{metric}_{name}"] = self._or_nan(values[metric][index])
            else:
                results[metric] = self._or_nan(values[metric])
        return results

    def get_config(self):
        return {
            **super().get_config(),
            "metrics": self.metrics,
            "class_names": self.class_names,
            "absent": self.absent,
        }


def scores(matrix, absent, ignore_class):
    hits = ops.diagonal(matrix)
    true = ops.sum(matrix, axis=1)
    predicted = ops.sum(matrix, axis=0)
    accuracy = _ratio(hits, true, absent)
    iou = _ratio(hits, true + predicted - hits, absent)
    f1 = _ratio(2 * hits, true + predicted, absent)
    total = ops.sum(true)
    return {
        "pixel_accuracy": _ratio(ops.sum(hits), total, "nan"),
        "mean_accuracy": _nanmean(accuracy),
        "mean_iou": _nanmean(iou),
        "iou": iou,
        "frequency_weighted_iou": _ratio(
            ops.sum(ops.where(true > 0, true * iou, 0.0)), total, "nan"
        ),
        "mean_f1": _nanmean(f1),
        "f1": f1,
    }


def _ratio(part, whole, absent):
    value = {"nan": math.nan, "zero": 0.0, "one": 1.0}[absent]
    return ops.where(whole > 0, part / ops.maximum(whole, 1.0), value)


def _nanmean(values):
    known = ops.logical_not(ops.isnan(values))
    return _ratio(
        ops.sum(ops.where(known, values, 0.0)),
        ops.sum(ops.cast(known, "float32")),
        "nan",
    )
