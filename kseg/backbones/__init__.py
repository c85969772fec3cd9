"""Backbones: an image goes in, feature maps of falling resolution come out."""

from functools import partial

import keras

from kseg.backbones.applications import from_application
from kseg.backbones.checking import check_feature_maps

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
):
    """Builds a backbone by its name, or checks one that is built already.

    Args:
        backbone: A name in `kseg.backbones.BACKBONES`, or a functional `keras.Model` whose
            outputs are a list of feature maps `(batch, height, width, channels)` of
            falling resolution. A model is used as it is: it gets the raw image, and the
            keyword arguments below, which say how to build a named one, do not apply.
        input_shape: Shape of an image, `(height, width, channels)`; height and width may
            be `None`.
        weights: See `kseg.backbones.from_application`, as for the arguments that follow.
        width_multiplier: Factor on the number of channels.
        output_stride: Stride of the coarsest map.
        rescale: Whether the backbone normalises images of 0 to 255 inside.
        name: Name of the model.

    Returns:
        A `keras.Model` of one image, with a list of feature maps, finest first.

    Raises:
        ValueError: If no backbone has the name, or the model is none.
        TypeError: If `backbone` is neither a name nor a `keras.Model`.
    """
    if isinstance(backbone, keras.Model):
        check_feature_maps(backbone, input_shape)
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
    return BACKBONES[backbone](
        input_shape,
        weights=weights,
        width_multiplier=width_multiplier,
        output_stride=output_stride,
        rescale=rescale,
        name=name,
    )


__all__ = ["BACKBONES", "from_application", "get"]
