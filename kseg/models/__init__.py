"""The networks: each function returns a functional `keras.Model`."""

from kseg.models import points as points
from kseg.models import video as video
from kseg.models.convolutionalize import convolutionalize
from kseg.models.copy_weights import copy_weights
from kseg.models.deeplab_v1 import deeplab_v1
from kseg.models.deeplab_v2 import deeplab_v2
from kseg.models.deeplab_v3 import deeplab_v3
from kseg.models.deeplab_v3_plus import deeplab_v3_plus
from kseg.models.fcn import fcn_8s, fcn_16s, fcn_32s
from kseg.models.fpn import fpn
from kseg.models.gcn import gcn
from kseg.models.ksac import ksac
from kseg.models.lraspp import lraspp
from kseg.models.pspnet import pspnet
from kseg.models.split import split
from kseg.models.unet import unet

__all__ = [
    "convolutionalize",
    "copy_weights",
    "deeplab_v1",
    "deeplab_v2",
    "deeplab_v3",
    "deeplab_v3_plus",
    "fcn_16s",
    "fcn_32s",
    "fcn_8s",
    "fpn",
    "gcn",
    "ksac",
    "lraspp",
    "pspnet",
    "split",
    "unet",
]
