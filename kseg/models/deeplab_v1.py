"""DeepLab v1: Chen, Papandreou, Kokkinos, Murphy, Yuille (ICLR 2015)."""

from typing import NamedTuple

import keras
from keras import initializers, layers

from kseg.layers.checking import check_dropout_rate
from kseg.models import encoder, head


class _FieldOfView(NamedTuple):
    kernel_size: int  # Of fc6.
    filters: int  # Of fc6 and fc7.
    dilation_rate: int  # Of fc6, at output stride 8.


# Section 4.3; "7x7" is the classifier's own window.
_FIELDS_OF_VIEW = {
    "7x7": _FieldOfView(7, 4096, 4),
    "4x4": _FieldOfView(4, 4096, 4),
    "large": _FieldOfView(3, 1024, 12),
}


def deeplab_v1(
    input_shape,
    num_classes,
    *,
    backbone="vgg16",
    weights=None,
    field_of_view="large",
    dropout_rate=0.5,
    output_stride=8,
    width_multiplier=1.0,
    rescale=True,
    upsample=True,
    activation="softmax",
    name="deeplab_v1",
):
    """Builds a DeepLab of the first version; by default DeepLab-LargeFOV.

    The defaults are the paper's, whose net was trained on the labels of every eighth
    pixel (`upsample=False`), at a batch of 20 images of 321x321. Sizes of `8 * k + 1` let
    the pixels of the scores lie on those of the image.

    Reference:
    - [Semantic Image Segmentation with Deep Convolutional Nets and Fully Connected CRFs](
      https://arxiv.org/abs/1412.7062) (ICLR 2015), sections 3.1 and 4.3

    Args:
        input_shape: Shape of an image, `(height, width, channels)`. Height and width may
            be `None`. Any size of at least 32 works.
        num_classes: Number of classes; 1 for the probability of a foreground.
        backbone: A name in `kseg.backbones.BACKBONES`, or a `keras.Model` whose outputs
            are feature maps of falling resolution. `"vgg16"` has the pools of DeepLab.
            Defaults to `"vgg16"`.
        weights: Weights of a backbone that is given by name: `None` for random ones,
            `"imagenet"`, or the path of a file. Defaults to `None`.
        field_of_view: Kernel, filters and dilation of `fc6`: `"large"` (3x3, 1024, 12),
            `"4x4"` (4096 filters, 4) or `"7x7"` (4096 filters, 4). Defaults to `"large"`.
        dropout_rate: Rate of the dropout behind `fc6` and `fc7`; 0 for none. Defaults
            to `0.5`.
        output_stride: Stride of the coarsest map of a backbone that is given by name: 8,
            16 or 32. The dilation of `fc6` is that for 8, and falls as it grows.
            Defaults to `8`.
        width_multiplier: Factor on all numbers of filters. Defaults to `1.0`.
        rescale: Whether images of 0 to 255 are normalised inside; `False` for CT and
            other data. Defaults to `True`.
        upsample: Whether the scores are resized to the image; otherwise they keep the
            output stride. Defaults to `True`.
        activation: `"softmax"`, `"sigmoid"` (with one class), or `None` for logits.
        name: Name of the model.

    Returns:
        A `keras.Model` from images `(batch, height, width, channels)` to float32
        `(batch, height, width, num_classes)`.

    Raises:
        ValueError: If an argument has a value that no network can be built with.
        TypeError: If an argument is of the wrong type.
    """
    head.check_classes(num_classes, activation)
    head.check_input_shape(input_shape, 32)
    check_dropout_rate(dropout_rate)
    if field_of_view not in _FIELDS_OF_VIEW:
        raise ValueError(
            f"`field_of_view` must be one of {', '.join(map(repr, _FIELDS_OF_VIEW))}. "
            f"Received: field_of_view={field_of_view!r}"
        )
    kernel_size, filters, rate = _FIELDS_OF_VIEW[field_of_view]
    (width,) = head.scaled([filters], width_multiplier)
    is_vgg = isinstance(backbone, str) and backbone == "vgg16"
    model, strides = encoder.build(
        backbone,
        input_shape,
        weights=weights,
        width_multiplier=width_multiplier,
        output_stride=output_stride,
        rescale=rescale,
        **({"pool_size": 3} if is_vgg else {}),
    )

    image = keras.Input(input_shape, name="image")
    x = model(image)[-1]
    # By layers of their own: the zeros around the map count, as they do in Caffe.
    x = layers.ZeroPadding2D(1, name="pool5a_pad")(x)
    x = layers.AveragePooling2D(3, 1, name="pool5a")(x)
    x = _conv(x, width, kernel_size, max(1, rate * 8 // strides[-1]), "fc6")
    x = _dropout(x, dropout_rate, "drop6")
    x = _conv(x, width, 1, 1, "fc7")
    x = _dropout(x, dropout_rate, "drop7")
    scores = layers.Conv2D(
        num_classes,
        1,
        kernel_initializer=initializers.RandomNormal(stddev=0.01),
        name="scores",
    )(x)
    like = image if upsample else None
    return keras.Model(image, head.outputs(scores, activation, like), name=name)


def _conv(x, filters, kernel_size, dilation_rate, name):
    return layers.Conv2D(
        filters,
        kernel_size,
        padding="same",
        dilation_rate=dilation_rate,
        activation="relu",
        kernel_initializer="he_normal",
        name=name,
    )(x)


def _dropout(x, rate, name):
    return layers.Dropout(rate, name=name)(x) if rate else x
