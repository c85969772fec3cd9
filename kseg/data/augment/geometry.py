"""Random changes of place: crop, flip, rotation, shear. Nothing here moves a pixel.

Keras' own layers do not serve here, as tests/data/augment/test_keras_layers.py shows
for Keras 3.15: they fill the border of a mask with the image's `fill_value`, 0 by
default and a class; each resamples anew; masks without a channel axis are moved along
the wrong axes without an error; `RandomCrop` interpolates the masks of small photos
linearly; `RandomElasticTransform` moves the mask elsewhere than the image. A pair of
512x512 takes 8 to 23 ms in each of them, and 3 ms in all that stands here together.
"""

import math

import numpy as np

from kseg.data.augment.transform import Transform, check_probability, check_range


class RandomCrop(Transform):
    """Cuts out a window at a random place, of a random size and aspect ratio.

    The aspect ratio is drawn between the photo's own, so that the window is squeezed
    into the net's input as a whole photo is at prediction, and the input's, where
    nothing is squeezed; then it is jittered. The window lies inside the photo unless
    `scale` exceeds 1.

    Args:
        scale: Pair, the range of the window's height in parts of the photo's.
        aspect: Largest factor of the jitter of the aspect ratio, `1` for none.
        upward: Exponent of the vertical place. `1` takes every place alike, `2`
            favours the upper part of the photo, where heads are.
    """

    def __init__(self, scale=(0.25, 1.0), aspect=1.25, upward=1.0):
        self.scale = check_range("scale", scale, 1e-3)
        if aspect < 1:
            raise ValueError(f"`aspect` must be at least 1. Received: aspect={aspect}")
        if upward <= 0:
            raise ValueError(f"`upward` must be positive. Received: upward={upward}")
        self.aspect = aspect
        self.upward = upward

    def extend(self, plan, rng, size):
        own, wanted = plan.width / plan.height, size[1] / size[0]
        scale, mix, jitter, down, right = rng.random(5)
        scale = self.scale[0] + scale * (self.scale[1] - self.scale[0])
        ratio = own ** (1 - mix) * wanted**mix * self.aspect ** (2 * jitter - 1)
        height = plan.height * scale
        width = min(height * ratio, plan.width * max(scale, 1.0))
        top = (plan.height - height) * down**self.upward
        left = (plan.width - width) * right
        return plan.crop(top, left, height, width)


class RandomFlip(Transform):
    """Mirrors the picture left to right and, if asked for, top to bottom.

    Args:
        horizontal: Probability of mirroring left to right.
        vertical: Probability of mirroring top to bottom.
    """

    def __init__(self, horizontal=0.5, vertical=0.0):
        self.horizontal = check_probability("horizontal", horizontal)
        self.vertical = check_probability("vertical", vertical)

    def extend(self, plan, rng, size):
        flip = rng.random(2) < (self.horizontal, self.vertical)
        return plan.turn(np.diag(np.where(flip, -1.0, 1.0))) if flip.any() else plan


class RandomRotation(Transform):
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

    def extend(self, plan, rng, size):
        angle = math.radians(rng.uniform(-self.degrees, self.degrees))
        cos, sin = math.cos(angle), math.sin(angle)
        return plan.turn(np.array([[cos, -sin], [sin, cos]])) if angle else plan


class RandomShear(Transform):
    """Slants the picture sideways about its centre.

    Args:
        degrees: Largest angle between an upright line and what becomes of it.
    """

    def __init__(self, degrees=5.0):
        if not 0 <= degrees < 90:
            raise ValueError(
                f"`degrees` must be from 0 to below 90. Received: degrees={degrees}"
            )
        self.degrees = degrees

    def extend(self, plan, rng, size):
        slope = math.tan(math.radians(rng.uniform(-self.degrees, self.degrees)))
        return plan.turn(np.array([[1.0, slope], [0.0, 1.0]])) if slope else plan
