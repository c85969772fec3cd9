"""Checks of what a user brings: the shape, the weights, the model."""

import os

import keras

# Where a size is open, the strides show at this one.
_PROBE = 256


def check_input_shape(input_shape):
    """Raises a ValueError unless the shape is that of an image a backbone can halve."""
    if len(input_shape) != 3 or any(
        size is not None and size < 32 for size in input_shape[:2]
    ):
        raise ValueError(
            "`input_shape` must be `(height, width, channels)` with a height and a width "
            f"of at least 32, or `None`. Received: input_shape={input_shape}"
        )
    if input_shape[2] is None or input_shape[2] < 1:
        raise ValueError(
            "`input_shape` must end in the number of channels. "
            f"Received: input_shape={input_shape}"
        )


def check_weights(weights):
    """Raises an error unless `weights` are none, those of ImageNet, or in a file."""
    if weights is None:
        return
    if not isinstance(weights, str | os.PathLike):
        raise TypeError(
            '`weights` must be `None`, "imagenet", or the path of a file. '
            f"Received: weights={weights!r} (of type {type(weights).__name__})"
        )
    if weights != "imagenet" and not os.path.isfile(weights):
        raise ValueError(
            '`weights` must be `None`, "imagenet", or the path of a file that exists. '
            f"Received: weights={os.fspath(weights)!r}"
        )


def check_feature_maps(model: keras.Model, input_shape: tuple):
    """Raises a ValueError if `model` does not turn an image into feature maps.

    Args:
        model: The candidate.
        input_shape: Shape of the image that it will get, `(height, width, channels)`.
    """
    outputs = getattr(model, "output", None) if model.built else None
    if not isinstance(outputs, list | tuple) or len(outputs) < 2:
        raise ValueError(
            "`backbone` must be a functional model with two outputs or more, as in "
            "`keras.Model(net.input, [fine, coarse])`. "
            f"Received: backbone={model.name!r} with the output {outputs}"
        )
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        raise ValueError(
            "`backbone` must have one input, `(batch, height, width, channels)`. "
            f"Received: backbone={model.name!r} with the inputs "
            f"{[x.shape for x in model.inputs]}"
        )
    accepted = model.inputs[0].shape[1:]
    if len(input_shape) != 3 or any(
        size is not None and size != given
        for size, given in zip(accepted, input_shape, strict=True)
    ):
        raise ValueError(
            f"`input_shape` must fit the input {accepted} of the backbone "
            f"{model.name!r}. Received: input_shape={input_shape}"
        )
    height, width, channels = input_shape
    shapes = model.compute_output_shape(
        (1, height or _PROBE, width or _PROBE, channels)
    )
    if any(len(shape) != 4 or shape[-1] is None for shape in shapes):
        raise ValueError(
            "`backbone` must have outputs of shape `(batch, height, width, channels)`. "
            f"Received: backbone={model.name!r} with outputs of shape {shapes}"
        )
    for finer, coarser in zip(shapes, shapes[1:], strict=False):
        if finer[1] <= coarser[1] or finer[2] <= coarser[2]:
            raise ValueError(
                "`backbone` must have outputs of falling resolution, finest first. "
                f"Received: backbone={model.name!r} with outputs of shape {shapes} for "
                f"an image of {height or _PROBE}x{width or _PROBE}"
            )


def check_nothing_to_build(
    model: keras.Model,
    input_shape: tuple,
    *,
    weights,
    width_multiplier,
    output_stride,
    rescale,
    **options,
):
    """Raises a ValueError if arguments say how to build a model that is there already.

    Args:
        model: A model that turns an image into feature maps.
        input_shape: Shape of the image that it will get.
        weights: To be `None`.
        width_multiplier: To be 1.
        output_stride: To be that of the model, or 32, the default.
        rescale: To be `True`.
        **options: To be none.
    """
    given = dict(options)
    if weights is not None:
        given["weights"] = weights
    if width_multiplier != 1:
        given["width_multiplier"] = width_multiplier
    if not rescale:
        given["rescale"] = rescale
    if given:
        raise ValueError(
            f"{', '.join(f'`{key}`' for key in given)} must be left out with a "
            "`keras.Model` as the backbone: they are the own business of the model, which "
            "is used as it is. Received: "
            f"{', '.join(f'{key}={value!r}' for key, value in given.items())} "
            f"with backbone={model.name!r}"
        )
    height, width, channels = input_shape
    height, width = height or _PROBE, width or _PROBE
    last = model.compute_output_shape((1, height, width, channels))[-1]
    if output_stride != 32 and any(
        rows not in (size // output_stride, -(-size // output_stride))
        for size, rows in zip((height, width), last[1:3], strict=True)
    ):
        raise ValueError(
            "`output_stride` must be that of the `keras.Model` that is the backbone, "
            f"{round(height / last[1])}. Received: output_stride={output_stride} with "
            f"backbone={model.name!r}"
        )
