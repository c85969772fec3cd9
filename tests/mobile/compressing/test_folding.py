"""Constants and activations become part of the convolutions before them."""

import keras
import numpy as np
import pytest
from keras import layers

from kseg.mobile.compressing.folding import fold
from kseg.mobile.compressing.tracing import trace


def folded(make, channels=3):
    """Returns the steps of a model of one function of an image."""
    image = keras.Input((8, 8, channels))
    model = keras.Model(image, make(image))
    rng = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(rng.uniform(0.5, 2, variable.shape))
    image = keras.Input((8, 8, channels))
    calls, output = trace(model, image)
    steps = fold(calls, output)
    assert steps[-1].output is output
    return steps, model


CONVOLUTIONS = {
    "conv": lambda: layers.Conv2D(4, 3),
    "without bias": lambda: layers.Conv2D(4, 3, use_bias=False),
    "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
    "transposed": lambda: layers.Conv2DTranspose(4, 2, strides=2),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_bias_and_batch_norm_become_kernel_and_bias(name):
    layer = CONVOLUTIONS[name]()
    (step,), model = folded(lambda x: layers.BatchNormalization()(layer(x)))
    # y = gamma (conv(x) + b - mean) / sqrt(variance + epsilon) + beta, per channel.
    norm = model.layers[-1]
    gamma, beta, mean, variance = map(np.asarray, norm.get_weights())
    factor = gamma / np.sqrt(variance + norm.epsilon)
    kernel, *bias = map(np.asarray, layer.get_weights())
    channels = {"depthwise": (3, 2), "transposed": (4, 1)}.get(name, (4,))
    np.testing.assert_allclose(step.kernel, kernel * factor.reshape(channels), 1e-6)
    bias = (bias[0] if bias else 0) - mean
    np.testing.assert_allclose(step.bias, bias * factor + beta, 1e-5)


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        (lambda: layers.ReLU(), "relu"),
        (lambda: layers.ReLU(max_value=6), "relu6"),
        (lambda: layers.Activation("relu6"), "relu6"),
    ],
    ids=["ReLU", "ReLU of 6", "relu6"],
)
def test_clipping_is_taken_up(activation, name):
    (step,), _ = folded(lambda x: activation()(layers.Conv2D(4, 3)(x)))
    assert step.activation == name


@pytest.mark.parametrize(
    "activation",
    [
        lambda: layers.ReLU(max_value=1),
        lambda: layers.LeakyReLU(),
        lambda: layers.ReLU(threshold=0.5),
        lambda: layers.Activation("sigmoid"),
    ],
    ids=["another maximum", "leaky", "threshold", "sigmoid"],
)
def test_other_activations_are_steps(activation):
    steps, _ = folded(lambda x: activation()(layers.Conv2D(4, 3)(x)))
    assert [step.activation for step in steps] == [None, None]


def test_the_sum_of_a_residual_takes_up_its_relu():
    def residual(x):
        return layers.ReLU()(layers.Add()([x, layers.Conv2D(3, 3, padding="same")(x)]))

    steps, _ = folded(residual)
    assert [(step.kind, step.activation) for step in steps] == [
        ("Conv", None),
        ("Add", "relu"),
    ]


def test_a_transposed_convolution_leaves_its_relu_alone():
    steps, _ = folded(lambda x: layers.Conv2DTranspose(4, 2, activation="relu")(x))
    assert [step.kind for step in steps] == ["ConvTranspose", "ReLU"]


def test_what_others_read_too_is_not_folded():
    def twice(x):
        x = layers.Conv2D(4, 3, use_bias=False)(x)
        return layers.Concatenate()([x, layers.BatchNormalization()(x)])

    steps, _ = folded(twice)
    assert [step.kind for step in steps] == ["Conv", "Multiply", "Add", "Concatenate"]


def test_nothing_is_folded_behind_an_activation():
    def late(x):
        return layers.BatchNormalization()(layers.Conv2D(4, 3, activation="relu")(x))

    steps, _ = folded(late)
    assert [step.kind for step in steps] == ["Conv", "Multiply", "Add"]


def test_a_constant_per_pixel_is_no_bias():
    image = keras.Input((8, 8, 3))
    ramp = np.linspace(0, 1, 8, dtype="float32").reshape(8, 1, 1)
    model = keras.Model(image, layers.Conv2D(4, 1)(image) + ramp)
    calls, output = trace(model, image)
    assert [step.kind for step in fold(calls, output)] == ["Conv", "Add"]
