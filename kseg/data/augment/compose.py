"""Transforms in a row, and the row that training uses by default."""

import numpy as np

from kseg.data.augment.color import (
    RandomBrightness,
    RandomContrast,
    RandomGrayscale,
    RandomHue,
    RandomSaturation,
    RandomWhiteBalance,
)
from kseg.data.augment.degradation import RandomGaussianBlur, RandomJpeg, RandomNoise
from kseg.data.augment.geometry import RandomCrop, RandomFlip, RandomRotation
from kseg.data.augment.plan import Plan


class Compose:
    """Transforms, one after the other, with one resampling for all of them.

    Args:
        transforms: Transforms of `kseg.data.augment`: functions of a plan, a
            generator and a size that return a plan.

    Call arguments:
        image: uint8 array of shape `(height, width, 3)`.
        mask: Array of shape `(height, width)`, class ids, or None.
        rng: `numpy.random.Generator` that the random choices are drawn from.
        size: Height and width of the result.

    Returns:
        A pair: the image as uint8 `(*size, 3)` and the mask `(*size)`, 255 beyond the
        photo.
    """

    def __init__(self, transforms):
        self.transforms = tuple(transforms)

    def sample(self, rng: np.random.Generator, source, size) -> Plan:
        """Makes the random choices for a sample of height and width `source`."""
        plan = Plan.of(*source)
        for transform in self.transforms:
            plan = transform(plan, rng, size)
        return plan.resize(*size)

    def __call__(self, image, mask, rng, size):
        plan = self.sample(rng, image.shape[:2], size)
        return plan.image(image), None if mask is None else plan.mask(mask)


def standard(
    *, scale=(0.25, 1.0), aspect=1.25, upward=1.0, degrees=15.0, strength=1.0
) -> Compose:
    """Returns the default training recipe: crop, flip, rotation, colour, quality.

    Args:
        scale: Range of the crop's height in parts of the photo's.
        aspect: Largest factor by which the crop's aspect ratio is jittered.
        upward: Exponent of the crop's vertical place; above 1 favours the upper part.
        degrees: Largest angle of rotation.
        strength: Factor on all ranges of colour and all probabilities of blur, noise
            and JPEG, from 0 (geometry only) to 1.
    """
    return Compose(
        [
            RandomCrop(scale, aspect, upward),
            RandomFlip(),
            RandomRotation(degrees),
            RandomGaussianBlur(0.15 * strength),
            RandomBrightness(0.4 * strength),
            RandomContrast(0.4 * strength),
            RandomWhiteBalance(0.1 * strength),
            RandomSaturation(0.5 * strength),
            RandomHue(0.03 * strength),
            RandomGrayscale(0.05 * strength),
            RandomNoise(0.15 * strength),
            RandomJpeg(0.15 * strength),
        ]
    )
