"""What every network begins and ends with: checked arguments, and its outputs."""

from numbers import Integral, Real

from keras import layers

from kseg.layers import ResizingLike2D


def check_classes(num_classes, activation):
    """Raises an error for classes and an activation that do not go together.

    Args:
        num_classes: To be a positive integer.
        activation: To be `"softmax"`, `"sigmoid"` or `None`.
    """
    if not isinstance(num_classes, Integral) or isinstance(num_classes, bool):
        raise TypeError(
            "`num_classes` must be an integer. "
            f"Received: num_classes={num_classes!r} (of type {type(num_classes).__name__})"
        )
    if num_classes < 1:
        raise ValueError(
            f"`num_classes` must be positive. Received: num_classes={num_classes}"
        )
    if activation not in ("softmax", "sigmoid", None):
        raise ValueError(
            '`activation` must be "softmax", "sigmoid" or `None`. '
            f"Received: activation={activation!r}"
        )
    if num_classes == 1 and activation == "softmax":
        raise ValueError(
            '`activation` must be "sigmoid", or `None` for logits, with one class: the '
            "softmax of a single score is 1 everywhere. "
            f"Received: activation={activation!r}, num_classes={num_classes}"
        )


def check_input_shape(input_shape, min_size):
    """Raises an error for an image that is no image, or too small for the network.

    Args:
        input_shape: To be `(height, width, channels)`; height and width may be `None`.
        min_size: Smallest height and width that the network takes.
    """
    if not isinstance(input_shape, tuple | list):
        raise TypeError(
            "`input_shape` must be `(height, width, channels)`. "
            f"Received: input_shape={input_shape!r} (of type {type(input_shape).__name__})"
        )
    sizes = [size for size in input_shape if size is not None]
    if not all(isinstance(size, Integral) for size in sizes):
        raise TypeError(
            "`input_shape` must be integers; height and width may be `None`. "
            f"Received: input_shape={input_shape}"
        )
    if len(input_shape) != 3 or input_shape[2] is None or input_shape[2] < 1:
        raise ValueError(
            "`input_shape` must be `(height, width, channels)`, without the batch; height "
            f"and width may be `None`. Received: input_shape={input_shape}"
        )
    if any(size is not None and size < min_size for size in input_shape[:2]):
        raise ValueError(
            f"`input_shape` must have a height and a width of at least {min_size}, or "
            f"`None`. Received: input_shape={input_shape}"
        )


def scaled(filters, width_multiplier):
    """Returns a sequence of numbers of filters times a factor, rounded, at least 1."""
    if not isinstance(width_multiplier, Real):
        raise TypeError(
            "`width_multiplier` must be a number. "
            f"Received: width_multiplier={width_multiplier!r}"
        )
    if width_multiplier <= 0:
        raise ValueError(
            "`width_multiplier` must be positive. "
            f"Received: width_multiplier={width_multiplier}"
        )
    for number in filters:
        if not isinstance(number, Integral):
            raise TypeError(
                f"`filters` must be integers. Received: filters={filters!r}"
            )
        if number < 1:
            raise ValueError(
                f"`filters` must be positive. Received: filters={filters!r}"
            )
    return [max(1, round(number * width_multiplier)) for number in filters]


def outputs(scores, activation, like=None, prefix=""):
    """Turns class scores into the outputs of a network, float32 under every policy.

    Args:
        scores: Tensor of shape `(batch, height, width, num_classes)`.
        activation: `"softmax"`, `"sigmoid"`, or `None` for logits.
        like: Tensor whose height and width the outputs get, or `None` to keep those of
            `scores`.
        prefix: Beginning of the names, for outputs beside the first.

    Returns:
        The output of a layer named `"probabilities"` over one named `"logits"`, or of the
        latter without an activation.
    """
    if like is None:
        logits = layers.Activation("linear", dtype="float32", name=f"{prefix}logits")(
            scores
        )
    else:
        logits = ResizingLike2D(dtype="float32", name=f"{prefix}logits")([scores, like])
    if activation is None:
        return logits
    return layers.Activation(
        activation, dtype="float32", name=f"{prefix}probabilities"
    )(logits)
