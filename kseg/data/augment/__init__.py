"""Random changes of a photo together with its masks."""

from kseg.data.augment.color import (
    RandomBrightness,
    RandomContrast,
    RandomGrayscale,
    RandomHue,
    RandomSaturation,
    RandomWhiteBalance,
)
from kseg.data.augment.degradation import RandomGaussianBlur, RandomJpeg, RandomNoise
from kseg.data.augment.geometry import (
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomShear,
)
from kseg.data.augment.keras_layer import KerasLayer
from kseg.data.augment.plan import Plan
from kseg.data.augment.recipes import standard
from kseg.data.augment.transform import Compose, Transform

__all__ = [
    "Compose",
    "KerasLayer",
    "Plan",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomJpeg",
    "RandomNoise",
    "RandomRotation",
    "RandomSaturation",
    "RandomShear",
    "RandomWhiteBalance",
    "Transform",
    "standard",
]
