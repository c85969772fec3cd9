"""Global Convolutional Network: Peng, Zhang, Yu, Luo, Sun (CVPR 2017)."""

import keras
from keras import initializers, layers

from kseg.layers import (
    BilinearUpsampling2D,
    BoundaryRefinement2D,
    GlobalConv2D,
    ResizingLike2D,
)
from kseg.models import encoder, head


def gcn(
    input_shape,
    num_classes,
    *,
    backbone="resnet101",
    weights=None,
    kernel_size=15,
    learn_upsampling=False,
    output_stride=32,
    width_multiplier=1.0,
    rescale=True,
    activation="softmax",
    name="gcn",
):
    """Builds a Global Convolutional Network.

    Every map of the backbone from stride 4 on is scored by convolutions with a large
    kernel, which sees most of the object that it classifies; the scores are refined at
    the boundaries, and added up from the coarsest map to the finest.

    Reference:
    - [Large Kernel Matters](https://arxiv.org/abs/1703.02719) (CVPR 2017), figure 2

    Args:
        input_shape: Shape of an image, `(height, width, channels)`. Height and width may
            be `None`. Any size of at least 32 works.
        num_classes: Number of classes; 1 for the probability of a foreground.
        backbone: A name in `kseg.backbones.BACKBONES`, or a `keras.Model` whose outputs
            are feature maps of falling resolution. The paper's best results are with
            `"resnet152"`. Defaults to `"resnet101"`.
        weights: Weights of a backbone that is given by name: `None` for random ones,
            `"imagenet"`, or the path of a file. Defaults to `None`.
        kernel_size: Height and width of the large kernels, an odd number. Defaults to
            `15`.
        learn_upsampling: Whether scores are upsampled by transposed convolutions that
            start as bilinear ones, and not by bilinear resizing. Defaults to `False`.
        output_stride: Stride of the coarsest map of a backbone that is given by name; 8,
            16 or 32. Defaults to `32`.
        width_multiplier: Factor on the numbers of filters of the backbone; the head has
            as many as there are classes. Defaults to `1.0`.
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
    net, strides = encoder.build(
        backbone,
        input_shape,
        weights=weights,
        width_multiplier=width_multiplier,
        output_stride=output_stride,
        rescale=rescale,
    )

    image = keras.Input(input_shape, name="image")
    levels = [(1, image), *zip(strides, net(image), strict=True)]
    coarser, features = levels.pop()
    x = _scores(features, num_classes, kernel_size, coarser)
    for stride, features in reversed(levels):
        if learn_upsampling:
            x = BilinearUpsampling2D(
                round(coarser / stride),
                learnable=True,
                per_class=False,
                name=f"deconvolution{stride}",
            )(x)
        x = ResizingLike2D(name=f"resized{stride}")([x, features])
        if stride >= 4:
            finer = _scores(features, num_classes, kernel_size, stride)
            x = layers.Add(name=f"sum{stride}")([finer, x])
        x = _refined(x, f"refined{stride}" if stride > 1 else "scores")
        coarser = stride
    return keras.Model(image, head.outputs(x, activation), name=name)


def _scores(features, num_classes, kernel_size, stride):
    x = GlobalConv2D(
        num_classes,
        kernel_size,
        kernel_initializer=_gaussian(),
        name=f"global{stride}",
    )(features)
    return _refined(x, f"global{stride}_refined")


def _refined(x, name):
    return BoundaryRefinement2D(kernel_initializer=_gaussian(), name=name)(x)


def _gaussian():
    """Nothing normalises the head: with kernels as large as Keras draws them, its scores
    grow at usual learning rates until they overflow."""
    return initializers.RandomNormal(stddev=0.01)
