"""FPN: Lin et al. (CVPR 2017), as a decoder of phone nets."""

import keras
from keras import layers

from kseg.layers import ResizingLike2D
from kseg.models import encoder, head


def fpn(
    input_shape,
    num_classes,
    *,
    backbone="inverted_residuals",
    weights=None,
    filters=(24, 32, 32, 32),
    width_multiplier=1.0,
    rescale=True,
    activation="softmax",
    name="fpn",
):
    """Builds a net with a feature pyramid, for phones.

    From the coarsest map on, each map is upsampled (bilinear) and added to a 1x1
    convolution of the next finer one; what is summed is smoothed by a depthwise 3x3 and a
    1x1 convolution, where the paper has a full 3x3. The finest map gives the scores (from
    stride 4 on by default), which are upsampled to the image. The coarsest map is gated
    by its own average first, as in the head of LR-ASPP: what the whole image shows.

    The paper gives all maps 256 channels. Here each has a width of its own, so that the
    fine ones, which cost most, can be narrow: the coarser one is brought to it before it
    is upsampled.

    Reference:
    - [Feature Pyramid Networks](https://arxiv.org/abs/1612.03144) (CVPR 2017), figure 3:
      the top-down path

    Args:
        input_shape: Shape of an image, `(height, width, channels)`. Height and width may
            be `None`. Any size of at least 32 works.
        num_classes: Number of classes; 1 for the probability of a foreground.
        backbone: A name in `kseg.backbones.BACKBONES`, or a `keras.Model` whose outputs
            are feature maps of falling resolution. Defaults to `"inverted_residuals"`.
        weights: Weights of a backbone that is given by name: `None` for random ones,
            `"imagenet"`, or the path of a file. Defaults to `None`.
        filters: Number of filters per map of the backbone, finest first. With fewer
            numbers than maps the finest maps are left out; of more, the last are taken.
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
    head.check_classes(num_classes, activation)
    head.check_input_shape(input_shape, 32)
    widths = head.scaled(filters, width_multiplier)
    net, strides = encoder.build(
        backbone,
        input_shape,
        weights=weights,
        width_multiplier=width_multiplier,
        output_stride=32,
        rescale=rescale,
    )
    levels = min(len(widths), len(strides))
    if levels < 2:
        raise ValueError(
            f"`filters` must have at least two numbers. Received: filters={filters}"
        )
    widths = widths[-levels:]

    image = keras.Input(input_shape, name="image")
    *maps, x = net(image)[-levels:]
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="gate_pool")(x)
    gate = layers.Conv2D(x.shape[-1], 1, name="gate_conv")(gate)
    gate = layers.Activation("sigmoid", name="gate")(gate)
    x = layers.Multiply(name="gated")([x, gate])
    x = _relu(_pointwise(x, widths[-1], "top"), "top")
    for level in range(len(maps), 0, -1):
        # What is summed is normalised, not the sum: so each BatchNorm has a convolution
        # to be folded into.
        finer, width = maps[level - 1], widths[level - 1]
        x = _relu(_depthwise(x, f"smooth{level + 1}"), f"smooth{level + 1}")
        x = _pointwise(x, width, f"up{level}")
        x = ResizingLike2D(name=f"up{level}_resized")([x, finer])
        lateral = _pointwise(finer, width, f"lateral{level}")
        x = _relu(layers.Add(name=f"sum{level}")([x, lateral]), f"sum{level}")
    x = _relu(_depthwise(x, "smooth1"), "smooth1")
    x = _relu(_pointwise(x, widths[0], "last"), "last")
    scores = layers.Conv2D(num_classes, 1, name="scores")(x)
    return keras.Model(image, head.outputs(scores, activation, like=image), name=name)


def _depthwise(x, name):
    x = layers.DepthwiseConv2D(
        3,
        padding="same",
        use_bias=False,
        depthwise_initializer="he_normal",
        name=name,
    )(x)
    return layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)


def _pointwise(x, filters, name):
    x = layers.Conv2D(
        filters, 1, use_bias=False, kernel_initializer="he_normal", name=name
    )(x)
    return layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)


def _relu(x, name):
    return layers.ReLU(name=f"{name}_relu")(x)
