"""The backbone of a network, and the strides of its maps."""

import math

import keras

from kseg import backbones

# Where a size is open, the strides show at this one.
_PROBE = 256


def build(
    backbone,
    input_shape,
    *,
    weights,
    width_multiplier,
    output_stride,
    rescale,
    **options,
):
    """Builds the backbone of a network.

    Args:
        backbone: A name in `kseg.backbones.BACKBONES`, or a `keras.Model`, which is used
            as it is, with its own width and output stride, and gets images as they are.
        input_shape: Shape of an image, `(height, width, channels)`.
        weights: See `kseg.backbones.get`, as for the arguments that follow.
        width_multiplier: Factor on all numbers of filters.
        output_stride: Stride of the coarsest map.
        rescale: Whether images of 0 to 255 are normalised inside.
        **options: What this backbone alone takes, such as `multi_grid`.

    Returns:
        The backbone, and a list of the strides of its maps.
    """
    if isinstance(backbone, keras.Model):
        model = backbones.get(
            backbone, input_shape, weights=weights, rescale=rescale, **options
        )
        return model, _measured_strides(model, input_shape)
    model = backbones.get(
        backbone,
        input_shape,
        weights=weights,
        width_multiplier=width_multiplier,
        output_stride=output_stride,
        rescale=rescale,
        **options,
    )
    maps = len(model.outputs)
    return model, [output_stride // 2**i for i in reversed(range(maps))]


def caffe_layout(backbone):
    """Options by which a ResNet has the rates that the DeepLab papers state.

    There every unit of a dilated stage has the stage's rate. A first unit whose 3x3
    convolution lost its stride has to keep the rate of the stage before; where the 1x1 in
    front of it had the stride, as in the Caffe models, it has the full rate.
    """
    is_resnet = isinstance(backbone, str) and backbone.startswith("resnet")
    return {"stride_position": "1x1"} if is_resnet else {}


def nearest(strides, stride):
    """Index of the map whose stride is nearest to `stride`, but the coarsest."""
    return min(
        range(len(strides) - 1), key=lambda i: abs(math.log2(strides[i] / stride))
    )


def dilation_rates(rates, strides):
    """Dilation rates for output stride 16, scaled to that of these maps."""
    return tuple(max(1, rate * 16 // strides[-1]) for rate in rates)


def _measured_strides(model, input_shape):
    height, width, channels = input_shape
    height, width = height or _PROBE, width or _PROBE
    shapes = model.compute_output_shape((1, height, width, channels))
    return [
        2 ** round(math.log2(max(height / shape[1], width / shape[2])))
        for shape in shapes
    ]
