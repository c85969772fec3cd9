"""What is rounded while a net is trained, and how: LiteRT's rules, by hand."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kseg.mobile.compressing.fake_quantization import KernelQuantizer, Quantizing
from kseg.mobile.compressing.folding import fold
from kseg.mobile.compressing.rebuilding import rebuild
from kseg.mobile.compressing.tracing import trace


def rounded(kernel, axes):
    """Symmetric 8 bits, -127 to 127, a scale per slice that `axes` leave."""
    scale = np.abs(kernel).max(axis=axes, keepdims=True) / 127
    return np.round(kernel / scale) * scale


@pytest.mark.parametrize(
    ("kind", "shape", "axes"),
    [
        ("Conv", (3, 3, 4, 5), (0, 1, 2)),
        ("DepthwiseConv", (3, 3, 4, 2), (0, 1)),
        ("ConvTranspose", (2, 2, 5, 4), (0, 1, 2, 3)),
    ],
    ids=["conv", "depthwise", "transposed"],
)
def test_kernels_are_rounded_per_output_channel(kind, shape, axes):
    # Channels of very different size, which one range would crush.
    kernel = np.random.default_rng(0).normal(size=shape)
    kernel *= np.geomspace(0.01, 10, shape[-1])
    kernel = kernel.astype("float32")
    actual = KernelQuantizer(kind)(kernel, False, {})
    np.testing.assert_allclose(actual, rounded(kernel, axes), rtol=1e-4, atol=1e-7)


def test_a_channel_of_zeros_stays_zero():
    kernel = np.ones((1, 1, 2, 2), "float32")
    kernel[..., 0] = 0
    np.testing.assert_array_equal(KernelQuantizer("Conv")(kernel, False, {}), kernel)


def quantized(make):
    """Returns the kinds of the steps that learn a range."""
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, make(image))
    image = keras.Input((8, 8, 3))
    calls, output = trace(model, image)
    steps = fold(calls, output)
    quantizing = Quantizing(steps)
    rebuild(steps, image, output, wrap=quantizing)
    return [steps[int(name.removeprefix("step"))].kind for name in quantizing.ranges]


def test_operations_that_move_values_have_no_range():
    def moved(x):
        x = layers.MaxPooling2D()(layers.Conv2D(4, 3, activation="relu")(x))
        return layers.UpSampling2D(interpolation="bilinear")(layers.ZeroPadding2D()(x))

    assert quantized(moved) == ["Conv"]


def test_parts_of_a_concatenation_share_its_range():
    def joined(x):
        small = layers.AveragePooling2D(2)(layers.Conv2D(4, 3, padding="same")(x))
        small = layers.UpSampling2D(interpolation="bilinear")(small)
        return layers.Concatenate()([small, layers.Conv2D(2, 1)(x)])

    assert quantized(joined) == ["Concatenate"]


def test_a_skip_that_is_read_elsewhere_keeps_its_range():
    def skip(x):
        x = layers.Conv2D(4, 3, padding="same")(x)
        return layers.Concatenate()([x, layers.Conv2D(2, 1)(x)])

    assert quantized(skip) == ["Conv", "Concatenate"]


def test_sigmoid_has_the_range_of_its_kernel_for_good():
    assert quantized(lambda x: ops.sigmoid(x) * 2.0) == ["Multiply"]
