"""Random losses of quality, as lenses, sensors and messengers cause them."""

import functools
import io
import math

import numpy as np
from PIL import Image

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
        reach = math.ceil(3 * sigma)
        taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-6)) ** 2)
        taps = (taps / taps.sum()).astype("float32")

        def blur(image):
            from kseg.data.augment import pixels

            result = np.empty_like(image, order="C")
            rows = image.reshape(len(image), -1)
            pixels.blur(rows, 3, taps, result.reshape(rows.shape))
            return result

        return plan.then(blur)


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

        def add_noise(image):
            from kseg.data.augment import pixels

            table = np.float32(sigma) * _normal_table()
            result = np.empty_like(image, order="C")
            pixels.add_noise(image.ravel(), table, np.uint64(seed), result.ravel())
            return result

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

        def compress(image):
            file = io.BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=quality)
            with Image.open(file) as compressed:
                return np.asarray(compressed.convert("RGB"))

        return plan.then(compress)


@functools.cache
def _normal_table():
    """4096 numbers that are alike often and normal all together, variance 1."""
    from scipy.special import ndtri

    table = ndtri((np.arange(4096) + 0.5) / 4096)
    return (table / table.std()).astype("float32")
