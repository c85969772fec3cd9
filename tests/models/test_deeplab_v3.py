"""What is true of DeepLab v3 alone."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kseg.models import deeplab_v3


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def images(*shape):
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def backbone(channels=6):
    image = keras.Input((None, None, 3))
    maps = [
        layers.Conv2D(filters, 1, stride, padding="same", use_bias=False)(image)
        for filters, stride in ((4, 4), (channels, 16))
    ]
    return keras.Model(image, maps, name="maps")


# The whole nets with 21 classes, and their trunks.
COUNTS = [
    ("resnet50", 39_048_533, 23_508_032),
    ("resnet101", 58_040_661, 42_500_160),
]


@pytest.mark.parametrize("name,count,trunk", COUNTS)
def test_number_of_parameters_beyond_the_trunk(name, count, trunk):
    model = deeplab_v3((None, None, 3), 21, backbone=backbone(2048), multi_grid=None)
    assert trainable(model) - 3 * (4 + 2048) == count - trunk


@pytest.mark.slow
@pytest.mark.parametrize("name,count,trunk", COUNTS)
def test_number_of_parameters(name, count, trunk):
    assert trainable(deeplab_v3((None, None, 3), 21, backbone=name)) == count


@pytest.fixture(scope="module")
def at_8_and_16():
    """The same narrow net, with the same weights, at two output strides."""
    keras.utils.set_random_seed(0)
    nets = [
        deeplab_v3(
            (65, 97, 3),
            3,
            backbone="resnet50",
            width_multiplier=1 / 16,
            output_stride=output_stride,
        )
        for output_stride in (8, 16)
    ]
    nets[0].set_weights(nets[1].get_weights())
    return nets


def test_multi_grid_multiplies_the_rates_of_the_last_stage(at_8_and_16):
    """Section 3.3: rates 2 * (1, 2, 4) at output stride 16, twice that at 8."""
    for net, unit_rate, previous in zip(at_8_and_16, (4, 2), (2, 1), strict=True):
        resnet = net.get_layer("resnet50")
        rates = [
            resnet.get_layer(f"conv5_block{i}_2_conv").dilation_rate[0]
            for i in (1, 2, 3)
        ]
        assert rates == [unit_rate, unit_rate * 2, unit_rate * 4]
        assert resnet.get_layer("conv4_block6_2_conv").dilation_rate[0] == previous


def test_branches_at_8_hold_those_at_16(at_8_and_16):
    """A net trained at output stride 16 is evaluated at 8; all but the image's mean."""
    batch = images(1, 65, 97, 3)
    fine, coarse = (
        [
            ops.convert_to_numpy(branch(net.get_layer("resnet50")(batch)[-1]))
            for branch in net.get_layer("aspp").branches[1:]
        ]
        for net in at_8_and_16
    )
    for dense, sparse in zip(fine, coarse, strict=True):
        assert sparse.shape[1:3] == (5, 7) and sparse.std() > 1e-3
        np.testing.assert_allclose(dense[:, ::2, ::2], sparse, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"num_classes": 1}, "activation='softmax', num_classes=1"),
        ({"input_shape": (64, 31, 3)}, r"input_shape=\(64, 31, 3\)"),
        ({"width_multiplier": -1}, "width_multiplier=-1"),
        ({"backbone": "resnet50", "output_stride": 4}, "output_stride=4"),
        ({"backbone": "resnet50", "multi_grid": (1, 2)}, r"multi_grid=\(1, 2\)"),
        ({"backbone": "mobilenet_v2"}, r"multi_grid=\(1, 2, 4\)"),
        ({}, r"multi_grid=\(1, 2, 4\)"),
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
        deeplab_v3(**arguments)
