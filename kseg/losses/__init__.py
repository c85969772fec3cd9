"""Losses on integer masks: pixels of the ignored class count nowhere."""

from kseg.losses.border import UNetBorder, unet_border
from kseg.losses.boundary import Boundary, boundary
from kseg.losses.cross_entropy import SparseCrossEntropy, sparse_cross_entropy
from kseg.losses.dice import Dice, GeneralizedDice, dice, generalized_dice
from kseg.losses.focal import Focal, focal
from kseg.losses.focal_tversky import FocalTversky, focal_tversky
from kseg.losses.frequencies import class_weights
from kseg.losses.hausdorff import Hausdorff, hausdorff
from kseg.losses.jaccard import IoU, Lovasz, iou, lovasz
from kseg.losses.maps import border_weights, signed_distance
from kseg.losses.sum import ScheduleWeights, Sum
from kseg.losses.tversky import Tversky, tversky

__all__ = [
    "Boundary",
    "Dice",
    "Focal",
    "FocalTversky",
    "GeneralizedDice",
    "Hausdorff",
    "IoU",
    "Lovasz",
    "ScheduleWeights",
    "SparseCrossEntropy",
    "Sum",
    "Tversky",
    "UNetBorder",
    "border_weights",
    "boundary",
    "class_weights",
    "dice",
    "focal",
    "focal_tversky",
    "generalized_dice",
    "hausdorff",
    "iou",
    "lovasz",
    "signed_distance",
    "sparse_cross_entropy",
    "tversky",
    "unet_border",
]
