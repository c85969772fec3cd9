"""Metrics of masks, all from one exact confusion matrix."""

from kseg.metrics.average_precision import AveragePrecision
from kseg.metrics.boundaries import BoundaryF1, TrimapIoU
from kseg.metrics.check_labels import CheckLabels
from kseg.metrics.confusion import ConfusionMatrix
from kseg.metrics.flicker import FlickerRate
from kseg.metrics.hausdorff import HausdorffDistance
from kseg.metrics.parts import PartIoU
from kseg.metrics.segmentation import SegmentationMetrics
from kseg.metrics.single import (
    F1,
    FrequencyWeightedIoU,
    IoU,
    MeanAccuracy,
    MeanIoU,
    PixelAccuracy,
)

__all__ = [
    "AveragePrecision",
    "BoundaryF1",
    "CheckLabels",
    "ConfusionMatrix",
    "F1",
    "FlickerRate",
    "FrequencyWeightedIoU",
    "HausdorffDistance",
    "IoU",
    "MeanAccuracy",
    "MeanIoU",
    "PartIoU",
    "PixelAccuracy",
    "SegmentationMetrics",
    "TrimapIoU",
]
