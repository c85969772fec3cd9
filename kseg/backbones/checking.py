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
