"""U-Net: Ronneberger, Fischer, Brox, "U-Net" (MICCAI 2015)."""

import keras
from keras import initializers, layers

from kseg import backbones
from kseg.layers import CroppingLike2D, ResizingLike2D
from kseg.models import head


def unet(
    input_shape,
    num_classes,
    *,
    backbone=None,
    weights=None,
    filters=(64, 128, 256, 512, 1024),
    padding="same",
    batch_norm=False,
    dropout_rate=0.5,
    width_multiplier=1.0,
    rescale=True,
    activation="softmax",
    name="unet",
):
    filters = [max(1, round(f * width_multiplier)) for f in filters]
    head.check_arguments(input_shape, num_classes, activation, 16)

    image = keras.Input(input_shape, name="image")
    if backbone is None:
        skips = _contracting_path(image, filters, padding, batch_norm, dropout_rate, rescale)
    else:
        encoder = backbones.get(
            backbone,
            input_shape,
            weights=weights,
            width_multiplier=width_multiplier,
            rescale=rescale,
        )
        skips = _drop(encoder(image), dropout_rate)
    x = _expansive_path(skips, filters, padding, batch_norm)
    scores = layers.Conv2D(num_classes, 1, kernel_initializer=_he(), name="scores")(x)
    full_size = backbone is None
    y = head.outputs(scores, activation, like=None if full_size else image)
    return keras.Model(image, y, name=name)


def _he():
    return initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")


def _drop(skips, rate):
    if not rate:
        return skips
    first = len(skips) - 2
    return [
        layers.Dropout(rate, name=f"dropout{i}")(x) if i >= first else x
        for i, x in enumerate(skips)
    ]


def _contracting_path(x, filters, padding, batch_norm, dropout_rate, rescale):
    if rescale:
        x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(x)
    skips = []
    for level, width in enumerate(filters, 1):
        if level > 1:
            x = layers.MaxPooling2D(2, padding=padding, name=f"pool{level - 1}")(x)
        x = _two_convs(x, width, padding, batch_norm, f"down{level}")
        if dropout_rate and level > len(filters) - 2:
            x = layers.Dropout(dropout_rate, name=f"dropout{level}")(x)
        skips.append(x)
    return skips


def _expansive_path(skips, filters, padding, batch_norm):
    *skips, x = skips
    for level in range(len(skips), 0, -1):
        width, skip = filters[level - 1], skips[level - 1]
        x = layers.Conv2DTranspose(
            width, 2, strides=2, kernel_initializer=_he(), name=f"up{level}"
        )(x)
        if padding == "same":
            x = ResizingLike2D(name=f"up{level}_resized")([x, skip])
        else:
            skip = CroppingLike2D(name=f"skip{level}")([skip, x])
        x = layers.Concatenate(name=f"concat{level}")([x, skip])
        x = _two_convs(x, width, padding, batch_norm, f"up{level}")
    return x


def _two_convs(x, width, padding, batch_norm, name):
    for i in (1, 2):
        x = layers.Conv2D(
            width,
            3,
            padding=padding,
            use_bias=not batch_norm,
            kernel_initializer=_he(),
            name=f"{name}_conv{i}",
        )(x)
        if batch_norm:
            x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm{i}")(x)
        x = layers.ReLU(name=f"{name}_relu{i}")(x)
    return x
