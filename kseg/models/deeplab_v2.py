"""DeepLab v2: Chen, Papandreou, Kokkinos, Murphy, Yuille (PAMI 2018)."""

import math

import keras
from keras import layers

from kseg.layers import ASPPSum, ResizingByScale2D, ResizingLike2D
from kseg.models import encoder, head

# VGG-16 keeps its dense layers as hidden layers of every branch, and has centred pools.
_VGG16 = {"include_fc": False, "pool_size": 3}


def deeplab_v2(
    input_shape,
    num_classes,
    *,
    backbone="vgg16",
    weights=None,
    output_stride=8,
    dilation_rates=(6, 12, 18, 24),
    scales=(1.0,),
    auxiliary_outputs=False,
    dropout_rate=0.5,
    width_multiplier=1.0,
    rescale=True,
    upsample=True,
    activation="softmax",
    name="deeplab_v2",
):
    """Builds a DeepLab v2.

    A backbone with atrous spatial pyramid pooling behind its coarsest map, which adds up
    the scores of four dilation rates. On VGG-16 each of them has two hidden layers, on any
    other backbone none.

    The paper trains on labels at output stride: `upsample=False`, where
    `kseg.losses.SparseCrossEntropy` takes every eighth label. Its best net fuses images of
    three scales, `scales=(0.5, 0.75, 1.0)`, by the maximum of their scores, and trains
    each of them and their fusion: `auxiliary_outputs=True`, with the masks as the truth of
    each output. Here the scores of all scales have the size of those of the whole image,
    where the authors' code compares each with labels of its own size.

    Reference:
    - [DeepLab](https://arxiv.org/abs/1606.00915) (PAMI 2018), sections 3.2 and 4.1

    Args:
        input_shape: Shape of an image, `(height, width, channels)`. Height and width may
            be `None`. Any size of at least 32 over the smallest scale works.
        num_classes: Number of classes; 1 for the probability of a foreground.
        backbone: A name in `kseg.backbones.BACKBONES`, or a `keras.Model` whose outputs
            are feature maps of falling resolution. The paper has `"vgg16"` and
            `"resnet101"`. Defaults to `"vgg16"`.
        weights: Weights of a backbone that is given by name: `None` for random ones,
            `"imagenet"`, or the path of a file. Defaults to `None`.
        output_stride: Stride of the coarsest map of a backbone that is given by name; 8,
            16 or 32. Defaults to `8`.
        dilation_rates: Dilation rates of the pyramid: `(6, 12, 18, 24)` is the paper's
            ASPP-L, `(2, 4, 8, 12)` its ASPP-S. Defaults to `(6, 12, 18, 24)`.
        scales: Factors on the size of the image, whose scores are fused by their maximum.
            Defaults to `(1.0,)`.
        auxiliary_outputs: Whether the scores of each scale are outputs as well, behind the
            fused ones, in the order of `scales`. Defaults to `False`.
        dropout_rate: Rate of the dropout of the hidden layers. Defaults to `0.5`.
        width_multiplier: Factor on all numbers of filters. Defaults to `1.0`.
        rescale: Whether images of 0 to 255 are normalised inside; `False` for CT and
            other data. Defaults to `True`.
        upsample: Whether the scores are resized to the image. Defaults to `True`.
        activation: `"softmax"`, `"sigmoid"` (with one class), or `None` for logits.
        name: Name of the model.

    Returns:
        A `keras.Model` from images `(batch, height, width, channels)` to float32
        `(batch, height, width, num_classes)`, or to a list of them with
        `auxiliary_outputs`. Without `upsample`, height and width are divided by the output
        stride, rounded up.

    Raises:
        ValueError: If an argument has a value that no network can be built with.
        TypeError: If an argument is of the wrong type.
    """
    head.check_classes(num_classes, activation)
    _check_scales(scales, auxiliary_outputs)
    head.check_input_shape(input_shape, math.ceil(32 / min(1, *scales)))
    (hidden_filters,) = head.scaled([1024], width_multiplier)
    several = tuple(scales) != (1,)
    vgg = backbone == "vgg16"
    net, _ = encoder.build(
        backbone,
        (None, None, input_shape[2]) if several else input_shape,
        weights=weights,
        width_multiplier=width_multiplier,
        output_stride=output_stride,
        rescale=rescale,
        **(_VGG16 if vgg else encoder.caffe_layout(backbone)),
    )
    pyramid = ASPPSum(
        num_classes,
        dilation_rates,
        hidden_filters=hidden_filters if vgg else None,
        dropout_rate=dropout_rate,
        name="scores",
    )

    image = keras.Input(input_shape, name="image")
    like = image if upsample else None
    if not several:
        scores = pyramid(net(image)[-1])
        return keras.Model(image, head.outputs(scores, activation, like), name=name)
    scores = _scores_of_scales(image, scales, lambda x: pyramid(net(x)[-1]))
    fused = layers.Maximum(name="fused")(scores)
    outputs = head.outputs(fused, activation, like)
    if auxiliary_outputs:
        outputs = [outputs] + [
            head.outputs(x, activation, like, prefix=f"scale{i}_")
            for i, x in enumerate(scores, 1)
        ]
    return keras.Model(image, outputs, name=name)


def _check_scales(scales, auxiliary_outputs):
    if not isinstance(scales, list | tuple):
        raise TypeError(
            "`scales` must be a tuple of factors. "
            f"Received: scales={scales!r} (of type {type(scales).__name__})"
        )
    if not scales or min(scales) <= 0 or len(set(scales)) < len(scales):
        raise ValueError(
            f"`scales` must be positive, and each of its own. Received: scales={scales}"
        )
    if max(scales) != 1:
        raise ValueError(
            "`scales` must have 1 as the largest, whose scores the others are resized to. "
            f"Received: scales={scales}"
        )
    if auxiliary_outputs and len(scales) == 1:
        raise ValueError(
            "`auxiliary_outputs` are those of several `scales`, such as (0.5, 0.75, 1.0). "
            f"Received: auxiliary_outputs={auxiliary_outputs}, scales={scales}"
        )


def _scores_of_scales(image, scales, score):
    """The scores of the image at each scale, all of the size of those at scale 1."""
    whole = score(image)
    scores = []
    for i, scale in enumerate(scales, 1):
        if scale == 1:
            scores.append(whole)
            continue
        x = score(ResizingByScale2D(scale, name=f"scale{i}_image")(image))
        scores.append(ResizingLike2D(name=f"scale{i}_resized")([x, whole]))
    return scores
