"""Inverted residuals, free in width and depth: nets smaller than the applications'."""

import keras
from keras import layers

from kseg.backbones.checking import check_input_shape, check_weights
from kseg.backbones.dilation import pad, steps
from kseg.backbones.loading import load_weights
from kseg.backbones.widths import check_width_multiplier, scaled
from kseg.layers.checking import check_positive

# Kernels of the depthwise convolutions, per stage: wide ones where they cost little.
_KERNEL_SIZES = (3, 3, 5, 5)


def inverted_residuals(
    input_shape,
    *,
    weights=None,
    filters=(16, 24, 32, 40, 48),
    blocks=(1, 2, 2, 3),
    expansion=3,
    fused_stages=0,
    width_multiplier=1.0,
    output_stride=32,
    rescale=True,
    name=None,
):
    """Builds a backbone of inverted residuals for masks in milliseconds.

    A 3x3 convolution to stride 2, and a stage of inverted residuals for each stride from
    4 to 32: 1x1 to `expansion` times the channels, depthwise (3x3 in the first two stages,
    5x5 behind), 1x1 back without activation, and the sum where shapes agree. BatchNorm
    follows every convolution, and ReLU6 those in the middle, which all runtimes fuse: no
    hard-swish, which keeps 8-bit graphs from staying in 8 bits.

    Widths and depths are kseg's own, chosen for speed.

    Reference:
    - [MobileNetV2](https://arxiv.org/abs/1801.04381) (CVPR 2018), figure 3: the block
    - [EfficientNetV2](https://arxiv.org/abs/2104.00298) (ICML 2021), table 4: the fused
      block of the first stage

    Args:
        input_shape: Shape of an image, `(height, width, channels)`. Height and width are
            at least 32, or `None` for any.
        weights: `None` for random weights, or the path of a file that `save_weights` of
            such a backbone wrote. Defaults to `None`.
        filters: Number of channels at the strides 2, 4, 8, 16 and 32.
        blocks: Number of blocks in the stages at the strides 4, 8, 16 and 32.
        expansion: Factor of the channels inside a block. Defaults to `3`.
        fused_stages: Number of stages, from the first on, whose blocks are one 3x3
            convolution each, without expansion: with few channels it is faster, twice
            as fast in 8 bits. Defaults to `0`.
        width_multiplier: Factor on the number of channels, which then are multiples of 8.
            Defaults to `1.0`.
        output_stride: Stride of the coarsest map: 8, 16 or 32. Below 32 the last stages
            are dilated in place of their strides. Defaults to `32`.
        rescale: Whether images of 0 to 255 are normalised to -1 ... 1 inside. Defaults to
            `True`.
        name: Name of the model. Defaults to `"inverted_residuals"`.

    Returns:
        A `keras.Model` of one image, with a list of feature maps, finest first.

    Raises:
        ValueError: If an argument has a value that no net can be built with.
        TypeError: If an argument is of the wrong type.
    """
    check_input_shape(input_shape)
    check_weights(weights)
    check_width_multiplier(width_multiplier)
    _check_counts("filters", filters, 5)
    _check_counts("blocks", blocks, 4)
    check_positive("expansion", expansion)
    if isinstance(fused_stages, bool) or not isinstance(fused_stages, int):
        raise TypeError(
            f"`fused_stages` must be an integer. Received: fused_stages={fused_stages!r}"
        )
    if fused_stages not in range(len(blocks) + 1):
        raise ValueError(
            f"`fused_stages` must be from 0 to {len(blocks)}. "
            f"Received: fused_stages={fused_stages}"
        )
    if weights == "imagenet":
        raise ValueError(
            "`weights` of inverted_residuals must be `None` or the path of a file: keras."
            f"applications has no such net. Received: weights={weights!r}"
        )
    stem, *widths = (scaled(count, width_multiplier) for count in filters)

    image = x = keras.Input(input_shape, name="image")
    if rescale:
        x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(x)
    first, *plan = steps([2] * 5, output_stride)
    x = pad(x, 3, "stem")
    x = layers.Conv2D(
        stem,
        3,
        strides=first.stride,
        use_bias=False,
        kernel_initializer="he_normal",
        name="stem",
    )(x)
    x = _norm(x, "stem")
    stride = first.stride
    maps = {stride: x}
    for number, (width, count, kernel_size, step) in enumerate(
        zip(widths, blocks, _KERNEL_SIZES, plan, strict=True), 1
    ):
        stride *= step.stride
        for index in range(count):
            stride_and_rate = (
                step.stride if index == 0 else 1,
                step.rate if index == 0 else step.next_rate,
            )
            name_of_block = f"stage{number}_block{index + 1}"
            if number <= fused_stages:
                x = _fused_block(x, width, *stride_and_rate, name_of_block)
            else:
                x = _block(
                    x, width, expansion, kernel_size, *stride_and_rate, name_of_block
                )
        maps[stride] = x
    model = keras.Model(image, [*maps.values()], name=name or "inverted_residuals")
    if weights is not None:
        load_weights(
            model, weights, f"inverted_residuals of the filters {[stem, *widths]}"
        )
    return model


def _block(x, filters, expansion, kernel_size, stride, rate, name):
    shortcut = x
    x = _pointwise(x, expansion * x.shape[-1], f"{name}_expand")
    x = _norm(x, f"{name}_expand")
    if stride > 1:
        x = pad(x, kernel_size, f"{name}_depthwise")
    x = layers.DepthwiseConv2D(
        kernel_size,
        strides=stride,
        padding="same" if stride == 1 else "valid",
        dilation_rate=rate,
        use_bias=False,
        depthwise_initializer="he_normal",
        name=f"{name}_depthwise",
    )(x)
    x = _norm(x, f"{name}_depthwise")
    x = _norm(_pointwise(x, filters, f"{name}_project"), f"{name}_project", relu=False)
    if stride > 1 or shortcut.shape[-1] != filters:
        return x
    return layers.Add(name=f"{name}_add")([shortcut, x])


def _fused_block(x, filters, stride, rate, name):
    shortcut = x
    if stride > 1:
        x = pad(x, 3, name)
    x = layers.Conv2D(
        filters,
        3,
        strides=stride,
        padding="same" if stride == 1 else "valid",
        dilation_rate=rate,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    x = _norm(x, name)
    if stride > 1 or shortcut.shape[-1] != filters:
        return x
    return layers.Add(name=f"{name}_add")([shortcut, x])


def _pointwise(x, filters, name):
    return layers.Conv2D(
        filters, 1, use_bias=False, kernel_initializer="he_normal", name=name
    )(x)


def _norm(x, name, relu=True):
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x


def _check_counts(name, counts, length):
    if not isinstance(counts, tuple | list):
        raise TypeError(
            f"`{name}` must be a tuple of {length} integers. Received: {name}={counts!r}"
        )
    if len(counts) != length:
        raise ValueError(
            f"`{name}` must be {length} positive integers. Received: {name}={counts}"
        )
    for count in counts:
        check_positive(name, count)
