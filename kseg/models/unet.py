"""U-Net: Ronneberger, Fischer, Brox (MICCAI 2015)."""

import keras
from keras import initializers, layers

from kseg.layers import CroppingLike2D, ResizingLike2D
from kseg.layers.checking import check_dropout_rate
from kseg.models import encoder, head


def unet(
    input_shape,
    num_classes,
    *,
    backbone=None,
    weights=None,
    filters=(64, 128, 256, 512, 1024),
    padding="same",
    variant="paper",
    batch_norm=False,
    dropout_rate=0.5,
    width_multiplier=1.0,
    rescale=True,
    activation="softmax",
    name="unet",
):
    """Builds a U-Net.

    The defaults are the paper's, but for its unpadded convolutions (`padding="valid"`)
    and for a normalisation of the image to -1 ... 1.

    Reference:
    - [U-Net: Convolutional Networks for Biomedical Image Segmentation](
      https://arxiv.org/abs/1505.04597) (MICCAI 2015), figure 1

    Args:
        input_shape: Shape of an image, `(height, width, channels)`. Height and width may
            be `None`. Any size of at least 16 works (32 with a backbone).
        num_classes: Number of classes; 1 for the probability of a foreground.
        backbone: `None` for the encoder of the paper, a name in
            `kseg.backbones.BACKBONES`, or a `keras.Model` whose outputs are feature maps
            of falling resolution. With a backbone the scores have the size of its finest
            map, and are resized to that of the image. Defaults to `None`.
        weights: Weights of a backbone that is given by name: `None` for random ones,
            `"imagenet"`, or the path of a file. Defaults to `None`.
        filters: Number of filters per level, finest first. The encoder has as many
            levels. A backbone of `n` maps takes the first `n - 1` for its decoder.
        padding: `"same"`, or `"valid"` as in the paper: only pixels whose whole context
            was seen get a class, `size - 184` of `size = 16 * k + 60` (188, 204, ...).
            Not with a backbone. Defaults to `"same"`.
        variant: `"paper"`, or `"release"` for the net that the authors published: a ReLU
            behind every up-convolution, the last of which keeps the channels of the
            coarser level. Not with a backbone. Defaults to `"paper"`.
        batch_norm: Whether the 3x3 convolutions have BatchNorm in place of a bias.
            Defaults to `False`.
        dropout_rate: Rate of the dropout behind the two coarsest levels of the encoder;
            0 for none. Defaults to `0.5`.
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
    _check_filters(filters, backbone)
    _check_options(padding, variant, dropout_rate, weights, backbone)
    head.check_input_shape(input_shape, 32 if backbone else 2 ** (len(filters) - 1))
    if padding == "valid":
        _check_valid_sizes(input_shape, 2 ** (len(filters) - 1))
    widths = head.scaled(filters, width_multiplier)

    image = keras.Input(input_shape, name="image")
    if backbone is None:
        x = image
        if rescale:
            x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(x)
        maps = _contracting_path(x, widths, padding, batch_norm, dropout_rate)
    else:
        net, _ = encoder.build(
            backbone,
            input_shape,
            weights=weights,
            width_multiplier=width_multiplier,
            output_stride=32,
            rescale=rescale,
        )
        maps = _backbone_maps(net(image), widths, dropout_rate)
    x = _expansive_path(maps, widths, padding, variant, batch_norm)
    scores = layers.Conv2D(
        num_classes, 1, kernel_initializer=_gaussian(), name="scores"
    )(x)
    like = None if backbone is None else image
    return keras.Model(image, head.outputs(scores, activation, like), name=name)


def _check_filters(filters, backbone):
    if not isinstance(filters, tuple | list):
        raise TypeError(
            "`filters` must be a tuple with one number per level. "
            f"Received: filters={filters!r} (of type {type(filters).__name__})"
        )
    if backbone is None and len(filters) < 2:
        raise ValueError(
            f"`filters` must have at least two levels. Received: filters={filters}"
        )


def _check_options(padding, variant, dropout_rate, weights, backbone):
    if padding not in ("same", "valid"):
        raise ValueError(
            f'`padding` must be "same" or "valid". Received: padding={padding!r}'
        )
    if padding == "valid" and backbone is not None:
        raise ValueError(
            '`padding` must be "same" with a backbone, whose convolutions are padded. '
            f"Received: padding={padding!r}, backbone={backbone!r}"
        )
    if variant not in ("paper", "release"):
        raise ValueError(
            f'`variant` must be "paper" or "release". Received: variant={variant!r}'
        )
    if variant == "release" and backbone is not None:
        raise ValueError(
            '`variant="release"` has the encoder of the paper, and takes no backbone. '
            f"Received: variant={variant!r}, backbone={backbone!r}"
        )
    check_dropout_rate(dropout_rate)
    if weights is not None and backbone is None:
        raise ValueError(
            "`weights` are those of a backbone; those of a whole model are loaded by "
            f"`model.load_weights(...)`. Received: weights={weights!r}, backbone=None"
        )


def _check_valid_sizes(input_shape, step):
    """Unpadded, a size fits if every map that is pooled has an even one.

    With `k` the size of the coarsest map, the image has `step * k + 4 * (step - 1)`, and
    the scores have `step * (k - 8) + 4`, which is to be positive.
    """
    margin = 4 * (step - 1)
    smallest = (8 * step - 4) // step + 1

    def next_possible(size):
        k = max(smallest, -((margin - size) // step))
        return step * k + margin

    possible = [None if n is None else next_possible(n) for n in input_shape[:2]]
    if possible != list(input_shape[:2]):
        raise ValueError(
            f"`input_shape` must have a height and a width of {step} * k + {margin}, at "
            f'least {step * smallest + margin}, with padding="valid"; the next possible '
            f"is {(*possible, input_shape[2])}. Received: input_shape={input_shape}"
        )


def _contracting_path(x, widths, padding, batch_norm, dropout_rate):
    maps = []
    for level, width in enumerate(widths, 1):
        if level > 1:
            x = layers.MaxPooling2D(2, padding=padding, name=f"pool{level - 1}")(x)
        x = _two_convolutions(x, width, padding, batch_norm, f"down{level}")
        if level >= len(widths) - 1:
            # In front of the pool, so that the skip is thinned out as well.
            x = _dropout(x, dropout_rate, level)
        maps.append(x)
    return maps


def _backbone_maps(maps, widths, dropout_rate):
    if len(widths) < len(maps) - 1:
        raise ValueError(
            f"`filters` must have at least {len(maps) - 1} levels for a backbone of "
            f"{len(maps)} maps. Received: filters of {len(widths)} levels"
        )
    *fine, x, y = maps
    x = _dropout(x, dropout_rate, len(maps) - 1)
    y = _dropout(y, dropout_rate, len(maps))
    return [*fine, x, y]


def _expansive_path(maps, widths, padding, variant, batch_norm):
    *skips, x = maps
    for level in range(len(skips), 0, -1):
        skip, width = skips[level - 1], widths[level - 1]
        keeps = variant == "release" and level == 1
        x = layers.Conv2DTranspose(
            widths[1] if keeps else width,
            2,
            strides=2,
            activation="relu" if variant == "release" else None,
            # Every value comes from one of the coarser map. The release counts the other
            # way round, and so does "fan_in" of a transposed kernel.
            kernel_initializer=_gaussian(x.shape[-1] if variant == "paper" else None),
            name=f"up{level}",
        )(x)
        if padding == "same":
            x = ResizingLike2D(name=f"up{level}_resized")([x, skip])
        else:
            skip = CroppingLike2D(name=f"skip{level}_cropped")([skip, x])
        x = layers.Concatenate(name=f"concat{level}")([x, skip])
        x = _two_convolutions(x, width, padding, batch_norm, f"up{level}")
    return x


def _two_convolutions(x, width, padding, batch_norm, name):
    for i in (1, 2):
        x = layers.Conv2D(
            width,
            3,
            padding=padding,
            use_bias=not batch_norm,
            kernel_initializer=_gaussian(),
            name=f"{name}_conv{i}",
        )(x)
        if batch_norm:
            x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm{i}")(x)
        x = layers.ReLU(name=f"{name}_relu{i}")(x)
    return x


def _dropout(x, rate, level):
    return layers.Dropout(rate, name=f"dropout{level}")(x) if rate else x


def _gaussian(incoming=None):
    """Standard deviation sqrt(2 / N) for N incoming connections (section 3)."""
    if incoming is not None:
        return initializers.RandomNormal(stddev=(2 / incoming) ** 0.5)
    return initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
