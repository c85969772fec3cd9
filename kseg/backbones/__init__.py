"""Backbones: an image goes in, feature maps of falling resolution come out."""

import inspect
from functools import partial

import keras

from kseg.backbones.applications import from_application
from kseg.backbones.checking import check_feature_maps, check_nothing_to_build
from kseg.backbones.inverted_residuals import inverted_residuals
from kseg.backbones.resnet import resnet
from kseg.backbones.vgg import vgg16
from kseg.backbones.xception import xception

BACKBONES = {
    "mobilenet_v2": partial(from_application, keras.applications.MobileNetV2),
    "mobilenet_v3_small": partial(
        from_application, keras.applications.MobileNetV3Small
    ),
    "mobilenet_v3_large": partial(
        from_application, keras.applications.MobileNetV3Large
    ),
    "efficientnet_b0": partial(from_application, keras.applications.EfficientNetB0),
    "efficientnet_b1": partial(from_application, keras.applications.EfficientNetB1),
    "efficientnet_b2": partial(from_application, keras.applications.EfficientNetB2),
    "efficientnet_b3": partial(from_application, keras.applications.EfficientNetB3),
    "efficientnet_v2_b0": partial(
        from_application, keras.applications.EfficientNetV2B0
    ),
    "efficientnet_v2_b1": partial(
        from_application, keras.applications.EfficientNetV2B1
    ),
    "efficientnet_v2_b2": partial(
        from_application, keras.applications.EfficientNetV2B2
    ),
    "efficientnet_v2_b3": partial(
        from_application, keras.applications.EfficientNetV2B3
    ),
    "convnext_tiny": partial(from_application, keras.applications.ConvNeXtTiny),
    "densenet121": partial(from_application, keras.applications.DenseNet121),
    "inverted_residuals": inverted_residuals,
    "vgg16": vgg16,
    "resnet50": partial(resnet, "resnet50"),
    "resnet101": partial(resnet, "resnet101"),
    "resnet152": partial(resnet, "resnet152"),
    "xception41": partial(xception, "xception41"),
    "xception65": partial(xception, "xception65"),
    "xception71": partial(xception, "xception71"),
}


def get(
    backbone,
    input_shape,
    *,
    weights=None,
    width_multiplier=1.0,
    output_stride=32,
    rescale=True,
    name=None,
    **options,
):
    """Builds a backbone by its name, or checks one that is built already.

    Args:
        backbone: A name in `kseg.backbones.BACKBONES`, or a functional `keras.Model` whose
            outputs are a list of feature maps `(batch, height, width, channels)` of
            falling resolution. A model is used as it is, and gets the raw image.
        input_shape: Shape of an image, `(height, width, channels)`; height and width may
            be `None`.
        weights: See `kseg.backbones.from_application`, as for the arguments that follow.
            Not with a model, whose own business these are.
        width_multiplier: Factor on the number of channels.
        output_stride: Stride of the coarsest map. A model has its own, and another one
            than that is refused, unless it is the default.
        rescale: Whether the backbone normalises images of 0 to 255 inside.
        name: Name of the model.
        **options: What the named backbone takes besides, such as `multi_grid`.

    Returns:
        A `keras.Model` of one image, with a list of feature maps, finest first.

    Raises:
        ValueError: If no backbone has the name, it does not take an option, or a model is
            no backbone or is given what only a named one can be built with.
        TypeError: If `backbone` is neither a name nor a `keras.Model`.
    """
    arguments = {
        "weights": weights,
        "width_multiplier": width_multiplier,
        "output_stride": output_stride,
        "rescale": rescale,
    }
    if isinstance(backbone, keras.Model):
        check_feature_maps(backbone, input_shape)
        check_nothing_to_build(backbone, input_shape, **arguments, **options)
        return backbone
    if not isinstance(backbone, str):
        raise TypeError(
            "`backbone` must be a name or a `keras.Model`. "
            f"Received: backbone={backbone!r} (of type {type(backbone).__name__})"
        )
    if backbone not in BACKBONES:
        raise ValueError(
            f"`backbone` must be one of {', '.join(map(repr, BACKBONES))}, or a "
            f"`keras.Model`. Received: backbone={backbone!r}"
        )
    build = BACKBONES[backbone]
    known = set(inspect.signature(build).parameters) - {"input_shape", "name"}
    for option, value in options.items():
        if option not in known:
            own = sorted(known - set(arguments))
            raise ValueError(
                f"`{option}` is no option of the backbone {backbone!r}, which takes "
                f"{', '.join(f'`{key}`' for key in own) or 'none'}. "
                f"Received: {option}={value!r}"
            )
    return build(input_shape, **arguments, name=name, **options)


__all__ = [
    "BACKBONES",
    "from_application",
    "get",
    "inverted_residuals",
    "resnet",
    "vgg16",
    "xception",
]
