"""VGG-16: Simonyan, Zisserman (ICLR 2015), its classifier as convolutions."""

import os
import warnings

import keras
from keras import layers

from kseg.backbones.checking import check_input_shape, check_weights
from kseg.backbones.dilation import pad, steps
from kseg.backbones.widths import check_width_multiplier, scaled
from kseg.layers.checking import check_dropout_rate, check_positive

# Convolutions and filters of each block (table 1, column D).
_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))

# The mean of ImageNet that was subtracted from RGB pixels of 0 to 255 in training. The
# division gives fresh weights inputs of unit scale; in a loaded first kernel it is undone,
# without rounding, as it is by a power of two.
_MEAN = (123.68, 116.779, 103.939)
_SCALE = 128.0


def vgg16(
    input_shape,
    *,
    weights=None,
    width_multiplier=1.0,
    output_stride=32,
    rescale=True,
    include_fc=False,
    padding="same",
    image_padding=1,
    pool_size=2,
    dropout_rate=0.5,
    name=None,
):
    """Builds a VGG-16 as a backbone.

    Its maps are those behind the pools, with `include_fc` that of `fc7` in place of the
    last. Layers have the names of the Caffe model (`"conv1_1"`, `"pool1"`, `"fc6"`).

    References:
    - [Very Deep Convolutional Networks](https://arxiv.org/abs/1409.1556) (ICLR 2015)
    - [Fully Convolutional Networks](https://arxiv.org/abs/1411.4038) (CVPR 2015),
      section 3.1: the dense layers as convolutions
    - [Semantic Image Segmentation with Deep Convolutional Nets and Fully Connected CRFs](
      https://arxiv.org/abs/1412.7062) (ICLR 2015), section 3.1: dilation

    Args:
        input_shape: Shape of an image, `(height, width, channels)`. Height and width are
            at least 32, or `None` for any.
        weights: `None` for random weights, `"imagenet"`, or the path of a file with the
            weights of `keras.applications.VGG16`: of the classifier with `include_fc`,
            without its top otherwise. Defaults to `None`.
        width_multiplier: Factor on the number of channels, which stay multiples of 8.
            Defaults to `1.0`.
        output_stride: Stride of the coarsest map: 8, 16 or 32. Below 32 the last pools
            have a stride of 1, and what follows is dilated. 8 needs `pool_size=3`.
            Defaults to `32`.
        rescale: Whether RGB images of 0 to 255 are normalised inside: the mean of
            ImageNet is subtracted and the rest divided by 128; any other number of
            channels goes to -1 ... 1. Defaults to `True`.
        include_fc: Whether the dense layers of the classifier follow as the convolutions
            `fc6` (7x7, 4096 filters) and `fc7` (1x1, 4096). Defaults to `False`.
        padding: `"same"`, or `"valid"` for an `fc6` that sees no border, as a classifier
            that slides over the image. Defaults to `"same"`.
        image_padding: By how many pixels of the mean colour `conv1_1` extends the image
            on every side; 1 keeps its size, FCN has 100. Defaults to `1`.
        pool_size: 2, or 3 for the centred pools of DeepLab. With the latter, an output
            stride of 8 is DeepLab's: `pool5` is not dilated. Defaults to `2`.
        dropout_rate: Rate of the dropout behind `fc6` and `fc7`; 0 for none. Defaults
            to `0.5`.
        name: Name of the model. Defaults to `"vgg16"`.

    Returns:
        A `keras.Model` of one image, with a list of feature maps, finest first.

    Raises:
        ValueError: If an argument has a value that no net can be built with.
        TypeError: If an argument is of the wrong type.
    """
    check_input_shape(input_shape)
    check_weights(weights)
    check_width_multiplier(width_multiplier)
    check_dropout_rate(dropout_rate)
    _check_padding(padding, image_padding, include_fc, input_shape)
    _check_pools(pool_size, output_stride)
    channels = input_shape[-1]
    if weights is not None:
        _check_pretrained(weights, width_multiplier, channels)
    plan = steps([2] * len(_BLOCKS), output_stride)

    image = x = keras.Input(input_shape, name="image")
    if rescale:
        scale, offset = 1 / 127.5, -1.0
        if channels == 3:
            scale, offset = 1 / _SCALE, [-mean / _SCALE for mean in _MEAN]
        x = layers.Rescaling(scale, offset, name="rescaling")(x)
    if image_padding > 1:
        x = layers.ZeroPadding2D(image_padding - 1, name="image_pad")(x)
    maps, stride, rate = {}, 1, 1
    for block, ((count, filters), step) in enumerate(
        zip(_BLOCKS, plan, strict=True), 1
    ):
        for i in range(1, count + 1):
            width = scaled(filters, width_multiplier)
            x = _conv(x, width, 3, f"conv{block}_{i}", dilation_rate=rate)
        x = _pool(x, pool_size, step.stride, f"pool{block}")
        stride, rate = stride * step.stride, step.next_rate
        maps[stride] = x
    if include_fc:
        width = scaled(4096, width_multiplier)
        x = _conv(x, width, 7, "fc6", padding=padding, dilation_rate=rate)
        x = _dropout(x, dropout_rate, "drop6")
        x = _conv(x, width, 1, "fc7")
        maps[stride] = _dropout(x, dropout_rate, "drop7")
    model = keras.Model(image, list(maps.values()), name=name or "vgg16")
    if weights is not None:
        _copy_weights(_pretrained(weights, include_fc), model)
    return model


