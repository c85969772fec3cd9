"""Lite R-ASPP: Howard et al., "Searching for MobileNetV3" (ICCV 2019), section 6.4."""

import math

import keras
from keras import layers

from kseg import backbones
from kseg.layers import ResizingLike2D
from kseg.models import head


def lraspp(
    input_shape,
    num_classes,
    *,
    backbone="mobilenet_v3_large",
    weights=None,
    filters=128,
    output_stride=16,
    width_multiplier=1.0,
    rescale=True,
    activation="softmax",
    name="lraspp",
):
    head.check_arguments(input_shape, num_classes, activation, 32)
    filters = max(1, round(filters * width_multiplier))

    image = keras.Input(input_shape, name="image")
    encoder = backbones.get(
        backbone,
        input_shape,
        weights=weights,
        width_multiplier=width_multiplier,
        output_stride=output_stride,
        rescale=rescale,
    )
    features = encoder(image)
    low, high = features[-2], features[-1]

    x = layers.Conv2D(filters, 1, use_bias=False, name="conv")(high)
    x = layers.BatchNormalization(momentum=0.9, name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="gate_pool")(high)
    gate = layers.Conv2D(
        filters, 1, use_bias=False, activation="sigmoid", name="gate_conv"
    )(gate)
    x = layers.Multiply(name="gated")([x, gate])
    x = ResizingLike2D(name="resized")([x, low])
    scores = layers.Add(name="scores")(
        [
            layers.Conv2D(num_classes, 1, name="high_scores")(x),
            layers.Conv2D(num_classes, 1, name="low_scores")(low),
        ]
    )
    y = head.outputs(scores, activation, like=image)
    return keras.Model(image, y, name=name)
