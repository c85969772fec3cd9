"""FCN-32s, 16s, 8s: Long, Shelhamer, Darrell (CVPR 2015; PAMI 2017)."""

from typing import NamedTuple

import keras
from keras import layers

from kseg.layers import BilinearUpsampling2D, CroppingLike2D, ResizingLike2D
from kseg.layers.checking import check_dropout_rate
from kseg.models import encoder, head

# Pixels around the image: enough for `fc6`, a 7x7 without padding, at any size.
_IMAGE_PADDING = 100

# Per stride of the scores that are upsampled to the image, where its crop begins.
_IMAGE_OFFSETS = {32: 19, 16: 27, 8: 31}


class _Skip(NamedTuple):
    stride: int
    pool: str
    upscore: str  # The layer that upsamples the coarser scores to this stride.
    offset: int  # Where the crop of the scores of this stride begins.
    scale: float  # Factor on this map for training at once.


_SKIPS = (
    _Skip(16, "pool4", "upscore2", 5, 1e-2),
    _Skip(8, "pool3", "upscore_pool4", 9, 1e-4),
)


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
    maps = encode(image, stride, padding, **arguments)
    scores = decode(
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


def decode(
    image,
    maps,
    stride,
    num_classes,
    *,
    padding,
    score_initializer,
    learn_upsampling=False,
    per_class=True,
    at_once=False,
):
    """Scores of the size of the image, from the maps of `encode`."""

    def score(x, name):
        return layers.Conv2D(
            num_classes, 1, kernel_initializer=score_initializer, name=name
        )(x)

    def upsample(x, scale, name):
        return BilinearUpsampling2D(
            scale, learn_upsampling, per_class, padding, name=name
        )(x)

    x = score(maps[32], "score_fr")
    for skip in (skip for skip in _SKIPS if skip.stride >= stride):
        x = upsample(x, 2, skip.upscore)
        y = maps[skip.stride]
        if at_once:
            y = layers.Rescaling(skip.scale, name=f"scale_{skip.pool}")(y)
        y = score(y, f"score_{skip.pool}")
        if padding == "valid":
            y = CroppingLike2D(skip.offset, name=f"score_{skip.pool}_cropped")([y, x])
        else:
            x = ResizingLike2D(name=f"{skip.upscore}_resized")([x, y])
        x = layers.Add(name=f"fuse_{skip.pool}")([x, y])
    x = upsample(x, stride, f"upscore{stride}")
    if padding == "valid":
        fit = CroppingLike2D(_IMAGE_OFFSETS[stride], name="scores")
    else:
        fit = ResizingLike2D(name="scores")
    return fit([x, image])


def encode(image, stride, padding, backbone, weights, dropout_rate, **arguments):
    """Maps of the backbone by their strides; that at 32 has what `fc7` has."""
    check_dropout_rate(dropout_rate)
    is_vgg = isinstance(backbone, str) and backbone == "vgg16"
    if padding not in ("same", "valid"):
        raise ValueError(
            f'`padding` must be "same" or "valid". Received: padding={padding!r}'
        )
    if padding == "valid" and not is_vgg:
        raise ValueError(
            '`padding` must be "same" with another backbone than "vgg16", for which the '
            "offsets of the crops were made. "
            f"Received: padding={padding!r}, backbone={backbone!r}"
        )
    options = {}
    if is_vgg:
        options = {
            "include_fc": True,
            "padding": padding,
            "image_padding": _IMAGE_PADDING if padding == "valid" else 1,
            "dropout_rate": dropout_rate,
        }
    model, strides = encoder.build(
        backbone,
        image.shape[1:],
        weights=weights,
        output_stride=32,
        **arguments,
        **options,
    )
    needed = [s for s in (8, 16, 32) if s >= stride]
    if not set(needed) <= set(strides):
        raise ValueError(
            f"`backbone` must have maps at the strides {needed}. Received: "
            f"backbone={model.name!r} with maps at the strides {strides}"
        )
    maps = dict(zip(strides, model(image), strict=True))
    if dropout_rate and not is_vgg:
        maps[32] = layers.Dropout(dropout_rate, name="dropout")(maps[32])
    return maps
