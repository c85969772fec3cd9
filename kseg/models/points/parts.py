"""What the networks for point clouds share: checked inputs, and shared MLPs."""

from numbers import Integral

import keras
from keras import layers

from kseg.layers.checking import check_dropout_rate, check_positive
from kseg.models import head


def check_arguments(num_classes, activation, dropout_rate):
    """Raises an error for classes, an activation or a rate that no network has."""
    head.check_classes(num_classes, activation)
    check_dropout_rate(dropout_rate)


def check_input_shape(input_shape, meaning, channels, exactly=True, least=1):
    """Raises an error for a cloud that the network does not take.

    Args:
        input_shape: To be `(points, channels)`; the number of points may be `None`.
        meaning: What the channels are, for the error.
        channels: Number of channels.
        exactly: Whether there may be no more channels.
        least: Smallest number of points.
    """
    if not isinstance(input_shape, tuple | list):
        raise TypeError(
            "`input_shape` must be `(points, channels)`. Received: "
            f"input_shape={input_shape!r} (of type {type(input_shape).__name__})"
        )
    if not all(size is None or isinstance(size, Integral) for size in input_shape):
        raise TypeError(
            "`input_shape` must be integers; the number of points may be `None`. "
            f"Received: input_shape={input_shape}"
        )
    if (
        len(input_shape) != 2
        or input_shape[1] is None
        or input_shape[1] < channels
        or (exactly and input_shape[1] > channels)
    ):
        raise ValueError(
            f"`input_shape` must be `(points, {channels})`, without the batch, with "
            f"{meaning}{'' if exactly else ' first'}. "
            f"Received: input_shape={input_shape}"
        )
    if input_shape[0] is not None and input_shape[0] < least:
        raise ValueError(
            f"`input_shape` must have at least {least} points, or `None`. "
            f"Received: input_shape={input_shape}"
        )


def category_input(num_categories):
    """Returns the input of the category of an object, one-hot."""
    check_positive("num_categories", num_categories)
    return keras.Input((num_categories,), name="category")


def shared_mlp(x, filters, name, dropout_rate=0.0):
    """Convolutions of kernel size 1 over points, or dense layers on vectors.

    Each has a bias, BatchNorm and ReLU, as the papers' code does, and then dropout.

    Args:
        x: Tensor of shape `(batch, points, channels)` or `(batch, channels)`.
        filters: One number per layer.
        name: Beginning of the names.
        dropout_rate: Rate of the dropout behind each layer; 0 for none.
    """
    for i, number in enumerate(filters, 1):
        if len(x.shape) == 2:
            x = layers.Dense(number, name=f"{name}_dense{i}")(x)
        else:
            x = layers.Conv1D(number, 1, name=f"{name}_conv{i}")(x)
        x = normalized(x, f"{name}{i}")
        if dropout_rate:
            x = layers.Dropout(dropout_rate, name=f"{name}_dropout{i}")(x)
    return x


def normalized(x, name):
    """BatchNorm and ReLU."""
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
