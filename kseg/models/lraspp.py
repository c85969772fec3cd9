"""Lite R-ASPP: Howard et al., "Searching for MobileNetV3" (ICCV 2019)."""

import keras
from keras import layers

from kseg.layers import ResizingLike2D
from kseg.models import encoder, head


def lraspp(
    input_shape,
    num_classes,
    *,
    backbone="mobilenet_v3_large",
    weights=None,
    filters=128,
    output_stride=16,
    width_multiplier=1.0,
    rescale=True,
    activation="softmax",
    name="lraspp",
):
    """Builds a net with a Lite R-ASPP head, for phones.

    The coarsest map of the backbone, gated by a squeeze-and-excitation of itself, is
    upsampled to the map at stride 8; both are scored by a 1x1 convolution, the scores
    added and upsampled to the image.

    The paper pools windows of 49x49 with strides (16, 20) for the gate, which is made for
    its images of 1024x2048. Here the whole map is pooled, which fits any size.

    Reference:
    - [Searching for MobileNetV3](https://arxiv.org/abs/1905.02244) (ICCV 2019),
      section 6.4, figure 10

    Args:
        input_shape: Shape of an image, `(height, width, channels)`. Height and width may
            be `None`. Any size of at least 32 works.
        num_classes: Number of classes; 1 for the probability of a foreground.
        backbone: A name in `kseg.backbones.BACKBONES`, or a `keras.Model` whose outputs
            are feature maps of falling resolution. Defaults to `"mobilenet_v3_large"`.
        weights: Weights of a backbone that is given by name: `None` for random ones,
            `"imagenet"`, or the path of a file. Defaults to `None`.
        filters: Number of filters of the head. Defaults to `128`.
        output_stride: Stride of the coarsest map of a backbone that is given by name; 8,
            16 or 32. With 8, the finer map is that at stride 4. Defaults to `16`.
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
    (width,) = head.scaled([filters], width_multiplier)
    net, strides = encoder.build(
        backbone,
        input_shape,
        weights=weights,
        width_multiplier=width_multiplier,
        output_stride=output_stride,
        rescale=rescale,
    )

    image = keras.Input(input_shape, name="image")
    features = net(image)
    low, high = features[encoder.nearest(strides, 8)], features[-1]
    x = layers.Conv2D(width, 1, use_bias=False, name="conv")(high)
    x = layers.BatchNormalization(momentum=0.9, name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="gate_pool")(high)
    gate = layers.Conv2D(width, 1, use_bias=False, name="gate_conv")(gate)
    gate = layers.Activation("sigmoid", name="gate")(gate)
    x = layers.Multiply(name="gated")([x, gate])
    x = ResizingLike2D(name="gated_resized")([x, low])
    high_scores = layers.Conv2D(num_classes, 1, name="high_scores")(x)
    low_scores = layers.Conv2D(num_classes, 1, name="low_scores")(low)
    scores = layers.Add(name="scores")([high_scores, low_scores])
    return keras.Model(image, head.outputs(scores, activation, like=image), name=name)
