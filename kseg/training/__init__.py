"""The training loop behind `kseg train`, schedules and BatchNorm re-estimation."""

from kseg.training.batch_norm import recalibrate_batch_norm
from kseg.training.evaluation import evaluate
from kseg.training.run import train
from kseg.training.schedules import CosineDecay, PolynomialDecay
from kseg.training.worst import draw_worst

__all__ = [
    "CosineDecay",
    "PolynomialDecay",
    "draw_worst",
    "evaluate",
    "recalibrate_batch_norm",
    "train",
]
