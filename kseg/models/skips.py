"""Maps of a backbone, and their scores from coarse to fine, as FCN has them."""

from typing import NamedTuple

from keras import layers

from kseg.layers import BilinearUpsampling2D, CroppingLike2D, ResizingLike2D
from kseg.layers.checking import check_dropout_rate
from kseg.models import encoder

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
