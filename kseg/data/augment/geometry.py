"""Random changes of place: crop, flip, rotation, shear. Nothing here moves a pixel."""

import math

import numpy as np

from kseg.data.augment.plan import Plan


class RandomCrop:
    """Cuts out a window at a random place, of a random size and aspect ratio.

    The aspect ratio is drawn between that of the photo, so that the photo is
    squeezed as it is at prediction, and that of the crop, where nothing is squeezed,
    and is then jittered. A window never reaches beyond the photo unless `scale` is
    above 1.

    Args:
        scale: Pair, the range of the window's height in parts of the photo's.
        aspect: Largest factor by which the aspect ratio is jittered, `1` for none.
        upward: Exponent of the vertical place. `1` takes every place alike, `2`
            favours the upper part of the photo, where heads are.
    """

    def __init__(self, scale=(0.25, 1.0), aspect=1.25, upward=1.0):
        low, high = scale
        if not 0 < low <= high:
            raise ValueError(
                "`scale` must be a pair of positive numbers, the smaller first. "
                f"Received: scale={scale}"
            )
        if aspect < 1:
            raise ValueError(f"`aspect` must be at least 1. Received: aspect={aspect}")
        if upward <= 0:
            raise ValueError(f"`upward` must be positive. Received: upward={upward}")
        self.scale = (low, high)
        self.aspect = aspect
        self.upward = upward

    def __call__(self, plan: Plan, rng: np.random.Generator, size) -> Plan:
        own, wanted = plan.width / plan.height, size[1] / size[0]
        ratio = math.exp(rng.uniform(*sorted((math.log(own), math.log(wanted)))))
        ratio *= self.aspect ** rng.uniform(-1, 1)
        scale = rng.uniform(*self.scale)
        room = max(scale, 1.0)
        height = plan.height * scale
        width = height * ratio
        height = min(height, plan.height * room)
        width = min(width, plan.width * room)
        top = (plan.height - height) * rng.random() ** self.upward
        left = (plan.width - width) * rng.random()
        return plan.crop(top, left, height, width)


class RandomFlip:
    """Mirrors the picture, left to right and, if asked for, upside down.

    Args:
        horizontal: Probability of mirroring left and right.
        vertical: Probability of mirroring top and bottom.
    """

    def __init__(self, horizontal=0.5, vertical=0.0):
        self.horizontal = check_probability("horizontal", horizontal)
        self.vertical = check_probability("vertical", vertical)

    def __call__(self, plan, rng, size):
        x = -1.0 if rng.random() < self.horizontal else 1.0
        y = -1.0 if rng.random() < self.vertical else 1.0
        return plan.turn(np.diag([x, y])) if x < 0 or y < 0 else plan


class RandomRotation:
    """Turns the picture about its centre.

    Args:
        degrees: Largest angle, to either side.
    """

    def __init__(self, degrees=15.0):
        if degrees < 0:
            raise ValueError(
                f"`degrees` must not be negative. Received: degrees={degrees}"
            )
        self.degrees = degrees

    def __call__(self, plan, rng, size):
        angle = math.radians(rng.uniform(-self.degrees, self.degrees))
        cos, sin = math.cos(angle), math.sin(angle)
        return plan.turn(np.array([[cos, -sin], [sin, cos]])) if angle else plan


class RandomShear:
    """Slants the picture sideways about its centre.

    Args:
        degrees: Largest angle between a vertical line and its image.
    """

    def __init__(self, degrees=5.0):
        if not 0 <= degrees < 90:
            raise ValueError(
                f"`degrees` must be from 0 to below 90. Received: degrees={degrees}"
            )
        self.degrees = degrees

    def __call__(self, plan, rng, size):
        slope = math.tan(math.radians(rng.uniform(-self.degrees, self.degrees)))
        return plan.turn(np.array([[1.0, slope], [0.0, 1.0]])) if slope else plan


def check_probability(name, value):
    """Returns `value`, or raises ValueError where it is no probability."""
    if not 0 <= value <= 1:
        raise ValueError(f"`{name}` must be from 0 to 1. Received: {name}={value}")
    return value