def _check_padding(padding, image_padding, include_fc, input_shape):
    check_positive("image_padding", image_padding)
    if padding not in ("same", "valid"):
        raise ValueError(
            f'`padding` must be "same" or "valid". Received: padding={padding!r}'
        )
    if padding == "same":
        return
    if not include_fc:
        raise ValueError(
            '`padding` must be "same" without `fc6`, the layer that it is for. '
            f"Received: padding={padding!r}, include_fc={include_fc}"
        )
    # The first size whose map behind the pools, rounded up, has the 7x7 of `fc6`.
    smallest = 6 * 32 + 1 - 2 * (image_padding - 1)
    if any(size is not None and size < smallest for size in input_shape[:2]):
        raise ValueError(
            f"`input_shape` must have a height and a width of at least {smallest} with "
            f'padding="valid" and image_padding={image_padding}, or `None`. '
            f"Received: input_shape={input_shape}"
        )


def _check_pools(pool_size, output_stride):
    if pool_size not in (2, 3):
        raise ValueError(
            f"`pool_size` must be 2 or 3. Received: pool_size={pool_size!r}"
        )
    if pool_size == 2 and output_stride == 8:
        raise ValueError(
            "`output_stride` of 8 needs `pool_size=3`, the pools of DeepLab: with both "
            "strides left out, a pool of 2 would have to be dilated. "
            f"Received: output_stride={output_stride}, pool_size={pool_size}"
        )


def _check_pretrained(weights, width_multiplier, channels):
    if channels != 3:
        raise ValueError(
            "`weights` of `keras.applications.VGG16` are for images of 3 channels; "
            f"`weights=None` takes any number. Received: channels={channels}, "
            f"weights={weights!r}"
        )
    if width_multiplier != 1:
        raise ValueError(
            "`width_multiplier` must be 1 with the weights of "
            "`keras.applications.VGG16`. "
            f"Received: width_multiplier={width_multiplier}, weights={weights!r}"
        )


def _conv(x, filters, kernel_size, name, padding="same", dilation_rate=1):
    return layers.Conv2D(
        filters,
        kernel_size,
        padding=padding,
        dilation_rate=dilation_rate,
        activation="relu",
        kernel_initializer="he_normal",
        name=name,
    )(x)


def _pool(x, pool_size, stride, name):
    padding = "same"  # Which rounds up, as Caffe does.
    if pool_size == 3 and stride == 2:
        x = pad(x, pool_size, name)
        padding = "valid"
    return layers.MaxPooling2D(pool_size, stride, padding=padding, name=name)(x)


def _dropout(x, rate, name):
    return layers.Dropout(rate, name=name)(x) if rate else x


def _pretrained(weights, include_fc):
    file = None if weights == "imagenet" else os.fspath(weights)
    with warnings.catch_warnings():
        # Said many times on the way to the error of a file that does not fit.
        warnings.filterwarnings("ignore", message="Skipping nested container")
        net = keras.applications.VGG16(
            include_top=include_fc,
            input_shape=(224, 224, 3),
            weights=None if file else weights,
        )
        if file:
            try:
                net.load_weights(file)
            except (ValueError, OSError, KeyError) as error:
                raise ValueError(
                    "`weights` must fit `keras.applications.VGG16(include_top="
                    f"{include_fc})`. Received: weights={file!r}"
                ) from error
    return net


def _copy_weights(net, model):
    for block, (count, _) in enumerate(_BLOCKS, 1):
        for i in range(1, count + 1):
            kernel, bias = net.get_layer(f"block{block}_conv{i}").get_weights()
            if (block, i) == (1, 1):
                kernel = _SCALE * kernel[:, :, ::-1]  # From BGR to RGB.
            model.get_layer(f"conv{block}_{i}").set_weights([kernel, bias])
    for dense, conv in (("fc1", "fc6"), ("fc2", "fc7")):
        if conv in (layer.name for layer in model.layers):
            kernel, bias = net.get_layer(dense).get_weights()
            layer = model.get_layer(conv)
            layer.set_weights([kernel.reshape(layer.kernel.shape), bias])
