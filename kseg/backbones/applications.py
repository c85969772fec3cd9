"""Backbones out of `keras.applications`."""

import inspect
import os
import warnings
from typing import NamedTuple

import keras
from keras import layers

from kseg.backbones.checking import check_input_shape, check_weights
from kseg.backbones.loading import load_weights
from kseg.backbones.strides import feature_maps
from kseg.backbones.widths import check_width_multiplier, scaled

# Scale and offset for pixels of 0 to 255: to -1 ... 1, and by the statistics of ImageNet.
_SYMMETRIC = (1 / 127.5, -1.0)
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)
_IMAGENET = (
    [1 / (255 * deviation) for deviation in _DEVIATION],
    [-mean / deviation for mean, deviation in zip(_MEAN, _DEVIATION, strict=True)],
)


class _Application(NamedTuple):
    name: str
    normalization: tuple
    pretrained_widths: tuple = (1.0,)
    output_strides: tuple = (8, 16, 32)
    limit: str = ""  # Why there is no finer output stride.


_APPLICATIONS = {
    "MobileNetV2": _Application(
        "mobilenet_v2", _SYMMETRIC, (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
    ),
    "MobileNetV3Small": _Application("mobilenet_v3_small", _SYMMETRIC, (0.75, 1.0)),
    "MobileNetV3Large": _Application("mobilenet_v3_large", _SYMMETRIC, (0.75, 1.0)),
    "EfficientNetB0": _Application("efficientnet_b0", _IMAGENET),
    "EfficientNetB1": _Application("efficientnet_b1", _IMAGENET),
    "EfficientNetB2": _Application("efficientnet_b2", _IMAGENET),
    "EfficientNetB3": _Application("efficientnet_b3", _IMAGENET),
    "EfficientNetV2B0": _Application("efficientnet_v2_b0", _IMAGENET),
    "EfficientNetV2B1": _Application("efficientnet_v2_b1", _IMAGENET),
    "EfficientNetV2B2": _Application("efficientnet_v2_b2", _IMAGENET),
    "EfficientNetV2B3": _Application("efficientnet_v2_b3", _IMAGENET),
    "ConvNeXtTiny": _Application(
        "convnext_tiny",
        _IMAGENET,
        output_strides=(32,),
        limit="it starts at stride 4 and goes on by patches that do not overlap",
    ),
    "DenseNet121": _Application(
        "densenet121",
        _IMAGENET,
        output_strides=(16, 32),
        limit="it halves its maps by average pools, which cannot be dilated",
    ),
}


def from_application(
    application,
    input_shape,
    *,
    weights=None,
    width_multiplier=1.0,
    output_stride=32,
    rescale=True,
    name=None,
):
    """Makes a backbone of a net of `keras.applications`.

    The result has one feature map per stride that the net has, which is the last tensor at
    that stride. Without pretrained weights its BatchNorm momentum is at most 0.9: with the
    0.999 of the MobileNets, the moving statistics of a short training never arrive.

    Args:
        application: One of `keras.applications.MobileNetV2`, `MobileNetV3Small`,
            `MobileNetV3Large`, `EfficientNetB0` to `B3`, `EfficientNetV2B0` to `B3`,
            `ConvNeXtTiny` and `DenseNet121`.
        input_shape: Shape of an image, `(height, width, channels)`. Height and width are
            at least 32, or `None` for any.
        weights: `None` for random weights, `"imagenet"`, or the path of a file with the
            weights of the application, without its top. Defaults to `None`.
        width_multiplier: Factor on the number of channels: the `alpha` of the application;
            where it has none, every count of channels is scaled to a multiple of 8.
            Defaults to `1.0`.
        output_stride: Stride of the coarsest map: 8, 16 or 32. Below 32 the strides beyond
            are left out and the convolutions behind them dilated, with the same weights.
            `ConvNeXtTiny` has 32 only, `DenseNet121` 16 and 32. Defaults to `32`.
        rescale: Whether images of 0 to 255 are normalised inside: as the application
            expects it for 3 channels, to -1 ... 1 for any other number; a file of an
            EfficientNet brings its own statistics. `False` switches it off, for CT and
            other data. Defaults to `True`.
        name: Name of the model. Defaults to the name in `kseg.backbones.BACKBONES`.

    Returns:
        A `keras.Model` of one image, with a list of feature maps, finest first.

    Raises:
        ValueError: If an argument has a value that the application does not take.
        TypeError: If `application` is no function.
    """
    title = _title(application)
    traits = _APPLICATIONS[title]
    check_input_shape(input_shape)
    check_weights(weights)
    channels = input_shape[-1]
    has_alpha = "alpha" in inspect.signature(application).parameters
    check_width_multiplier(width_multiplier)
    if weights is not None:
        _check_pretrained(weights, traits, width_multiplier, has_alpha, channels)
    if output_stride not in traits.output_strides:
        raise ValueError(
            f"`output_stride` of {traits.name} must be one of {traits.output_strides}"
            f"{': ' * bool(traits.limit)}{traits.limit}. "
            f"Received: output_stride={output_stride!r}"
        )
    net = build_application(
        application, weights, width_multiplier if has_alpha else None, channels
    )

    def configure(layer):
        if isinstance(layer, layers.Rescaling | layers.Normalization):
            return None
        config = layer.get_config()
        if weights is None and isinstance(layer, layers.BatchNormalization):
            config["momentum"] = min(config["momentum"], 0.9)
        return config if has_alpha else _widen(config, width_multiplier)

    image = normalized = keras.Input(input_shape, name="image")
    if rescale:
        scale, offset = traits.normalization if channels == 3 else _SYMMETRIC
        if title.startswith("EfficientNetB") and weights not in (None, "imagenet"):
            scale, offset = _stored_normalization(net)
        normalized = layers.Rescaling(scale, offset, name="rescaling")(image)
    maps, copies = feature_maps(net, image, normalized, output_stride, configure)
    if weights is not None:
        for source, copy in copies:
            if isinstance(source, layers.Layer):
                copy.set_weights(source.get_weights())
    return keras.Model(image, maps, name=name or traits.name)


def _title(application):
    if not callable(application):
        raise TypeError(
            "`application` must be a function of `keras.applications`, such as "
            f"`keras.applications.MobileNetV2`. Received: application={application!r}"
        )
    title = getattr(application, "__name__", repr(application))
    if getattr(keras.applications, title, None) is not application or (
        title not in _APPLICATIONS
    ):
        raise ValueError(
            f"`application` must be one of {', '.join(_APPLICATIONS)} of "
            f"`keras.applications`. Received: application={title}"
        )
    return title


def _check_pretrained(weights, traits, width_multiplier, has_alpha, channels):
    if weights == "imagenet" and channels != 3:
        raise ValueError(
            '`weights="imagenet"` is for images of 3 channels; `weights=None` takes any '
            f"number. Received: channels={channels}"
        )
    if weights != "imagenet" and has_alpha:
        return  # Whether the file is as wide shows when it is loaded.
    if width_multiplier not in traits.pretrained_widths:
        raise ValueError(
            f"`width_multiplier` of {traits.name} must be one of "
            f"{traits.pretrained_widths} with `weights={weights!r}`. "
            f"Received: width_multiplier={width_multiplier}"
        )


def build_application(application, weights, alpha, channels):
    """Builds an application at its own size: its weights and layers fit any other.

    Args:
        application: Function of `keras.applications`.
        weights: `None`, `"imagenet"`, or the path of a file that fits it without its top.
        alpha: Its factor on the number of channels, or `None` where it has none.
        channels: Number of channels of the images that the file is for.

    Returns:
        The `keras.Model`, without its top.

    Raises:
        ValueError: If the file does not fit.
    """
    file = None if weights in (None, "imagenet") else os.fspath(weights)
    arguments = {} if alpha is None else {"alpha": float(alpha)}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="This model usually expects 1 or 3")
        net = application(
            input_shape=(224, 224, channels if file else 3),
            include_top=False,
            weights=None if file else weights,
            **arguments,
        )
    if file:
        setting = "".join(f", {key}={value}" for key, value in arguments.items())
        load_weights(
            net,
            file,
            f"{application.__name__}(include_top=False{setting}) for {channels} channels",
        )
    return net


def _widen(config, multiplier):
    """Scales what counts channels: equal counts stay equal, so that sums still fit."""
    for key in ("filters", "units", "projection_dim"):
        if key in config:
            config[key] = scaled(config[key], multiplier)
    if config.get("groups", 1) > 1:
        config["groups"] = scaled(config["groups"], multiplier)
    if "target_shape" in config:
        config["target_shape"] = (*config["target_shape"][:-1], -1)
    return config


def _stored_normalization(net):
    """Scale and offset that an EfficientNet file brings; no other application has any."""
    (layer,) = (x for x in net.layers if isinstance(x, layers.Normalization))
    mean, variance = (values.ravel() for values in layer.get_weights()[:2])
    deviation = variance**0.5
    if len(variance) == 3 and abs(variance - _DEVIATION).max() < 1e-3:
        # The published files hold the deviation where the variance belongs
        # (https://github.com/tensorflow/tensorflow/issues/49930).
        deviation = variance
    return (1 / (255 * deviation)).tolist(), (-mean / deviation).tolist()
