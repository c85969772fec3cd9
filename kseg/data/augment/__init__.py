"""Random changes of a photo together with its masks; `points` for clouds."""

from kseg.data.augment import points
from kseg.data.augment.background import RandomBackground
from kseg.data.augment.bending import RandomElastic, RandomPerspective
from kseg.data.augment.class_crop import RandomClassCrop
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
from kseg.data.augment.mixing import ClassMix, CutMix, Mix
from kseg.data.augment.plan import Plan
from kseg.data.augment.recipes import standard
from kseg.data.augment.transform import Compose, Transform

__all__ = [
    "ClassMix",
    "Compose",
    "CutMix",
    "KerasLayer",
    "Mix",
    "Plan",
    "RandomBackground",
    "RandomBrightness",
    "RandomClassCrop",
    "RandomContrast",
    "RandomCrop",
    "RandomElastic",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomJpeg",
    "RandomNoise",
    "RandomPerspective",
    "RandomRotation",
    "RandomSaturation",
    "RandomShear",
    "RandomWhiteBalance",
    "Transform",
    "points",
    "standard",
]
