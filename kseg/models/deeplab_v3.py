"""DeepLab v3: Chen, Papandreou, Schroff, Adam (2017)."""

import keras
from keras import initializers, layers

from kseg.layers import ASPP
from kseg.models import encoder, head


def deeplab_v3(
    input_shape,
    num_classes,
    *,
    backbone="resnet101",
    weights=None,
    output_stride=16,
    multi_grid=(1, 2, 4),
    dropout_rate=0.1,
    width_multiplier=1.0,
    rescale=True,
    activation="softmax",
    name="deeplab_v3",
):
    """Builds a DeepLab v3.

    A backbone with atrous spatial pyramid pooling behind its coarsest map; the scores are
    upsampled to the image, so that no label is thrown away in training.

    BatchNorm of the head has a momentum of 0.9, which trains from random weights; the
    paper's 0.9997 is for trainings that start from its own. `ASPP` says why a batch
    should hold at least two images.

    Reference:
    - [Rethinking Atrous Convolution for Semantic Image Segmentation](
      https://arxiv.org/abs/1706.05587) (2017), figure 5

    Args:
        input_shape: Shape of an image, `(height, width, channels)`. Height and width may
            be `None`. Any size of at least 32 works.
        num_classes: Number of classes; 1 for the probability of a foreground.
        backbone: A name in `kseg.backbones.BACKBONES`, or a `keras.Model` whose outputs
            are feature maps of falling resolution. Defaults to `"resnet101"`.
        weights: Weights of a backbone that is given by name: `None` for random ones,
            `"imagenet"`, or the path of a file. Defaults to `None`.
        output_stride: Stride of the coarsest map of a backbone that is given by name; 8,
            16 or 32. The dilation rates of the head are 6, 12 and 18 at 16, and twice
            that at 8: a net that was trained at 16 can be evaluated at 8. Defaults to
            `16`.
        multi_grid: Factors on the dilation rates of the last three units, for a ResNet or
            an Xception; `None` for any other backbone. Defaults to `(1, 2, 4)`.
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
    head.check_classes(num_classes, activation)
    head.check_input_shape(input_shape, 32)
    (filters,) = head.scaled([256], width_multiplier)
    options = {} if multi_grid is None else {"multi_grid": multi_grid}
    net, strides = encoder.build(
        backbone,
        input_shape,
        weights=weights,
        width_multiplier=width_multiplier,
        output_stride=output_stride,
        rescale=rescale,
        **encoder.caffe_layout(backbone),
        **options,
    )

    image = keras.Input(input_shape, name="image")
    x = ASPP(
        filters,
        encoder.dilation_rates((6, 12, 18), strides),
        dropout_rate=dropout_rate,
        name="aspp",
    )(net(image)[-1])
    scores = layers.Conv2D(
        num_classes,
        1,
        kernel_initializer=initializers.TruncatedNormal(stddev=0.01),
        name="scores",
    )(x)
    return keras.Model(image, head.outputs(scores, activation, like=image), name=name)
