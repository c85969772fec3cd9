"""The training loop behind `kseg train`, schedules and BatchNorm re-estimation."""

from kseg.training.batch_norm import recalibrate_batch_norm
from kseg.training.evaluation import evaluate
from kseg.training.run import train
from kseg.training.schedules import CosineDecay, PolynomialDecay

__all__ = [
    "CosineDecay",
    "PolynomialDecay",
    "evaluate",
    "recalibrate_batch_norm",
    "train",
]
