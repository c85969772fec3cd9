"""FCN-32s, 16s, 8s: Long, Shelhamer, Darrell (CVPR 2015; PAMI 2017)."""

import keras

from kseg.models import head, skips


def fcn_32s(
    input_shape,
    num_classes,
    *,
    backbone="vgg16",
    weights=None,
    padding="valid",
    learn_upsampling=False,
    per_class=True,
    dropout_rate=0.5,
    score_initializer="zeros",
    width_multiplier=1.0,
    rescale=True,
    activation="softmax",
    name="fcn_32s",
):
    """Builds an FCN-32s: the scores at stride 32, upsampled at once.

    The defaults are the paper's. Train FCN-32s first, go on with `fcn_16s`, then with
    `fcn_8s`, each with the weights of the one before (`kseg.models.copy_weights`).

    Scores start at zero. With random weights of the backbone as well, for want of a
    pretrained one, take `score_initializer="he_normal"` and `dropout_rate=0`.

    Reference:
    - [Fully Convolutional Networks for Semantic Segmentation](
      https://arxiv.org/abs/1605.06211) (PAMI 2017), figure 3; the offsets of the crops
      are those of its published Caffe models

    Args:
        input_shape: Shape of an image, `(height, width, channels)`. Height and width may
            be `None`. Any size of at least 32 works.
        num_classes: Number of classes; 1 for the probability of a foreground.
        backbone: A name in `kseg.backbones.BACKBONES`, or a `keras.Model` whose outputs
            are feature maps of falling resolution, down to stride 32. `"vgg16"` has the
            convolutions `fc6` and `fc7` on top. Defaults to `"vgg16"`.
        weights: Weights of a backbone that is given by name: `None` for random ones,
            `"imagenet"`, or the path of a file. Defaults to `None`.
        padding: `"valid"` as in the paper: `fc6` is not padded but the image is, by 100
            pixels of the mean colour, and scores are cropped. `"same"` pads every
            convolution by half its size, which saves much of the time; the only way with
            another backbone than `"vgg16"`. Defaults to `"valid"`.
        learn_upsampling: Whether the bilinear kernels of the upsampling are weights.
            Defaults to `False`.
        per_class: Whether every class is upsampled from itself alone; otherwise learned
            kernels lead from all classes to all. Defaults to `True`.
        dropout_rate: Rate of the dropout behind `fc6` and `fc7`, or behind the coarsest
            map of another backbone; 0 for none. Defaults to `0.5`.
        score_initializer: Initializer of the kernels of the scores. Defaults to
            `"zeros"`.
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
    return _fcn(32, **locals())


def fcn_16s(
    input_shape,
    num_classes,
    *,
    backbone="vgg16",
    weights=None,
    padding="valid",
    learn_upsampling=False,
    per_class=True,
    dropout_rate=0.5,
    score_initializer="zeros",
    width_multiplier=1.0,
    rescale=True,
    activation="softmax",
    name="fcn_16s",
):
    """Builds an FCN-16s: the scores at stride 32, upsampled, plus those of `pool4`.

    As `kseg.models.fcn_32s`, whose arguments it has; a backbone of one's own needs maps
    at strides 16 and 32.
    """
    return _fcn(16, **locals())


def fcn_8s(
    input_shape,
    num_classes,
    *,
    backbone="vgg16",
    weights=None,
    padding="valid",
    learn_upsampling=False,
    per_class=True,
    at_once=False,
    dropout_rate=0.5,
    score_initializer="zeros",
    width_multiplier=1.0,
    rescale=True,
    activation="softmax",
    name="fcn_8s",
):
    """Builds an FCN-8s: the scores of strides 32 and 16, plus those of `pool3`.

    As `kseg.models.fcn_32s`, whose arguments it has, and one more; a backbone of one's
    own needs maps at strides 8, 16 and 32.

    Args:
        at_once: Whether `pool4` and `pool3` are multiplied by 0.01 and 0.0001 in front
            of their scores, with which the net trains without the stages before it (PAMI
            2017, section 4.3). Defaults to `False`.
    """
    return _fcn(8, **locals())


def _fcn(
    stride,
    input_shape,
    num_classes,
    *,
    padding,
    learn_upsampling,
    per_class,
    at_once=False,
    score_initializer,
    activation,
    name,
    **arguments,
):
    head.check_classes(num_classes, activation)
    head.check_input_shape(input_shape, 32)
    image = keras.Input(input_shape, name="image")
    maps = skips.encode(image, stride, padding, **arguments)
    scores = skips.decode(
        image,
        maps,
        stride,
        num_classes,
        padding=padding,
        learn_upsampling=learn_upsampling,
        per_class=per_class,
        at_once=at_once,
        score_initializer=score_initializer,
    )
    return keras.Model(image, head.outputs(scores, activation), name=name)
