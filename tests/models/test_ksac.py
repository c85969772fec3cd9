"""What is true of KSAC alone."""

import keras
import numpy as np
import pytest
from keras import layers

from kseg.models import deeplab_v3_plus, ksac


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def backbone(low=4, high=6, stride=16):
    image = keras.Input((None, None, 3))
    maps = [
        layers.Conv2D(filters, 1, stride, padding="same", use_bias=False)(image)
        for filters, stride in ((low, 4), (high, stride))
    ]
    return keras.Model(image, maps, name="maps")


@pytest.mark.parametrize(
    "fusion,count",
    [("sum", 5_966_848), ("concat", 6_097_920), ("sum_all", 5_835_776)],
)
def test_number_of_parameters_beyond_the_trunk(fusion, count):
    """The layer on 2048 channels, and the decoder of DeepLab v3+."""
    model = ksac((None, None, 3), 21, backbone=backbone(256, 2048), fusion=fusion)
    assert trainable(model) - 3 * (256 + 2048) == count + 168_325


def test_differs_from_deeplab_v3_plus_in_the_pyramid_alone():
    one, other = (
        {x.name for x in builder((64, 96, 3), 5, backbone=backbone()).layers}
        for builder in (ksac, deeplab_v3_plus)
    )
    assert one ^ other == {"ksac", "aspp"}


@pytest.mark.parametrize(
    "stride,rates", [(8, (12, 24, 36)), (16, (6, 12, 18)), (32, (3, 6, 9))]
)
def test_output_stride_sets_the_rates(stride, rates):
    model = ksac((64, 96, 3), 2, backbone=backbone(stride=stride))
    assert model.get_layer("ksac").dilation_rates == rates


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"num_classes": 1}, "activation='softmax', num_classes=1"),
        ({"input_shape": (31, 64, 3)}, r"input_shape=\(31, 64, 3\)"),
        ({"fusion": "mean"}, "fusion='mean'"),
        ({"dropout_rate": -1}, "dropout_rate=-1"),
        ({"backbone": "mobilenet_v2", "output_stride": 4}, "output_stride=4"),
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
        ksac(**arguments)
