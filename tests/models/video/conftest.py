"""Small networks and short videos for the tests of streams."""

import keras
import numpy as np
import pytest

from kseg import models


@pytest.fixture(scope="session")
def image_net():
    """A U-Net of three levels, whose scores differ from pixel to pixel."""
    keras.utils.set_random_seed(1)
    return models.unet((32, 48, 3), 3, filters=(4, 8, 16))


@pytest.fixture(scope="session")
def moving():
    """Ten frames of a square that crosses a picture of noise, `(10, 32, 48, 3)`."""
    rng = np.random.default_rng(7)
    scene = rng.integers(0, 120, (32, 48, 3), "uint8")
    frames = np.repeat(scene[None], 10, 0)
    for index, frame in enumerate(frames):
        frame[8:24, 3 * index : 3 * index + 16] += 130
    return frames
