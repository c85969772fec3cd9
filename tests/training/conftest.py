"""Nets that are small enough to train in a test."""

import keras
import numpy as np
import pytest


@pytest.fixture(scope="session")
def threshold_net():
    """Function that makes a net of one class: bright pixels are the foreground.

    A weighted sum with hand-set weights, sigmoid(x / 8 - 15): 0.5 at grey 120. Its
    BatchNorm, of mean 0 and variance 1, does nothing.
    """

    def make(activation="sigmoid", size=(None, None), momentum=0.99):
        image = keras.Input((*size, 3))
        x = keras.layers.Conv2D(2, 1, use_bias=False, name="grey")(image)
        x = keras.layers.BatchNormalization(
            epsilon=1e-12, momentum=momentum, name="norm"
        )(x)
        x = keras.layers.Conv2D(1, 1, activation=activation, name="score")(x)
        net = keras.Model(image, x, name="threshold")
        net.get_layer("grey").set_weights([np.full((1, 1, 3, 2), 1 / 3)])
        net.get_layer("score").set_weights(
            [np.full((1, 1, 2, 1), 1 / 16), np.array([-15.0])]
        )
        return net

    return make
