"""A net taken apart up to its logits, whatever it ends in."""

import keras
import numpy as np
import pytest
from keras import layers

from kseg.mobile import ExportError
from kseg.mobile.compressing.net_in_steps import NetInSteps
from kseg.mobile.compressing.twin import Twin


def small(channels, activation=None):
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 6, 3))
    x = layers.Conv2D(channels, 1)(layers.Rescaling(1 / 255)(image))
    if activation:
        x = layers.Activation(activation)(x)
    return keras.Model(image, x, name="small")


@pytest.mark.parametrize(
    ("channels", "activation"),
    [(1, "sigmoid"), (3, "softmax"), (3, None)],
    ids=["sigmoid", "softmax", "logits"],
)
def test_the_activation_at_the_end_stays_outside(channels, activation):
    model = small(channels, activation)
    net = NetInSteps(model)
    assert net.activation == activation
    assert [step.kind for step in net.steps][-1] == "Conv"
    around = net.as_keras(Twin(net.rebuild()), "around")
    images = np.random.default_rng(0).uniform(0, 255, (2, 4, 6, 3)).astype("float32")
    np.testing.assert_allclose(around(images), model(images), atol=1e-6)
    assert around.output_shape == model.output_shape


def test_a_net_in_half_precision_is_rebuilt_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = small(3)
    finally:
        keras.config.set_dtype_policy("float32")
    net = NetInSteps(model)
    assert {step.output.dtype for step in net.steps} == {"float32"}


def test_a_layer_that_cannot_be_copied_is_named():
    class Odd(layers.Layer):
        def __init__(self, factor):
            super().__init__(name="odd")
            self.factor = factor

        def call(self, x):
            return x * self.factor

    image = keras.Input((4, 6, 3))
    model = keras.Model(image, layers.Conv2D(2, 1)(Odd(2.0)(image)))
    with pytest.raises(ExportError, match="`from_config`. Keras says: .*'Odd'"):
        NetInSteps(model)
