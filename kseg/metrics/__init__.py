"""Metrics of masks, all from one exact confusion matrix."""

from kseg.metrics.check_labels import CheckLabels
from kseg.metrics.confusion import ConfusionMatrix
from kseg.metrics.segmentation import MeanIoU, PixelAccuracy, SegmentationMetrics

__all__ = [
    "CheckLabels",
    "ConfusionMatrix",
    "MeanIoU",
    "PixelAccuracy",
    "SegmentationMetrics",
]
