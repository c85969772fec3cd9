"""What is true of DeepLab v3+ alone."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kseg.layers import AtrousSeparableConv2D
from kseg.models import deeplab_v3_plus


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def images(*shape):
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def backbone(low=4, high=6, strides=(4, 16)):
    """Maps of as many channels as those of a published net."""
    image = keras.Input((None, None, 3))
    maps = [
        layers.Conv2D(filters, 1, stride, padding="same", use_bias=False)(image)
        for filters, stride in zip((low, high), strides, strict=True)
    ]
    return keras.Model(image, maps, name="maps")


# The whole nets of the paper and the code, with 21 classes, and their trunks.
COUNTS = [
    ("xception65", True, 41_055_413, 37_867_312),
    ("xception65", False, 54_711_461, 37_867_312),
    ("resnet101", False, 59_344_309, 42_500_160),
    ("resnet101", True, 45_688_261, 42_500_160),
]


@pytest.mark.parametrize("name,separable,count,trunk", COUNTS)
def test_number_of_parameters_beyond_the_trunk(name, separable, count, trunk):
    """Both trunks have 256 channels at stride 4, and 2048 at the end."""
    model = deeplab_v3_plus(
        (None, None, 3), 21, backbone=backbone(256, 2048), separable=separable
    )
    assert trainable(model) - 3 * (256 + 2048) == count - trunk


def test_number_of_parameters_of_the_decoder():
    model = deeplab_v3_plus((None, None, 3), 21, backbone=backbone(256, 2048))
    own = trainable(model) - 3 * (256 + 2048)
    assert own - trainable(model.get_layer("aspp")) == 168_325


@pytest.mark.slow
@pytest.mark.parametrize("name,separable,count,trunk", COUNTS)
def test_number_of_parameters(name, separable, count, trunk):
    model = deeplab_v3_plus((None, None, 3), 21, backbone=name, separable=separable)
    assert trainable(model) == count


@pytest.mark.parametrize(
    "output_stride,rates", [(8, (12, 24, 36)), (16, (6, 12, 18)), (32, (3, 6, 9))]
)
def test_output_stride_sets_the_rates_and_keeps_the_decoder_at_4(output_stride, rates):
    model = deeplab_v3_plus(
        (64, 96, 3),
        2,
        backbone="mobilenet_v2",
        width_multiplier=0.1,
        output_stride=output_stride,
    )
    assert model.get_layer("aspp").dilation_rates == rates
    coarse = model.get_layer("aspp").output.shape[1:3]
    assert coarse == (64 // output_stride, 96 // output_stride)
    assert model.get_layer("scores").output.shape == (None, 16, 24, 2)
    assert model.output.shape == (None, 64, 96, 2)


def test_decoder_is_that_of_figure_2():
    model = deeplab_v3_plus((64, 96, 3), 5, backbone=backbone())
    names = ("low_relu", "aspp", "decoder_resized", "decoder_concat")
    tensors = keras.Model(model.input, [model.get_layer(n).output for n in names])
    batch = images(1, 64, 96, 3)
    low, high, resized, joined = tensors(batch)
    assert low.shape == (1, 16, 24, 48) and high.shape == (1, 4, 6, 256)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(joined),
        np.concatenate([ops.convert_to_numpy(x) for x in (resized, low)], -1),
    )
    kernel = ops.convert_to_numpy(model.get_layer("low_conv").kernel)
    expected = ops.convert_to_numpy(model.get_layer("maps")(batch)[0]) @ kernel[0, 0]
    # BatchNorm is new: mean 0, variance 1.
    expected = np.maximum(expected / np.sqrt(1 + 1e-5), 0)
    np.testing.assert_allclose(
        ops.convert_to_numpy(low), expected, rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize("separable", [True, False])
def test_separable_convolutions_are_in_head_and_decoder(separable):
    model = deeplab_v3_plus((64, 96, 3), 5, backbone=backbone(), separable=separable)
    decoder = [x for x in model.layers if isinstance(x, AtrousSeparableConv2D)]
    assert len(decoder) == (2 if separable else 0)
    assert model.get_layer("aspp").separable is separable


def test_dropout_is_inactive_in_inference():
    model = deeplab_v3_plus((64, 96, 3), 5, backbone=backbone(), dropout_rate=0.9)
    batch = images(1, 64, 96, 3)
    one, other = (ops.convert_to_numpy(model(batch)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"num_classes": 1}, "activation='softmax', num_classes=1"),
        ({"input_shape": (31, 64, 3)}, r"input_shape=\(31, 64, 3\)"),
        ({"width_multiplier": 0}, "width_multiplier=0"),
        ({"dropout_rate": 1}, "dropout_rate=1"),
        ({"backbone": "lenet"}, "backbone='lenet'"),
        ({"backbone": "mobilenet_v2", "output_stride": 4}, "output_stride=4"),
        ({"backbone": "densenet121", "output_stride": 8}, "output_stride=8"),
        ({"weights": "imagenet"}, "weights='imagenet'"),
    ],
)
def test_values_that_no_net_can_be_built_with(arguments, message):
    arguments = {
        "input_shape": (64, 64, 3),
        "num_classes": 2,
        "backbone": backbone(),
        **arguments,
    }
    with pytest.raises(ValueError, match=f"Received: {message}"):
        deeplab_v3_plus(**arguments)
