"""Random losses of quality, as lenses, sensors and messengers cause them."""

import io

import numpy as np
from PIL import Image, ImageFilter

from kseg.data.augment.transform import Transform, check_probability, check_range


class RandomGaussianBlur(Transform):
    """Blurs.

    Args:
        probability: How often.
        sigma: Pair, the range of the standard deviation in pixels of the result.
    """

    def __init__(self, probability=0.15, sigma=(0.3, 2.0)):
        self.probability = check_probability("probability", probability)
        self.sigma = check_range("sigma", sigma, 0)

    def extend(self, plan, rng, size):
        chance, sigma = rng.random(), rng.uniform(*self.sigma)
        if chance >= self.probability:
            return plan
        blur = ImageFilter.GaussianBlur(sigma)
        return plan.then(lambda picture: picture.filter(blur))


class RandomNoise(Transform):
    """Adds normal noise, every value its own, as a sensor in the dark does.

    Args:
        probability: How often.
        sigma: Pair, the range of the standard deviation, of values from 0 to 255.
    """

    def __init__(self, probability=0.15, sigma=(2.0, 12.0)):
        self.probability = check_probability("probability", probability)
        self.sigma = check_range("sigma", sigma, 0)

    def extend(self, plan, rng, size):
        chance, sigma = rng.random(), rng.uniform(*self.sigma)
        seed = int(rng.integers(2**63))  # of the noise, which is made when applied
        if chance >= self.probability:
            return plan

        def add_noise(picture):
            values = np.asarray(picture)
            noise = np.random.default_rng(seed)
            noisy = noise.standard_normal(values.shape, "float32")
            noisy *= sigma
            noisy += values
            noisy += 0.5  # the cast cuts off
            return Image.fromarray(noisy.clip(0, 255, out=noisy).astype("uint8"))

        return plan.then(add_noise)


class RandomJpeg(Transform):
    """Compresses to JPEG and back.

    Args:
        probability: How often.
        quality: Pair of integers, the range of JPEG's quality.
    """

    def __init__(self, probability=0.15, quality=(30, 90)):
        self.probability = check_probability("probability", probability)
        self.quality = check_range("quality", quality, 1, 100)

    def extend(self, plan, rng, size):
        chance = rng.random()
        quality = int(rng.integers(*self.quality, endpoint=True))
        if chance >= self.probability:
            return plan

        def compress(picture):
            file = io.BytesIO()
            picture.save(file, "JPEG", quality=quality)
            with Image.open(file) as compressed:
                return compressed.convert("RGB")

        return plan.then(compress)
