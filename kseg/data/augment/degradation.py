"""Random losses of quality, as cameras and messengers cause them."""

import io

import numpy as np
from PIL import Image, ImageFilter

from kseg.data.augment.geometry import check_probability


class RandomGaussianBlur:
    """Blurs, as a lens out of focus does.

    Args:
        probability: How often.
        sigma: Pair, the range of the standard deviation in pixels.
    """

    def __init__(self, probability=0.15, sigma=(0.3, 2.0)):
        self.probability = check_probability("probability", probability)
        self.sigma = sigma

    def __call__(self, plan, rng, size):
        chance, sigma = rng.random(), rng.uniform(*self.sigma)
        if chance >= self.probability:
            return plan
        blur = ImageFilter.GaussianBlur(sigma)
        return plan.then(lambda picture: picture.filter(blur))


class RandomNoise:
    """Adds normal noise, independent in every value, as a sensor in the dark does.

    Args:
        probability: How often.
        sigma: Pair, the range of the standard deviation, of values 0 to 255.
    """

    def __init__(self, probability=0.15, sigma=(2.0, 12.0)):
        self.probability = check_probability("probability", probability)
        self.sigma = sigma

    def __call__(self, plan, rng, size):
        chance, sigma = rng.random(), rng.uniform(*self.sigma)
        seed = int(rng.integers(2**63))
        if chance >= self.probability:
            return plan

        def add_noise(picture):
            values = np.asarray(picture)
            noise = np.random.default_rng(seed).standard_normal(values.shape, "float32")
            noise *= sigma
            noise += values
            np.rint(noise, out=noise)
            return Image.fromarray(np.clip(noise, 0, 255).astype("uint8"))

        return plan.then(add_noise)


class RandomJpeg:
    """Compresses to JPEG and back.

    Args:
        probability: How often.
        quality: Pair, the range of JPEG's quality.
    """

    def __init__(self, probability=0.15, quality=(30, 90)):
        self.probability = check_probability("probability", probability)
        self.quality = quality

    def __call__(self, plan, rng, size):
        chance = rng.random()
        quality = int(rng.integers(self.quality[0], self.quality[1] + 1))
        if chance >= self.probability:
            return plan

        def compress(picture):
            file = io.BytesIO()
            picture.save(file, "JPEG", quality=quality)
            with Image.open(file) as compressed:
                return compressed.convert("RGB")

        return plan.then(compress)
