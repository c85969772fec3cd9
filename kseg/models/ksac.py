"""KSAC: Huang, Wang, Jia, He, Liu, "See More Than Once" (2019)."""

import functools

from kseg.layers import KSAC
from kseg.models.deeplab_v3_plus import encoder_decoder


def ksac(
    input_shape,
    num_classes,
    *,
    backbone="xception65",
    weights=None,
    output_stride=16,
    fusion="sum",
    separable=True,
    dropout_rate=0.1,
    width_multiplier=1.0,
    rescale=True,
    activation="softmax",
    name="ksac",
):
    """Builds a net with kernel-sharing atrous convolution.

    This is a DeepLab v3+ whose pyramid has one 3x3 kernel for all its dilation rates.

    BatchNorm of the head has a momentum of 0.9, which trains from random weights. `ASPP`
    says why a batch should hold at least two images.

    Reference:
    - [See More Than Once: Kernel-Sharing Atrous Convolution for Semantic Segmentation](
      https://arxiv.org/abs/1908.09443) (2019), section 3

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
        fusion: How the rates are fused: `"sum"`, `"concat"` or `"sum_all"`, see
            `kseg.layers.KSAC`. Defaults to `"sum"`.
        separable: Whether the 3x3 convolutions of the decoder are depthwise separable.
            Defaults to `True`.
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
        functools.partial(KSAC, fusion=fusion, dropout_rate=dropout_rate, name="ksac"),
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
