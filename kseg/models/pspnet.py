"""PSPNet: Zhao, Shi, Qi, Wang, Jia (CVPR 2017)."""

import re

import keras
from keras import layers

from kseg.layers import PyramidPooling2D
from kseg.models import encoder, head


def pspnet(
    input_shape,
    num_classes,
    *,
    backbone="resnet101",
    weights=None,
    output_stride=8,
    bins=(1, 2, 3, 6),
    auxiliary_outputs=False,
    dropout_rate=0.1,
    width_multiplier=1.0,
    rescale=True,
    activation="softmax",
    name="pspnet",
):
    """Builds a PSPNet.

    The coarsest map of a backbone, with its averages over four grids beside it, goes
    through a 3x3 convolution (`"conv5_4"` with `"conv5_4_norm"` and `"conv5_4_relu"`) to
    the scores, which are upsampled to the image.

    The auxiliary output of the training, at a weight of 0.4 in the loss, scores the end of
    a ResNet's fourth stage; with any other backbone, the map before the last.

    BatchNorm of the head has a momentum of 0.9. Its grid of one bin wants at least two
    images per batch, as `PyramidPooling2D` says. The authors' ResNet has a stem of three
    3x3 convolutions: `backbone=kseg.backbones.get("resnet101", input_shape,
    output_stride=8, deep_stem=True)`.

    Reference:
    - [Pyramid Scene Parsing Network](https://arxiv.org/abs/1612.01105) (CVPR 2017),
      figures 3 and 4; numbers of filters and dropout of the authors' release

    Args:
        input_shape: Shape of an image, `(height, width, channels)`. Height and width may
            be `None`. Any size of at least 32 works.
        num_classes: Number of classes; 1 for the probability of a foreground.
        backbone: A name in `kseg.backbones.BACKBONES`, or a `keras.Model` whose outputs
            are feature maps of falling resolution. Defaults to `"resnet101"`.
        weights: Weights of a backbone that is given by name: `None` for random ones,
            `"imagenet"`, or the path of a file. Defaults to `None`.
        output_stride: Stride of the coarsest map of a backbone that is given by name; 8,
            16 or 32. Defaults to `8`.
        bins: Sizes of the grids. Defaults to `(1, 2, 3, 6)`.
        auxiliary_outputs: Whether the auxiliary scores are a second output. Defaults to
            `False`.
        dropout_rate: Rate of the dropout in front of the scores. Defaults to `0.1`.
        width_multiplier: Factor on all numbers of filters. Defaults to `1.0`.
        rescale: Whether images of 0 to 255 are normalised inside; `False` for CT and
            other data. Defaults to `True`.
        activation: `"softmax"`, `"sigmoid"` (with one class), or `None` for logits.
        name: Name of the model.

    Returns:
        A `keras.Model` from images `(batch, height, width, channels)` to float32
        `(batch, height, width, num_classes)`, or to a list of two with
        `auxiliary_outputs`.

    Raises:
        ValueError: If an argument has a value that no network can be built with.
        TypeError: If an argument is of the wrong type.
    """
    head.check_classes(num_classes, activation)
    head.check_input_shape(input_shape, 32)
    auxiliary_filters, filters = head.scaled([256, 512], width_multiplier)
    net, _ = encoder.build(
        backbone,
        input_shape,
        weights=weights,
        width_multiplier=width_multiplier,
        output_stride=output_stride,
        rescale=rescale,
        **encoder.caffe_layout(backbone),
    )
    if auxiliary_outputs:
        net = _with_auxiliary_map(net)

    image = keras.Input(input_shape, name="image")
    maps = net(image)
    x = PyramidPooling2D(filters, bins, name="pyramid")(maps[-1])
    scores = _scores(x, num_classes, filters, dropout_rate, "conv5_4", "scores")
    outputs = head.outputs(scores, activation, like=image)
    if auxiliary_outputs:
        scores = _scores(
            maps[-2],
            num_classes,
            auxiliary_filters,
            dropout_rate,
            "auxiliary_conv",
            "auxiliary_scores",
        )
        auxiliary = head.outputs(scores, activation, like=image, prefix="auxiliary_")
        outputs = [outputs, auxiliary]
    return keras.Model(image, outputs, name=name)


def _with_auxiliary_map(net):
    """The map before the last becomes the end of a ResNet's fourth stage.

    With a stride of 8 the stages 2, 3 and 4 end at that stride, and a backbone returns the
    last of them alone.
    """
    stage4 = [x for x in net.layers if re.fullmatch(r"conv4_block\d+_out", x.name)]
    if not stage4:
        return net
    return keras.Model(net.input, [stage4[-1].output, net.outputs[-1]], name=net.name)


def _scores(x, num_classes, filters, dropout_rate, name, scores_name):
    x = layers.Conv2D(
        filters,
        3,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)
    x = layers.ReLU(name=f"{name}_relu")(x)
    x = layers.Dropout(dropout_rate, name=f"{name}_dropout")(x)
    return layers.Conv2D(
        num_classes, 1, kernel_initializer="he_normal", name=scores_name
    )(x)
