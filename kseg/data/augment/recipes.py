"""Recipes: the rows of transforms that training uses."""

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
from kseg.data.augment.transform import Compose, check_probability


def standard(
    *,
    scale=(0.25, 1.0),
    aspect=1.25,
    upward=1.0,
    degrees=15.0,
    strength=1.0,
) -> Compose:
    """Makes the default training recipe: crop, flip, rotation, colour, quality.

    The order is a camera's: the scene moves, the lens blurs, light and sensor colour
    the picture and add noise, and a file is made of it.

    Args:
        scale: Range of the crop's height in parts of the photo's.
        aspect: Largest factor by which the aspect ratio of the crop is jittered.
        upward: Exponent of the crop's vertical place; above 1 favours the upper part
            of the photo.
        degrees: Largest angle of rotation, to either side.
        strength: Factor from 0 to 1 on the ranges of colour and on the probabilities
            of grey, blur, noise and JPEG. `0` leaves the geometry only.

    Returns:
        A `kseg.data.augment.Compose`.
    """
    check_probability("strength", strength)
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
