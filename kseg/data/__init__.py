"""Reading, checking, augmenting and batching pictures with their masks."""

from kseg.data import annotations, augment, clips, datasets, flow, points, video
from kseg.data.checking import check
from kseg.data.datasets import Sample
from kseg.data.loading import loader
from kseg.data.reporting import report

__all__ = [
    "Sample",
    "annotations",
    "augment",
    "check",
    "clips",
    "datasets",
    "flow",
    "loader",
    "points",
    "report",
    "video",
]
