"""Modified aligned Xception: Chen et al., DeepLab v3+ (ECCV 2018)."""

import keras
from keras import layers

from kseg.backbones.checking import check_input_shape, check_weights
from kseg.backbones.dilation import check_multi_grid, steps
from kseg.backbones.loading import load_weights
from kseg.backbones.widths import check_width_multiplier, scaled
from kseg.layers import AtrousConv2D, AtrousSeparableConv2D

# Filters and stride of the entry blocks; number of units of the middle flow.
_VARIANTS = {
    "xception41": (((128, 2), (256, 2), (728, 2)), 8),
    "xception65": (((128, 2), (256, 2), (728, 2)), 16),
    "xception71": (((128, 2), (256, 1), (256, 2), (728, 1), (728, 2)), 16),
}
_NORM = {"epsilon": 1e-3, "momentum": 0.9}


def xception(
    variant,
    input_shape,
    *,
    weights=None,
    width_multiplier=1.0,
    output_stride=32,
    rescale=True,
    multi_grid=(1, 1, 1),
    name=None,
):
    """Builds the Xception of DeepLab v3+ as a backbone.

    Every unit has three separable convolutions; the last of them has its stride, where
    the original Xception pools. As in the released nets, a ReLU stands in front of each,
    and none between its depthwise and pointwise parts, but for the last unit, where
    it is the other way round.

    A finer map is what the last convolution before a stride gets, without its ReLU: at
    stride 4, the low-level features of DeepLab v3+.

    References:
    - [Encoder-Decoder with Atrous Separable Convolution](
      https://arxiv.org/abs/1802.02611) (ECCV 2018), figure 4; the authors' code

    Args:
        variant: `"xception41"`, `"xception65"` or `"xception71"`.
        input_shape: Shape of an image, `(height, width, channels)`. Height and width are
            at least 32, or `None` for any.
        weights: `None` for random weights, or the path of a file that `save_weights` of
            such a backbone wrote. Defaults to `None`.
        width_multiplier: Factor on the number of channels, which stay multiples of 8.
            Defaults to `1.0`.
        output_stride: Stride of the coarsest map: 8, 16 or 32. Below 32 the last blocks
            are dilated in place of their strides. Defaults to `32`.
        rescale: Whether images of 0 to 255 are normalised to -1 ... 1 inside. Defaults to
            `True`.
        multi_grid: Factors on the rates of the three convolutions of the last unit.
            Defaults to `(1, 1, 1)`.
        name: Name of the model. Defaults to `variant`.

    Returns:
        A `keras.Model` of one image, with a list of feature maps, finest first.

    Raises:
        ValueError: If an argument has a value that no net can be built with.
        TypeError: If an argument is of the wrong type.
    """
    entry, middle = _VARIANTS[variant]
    check_input_shape(input_shape)
    check_weights(weights)
    check_width_multiplier(width_multiplier)
    check_multi_grid(multi_grid)
    if weights == "imagenet":
        raise ValueError(
            f"`weights` of {variant} must be `None` or the path of a file: keras."
            f"applications has no such net. Received: weights={weights!r}"
        )

    def width(filters):
        return scaled(filters, width_multiplier)

    # Every residual unit: name, filters, stride, whether the shortcut is projected.
    units = [
        (f"entry{number}", (filters,) * 3, stride, True)
        for number, (filters, stride) in enumerate(entry, 1)
    ]
    units += [(f"middle{i}", (728,) * 3, 1, False) for i in range(1, middle + 1)]
    units += [("exit1", (728, 1024, 1024), 2, True)]
    first, *plan = steps([2, *(stride for *_, stride, _ in units)], output_stride)

    image = x = keras.Input(input_shape, name="image")
    if rescale:
        x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(x)
    x = _convolution(x, width(32), 3, first.stride, "conv1")
    x = _convolution(x, width(64), 3, 1, "conv2")
    maps = {}
    stride = first.stride
    for (label, filters, _, projects), step in zip(units, plan, strict=True):
        x, before_stride = _unit(x, [width(n) for n in filters], step, projects, label)
        maps[stride] = before_stride
        stride *= step.stride
    for number, (filters, grid) in enumerate(
        zip((1536, 1536, 2048), multi_grid, strict=True), 1
    ):
        x = AtrousSeparableConv2D(
            width(filters),
            3,
            dilation_rate=plan[-1].next_rate * grid,
            **_NORM,
            name=f"exit2_conv{number}",
        )(x)
    maps[stride] = x
    model = keras.Model(image, list(maps.values()), name=name or variant)
    if weights is not None:
        load_weights(
            model, weights, f"{variant} with width_multiplier={width_multiplier}"
        )
    return model


def _unit(x, filters, step, projects, name):
    """Returns its output, and what its last convolution gets, without the ReLU."""
    shortcut = x
    if projects:
        shortcut = _convolution(
            x, filters[-1], 1, step.stride, f"{name}_shortcut", relu=False
        )
    for number, count in enumerate(filters, 1):
        before = x
        x = layers.ReLU(name=f"{name}_relu{number}")(x)
        x = AtrousSeparableConv2D(
            count,
            3,
            dilation_rate=step.rate,
            strides=step.stride if number == 3 else 1,
            depth_activation=None,
            activation=None,
            **_NORM,
            name=f"{name}_conv{number}",
        )(x)
    return layers.Add(name=f"{name}_add")([shortcut, x]), before


def _convolution(x, filters, kernel_size, stride, name, relu=True):
    x = AtrousConv2D(
        filters,
        kernel_size,
        strides=stride,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    x = layers.BatchNormalization(**_NORM, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x
