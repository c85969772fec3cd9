"""Losses on integer masks: pixels of the ignored class count nowhere."""

from kseg.losses.cross_entropy import SparseCrossEntropy, sparse_cross_entropy
from kseg.losses.dice import Dice, dice
from kseg.losses.sum import Sum

__all__ = ["Dice", "SparseCrossEntropy", "Sum", "dice", "sparse_cross_entropy"]
