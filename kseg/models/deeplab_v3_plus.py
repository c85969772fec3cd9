"""DeepLab v3+: Chen, Zhu, Papandreou, Schroff, Adam (ECCV 2018)."""

import functools

import keras
from keras import initializers, layers

from kseg.layers import ASPP, AtrousSeparableConv2D, ResizingLike2D
from kseg.models import encoder, head


def deeplab_v3_plus(
    input_shape,
    num_classes,
    *,
    backbone="xception65",
    weights=None,
    output_stride=16,
    separable=True,
    dropout_rate=0.1,
    width_multiplier=1.0,
    rescale=True,
    activation="softmax",
    name="deeplab_v3_plus",
):
    """Builds a DeepLab v3+.

    The encoder is a backbone with atrous spatial pyramid pooling behind its coarsest map.
    The decoder upsamples that to the backbone's map at stride 4, reduced to 48 channels,
    refines both by two 3x3 convolutions, and upsamples the scores to the image.

    BatchNorm of the head has a momentum of 0.9, which trains from random weights; the
    paper's 0.9997 is for trainings that start from its own. `ASPP` says why a batch
    should hold at least two images.

    Reference:
    - [Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation](
      https://arxiv.org/abs/1802.02611) (ECCV 2018), figure 2

    Args:
        input_shape: Shape of an image, `(height, width, channels)`. Height and width may
            be `None`. Any size of at least 32 works.
        num_classes: Number of classes; 1 for the probability of a foreground.
        backbone: A name in `kseg.backbones.BACKBONES`, or a `keras.Model` whose outputs
            are feature maps of falling resolution. Defaults to `"xception65"`.
        weights: Weights of a backbone that is given by name: `None` for random ones,
            `"imagenet"`, or the path of a file. Defaults to `None`.
        output_stride: Stride of the coarsest map of a backbone that is given by name; 8,
            16 or 32. The dilation rates of the head are 6, 12 and 18 at 16, and twice
            that at 8. Defaults to `16`.
        separable: Whether the 3x3 convolutions of head and decoder are depthwise
            separable. Defaults to `True`.
        dropout_rate: Rate of the dropout behind the pyramid. Defaults to `0.1`.
        width_multiplier: Factor on all numbers of filters. Defaults to `1.0`.
        rescale: Whether images of 0 to 255 are normalised inside; `False` for CT and
            other data. Defaults to `True`.
        activation: `"softmax"`, `"sigmoid"` (with one class), or `None` for logits.
        name: Name of the model.

    Returns:
        A `keras.Model` from images `(batch, height, width, channels)` to float32
        `(batch, height, width, num_classes)`.

    Raises:
        ValueError: If an argument has a value that no network can be built with.
        TypeError: If an argument is of the wrong type.
    """
    return encoder_decoder(
        functools.partial(
            ASPP, separable=separable, dropout_rate=dropout_rate, name="aspp"
        ),
        input_shape,
        num_classes,
        backbone=backbone,
        weights=weights,
        output_stride=output_stride,
        separable=separable,
        width_multiplier=width_multiplier,
        rescale=rescale,
        activation=activation,
        name=name,
    )


def encoder_decoder(
    pyramid,
    input_shape,
    num_classes,
    *,
    backbone,
    weights,
    output_stride,
    separable,
    width_multiplier,
    rescale,
    activation,
    name,
):
    """Builds a net of backbone, pyramid and decoder.

    Args:
        pyramid: Function of a number of filters and of dilation rates that makes the
            layer for the coarsest map.
        input_shape: As in `deeplab_v3_plus`, like all the others.
    """
    head.check_classes(num_classes, activation)
    head.check_input_shape(input_shape, 32)
    (filters,) = head.scaled([256], width_multiplier)
    net, strides = encoder.build(
        backbone,
        input_shape,
        weights=weights,
        width_multiplier=width_multiplier,
        output_stride=output_stride,
        rescale=rescale,
        **encoder.caffe_layout(backbone),
    )

    image = keras.Input(input_shape, name="image")
    maps = net(image)
    x = pyramid(filters, encoder.dilation_rates((6, 12, 18), strides))(maps[-1])
    low = maps[encoder.nearest(strides, 4)]
    x = _decoder(x, low, num_classes, separable, width_multiplier)
    return keras.Model(image, head.outputs(x, activation, like=image), name=name)


def _decoder(x, low, num_classes, separable, width_multiplier):
    """Refines a coarse map by a finer one, and scores it at the finer one's size."""
    low_filters, filters = head.scaled([48, 256], width_multiplier)
    low = _conv(low, low_filters, 1, name="low")
    x = ResizingLike2D(name="decoder_resized")([x, low])
    x = layers.Concatenate(name="decoder_concat")([x, low])
    for i in (1, 2):
        if separable:
            x = AtrousSeparableConv2D(filters, 3, name=f"decoder{i}")(x)
        else:
            x = _conv(x, filters, 3, name=f"decoder{i}")
    return layers.Conv2D(
        num_classes,
        1,
        kernel_initializer=initializers.TruncatedNormal(stddev=0.01),
        name="scores",
    )(x)


def _conv(x, filters, kernel_size, name):
    x = layers.Conv2D(
        filters, kernel_size, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
