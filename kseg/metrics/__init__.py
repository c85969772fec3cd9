"""Metrics of masks, all from one exact confusion matrix."""

from kseg.metrics.confusion import CheckLabels, ConfusionMatrix
from kseg.metrics.segmentation import SegmentationMetrics

__all__ = ["CheckLabels", "ConfusionMatrix", "SegmentationMetrics"]
