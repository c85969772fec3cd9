"""The networks: each function returns a functional `keras.Model`."""

from kseg.models.lraspp import lraspp
from kseg.models.unet import unet

__all__ = ["lraspp", "unet"]
