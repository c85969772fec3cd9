"""Narrow backbones that the tests of this room share: building one takes seconds."""

import functools

import numpy as np
import pytest

from kseg import backbones

# The narrowest that is worth the name; MobileNets have weights from 0.35 on.
WIDTHS = {
    "mobilenet": 0.35,
    "efficientnet": 0.25,
    "convnext": 0.125,
    "densenet": 0.25,
    "resnet": 0.125,
    "xception": 0.0625,
}


@pytest.fixture(scope="session")
def narrow():
    """Returns a backbone for images of any size, the same one for the same arguments."""

    @functools.cache
    def build(name, output_stride=32, **options):
        return backbones.get(
            name,
            (None, None, 3),
            width_multiplier=WIDTHS[name.split("_")[0].rstrip("0123456789")],
            output_stride=output_stride,
            **options,
        )

    return build


@pytest.fixture(scope="session")
def picture():
    """Returns noise of 0 to 255, the same for the same size."""

    def make(height, width):
        rng = np.random.default_rng(height)
        return rng.uniform(0, 255, (1, height, width, 3)).astype("float32")

    return make


@pytest.fixture(scope="session")
def randomize():
    """Gives the weights that start as the identity values that show."""

    def change(net):
        rng = np.random.default_rng(0)
        for layer in net.layers:
            if type(layer).__name__ in ("BatchNormalization", "LayerScale"):
                values = [rng.uniform(0.6, 1.4, v.shape) for v in layer.weights]
                layer.set_weights(values)

    return change
