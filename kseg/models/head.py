"""What every network begins and ends with: checked arguments, and its outputs."""

from keras import layers

from kseg.layers import ResizingLike2D

_ACTIVATIONS = ("softmax", "sigmoid", None)


def check_arguments(input_shape, num_classes, activation, min_size):
    """Raises a ValueError or TypeError for arguments that no network can be built of.

    Args:
        input_shape: To be `(height, width, channels)`; height and width may be `None`.
        num_classes: To be a positive integer.
        activation: To be `"softmax"`, `"sigmoid"` or `None`.
        min_size: Smallest height and width that the network can take.
    """
    if len(input_shape) != 3 or input_shape[2] is None:
        raise ValueError(
            "`input_shape` must be `(height, width, channels)`, where height and width "
            f"may be `None`. Received: input_shape={input_shape}"
        )
    if any(size is not None and size < min_size for size in input_shape[:2]):
        raise ValueError(
            f"`input_shape` must have a height and a width of at least {min_size}. "
            f"Received: input_shape={input_shape}"
        )
    if num_classes < 1:
        raise ValueError(
            "`num_classes` must be a positive integer. "
            f"Received: num_classes={num_classes}"
        )
    if activation not in _ACTIVATIONS:
        raise ValueError(
            f"`activation` must be one of {_ACTIVATIONS}. "
            f"Received: activation={activation!r}"
        )
    if num_classes == 1 and activation == "softmax":
        raise ValueError(
            'With a single class `activation` must be "sigmoid" or `None`: the softmax '
            "of one score is always 1. "
            f"Received: num_classes={num_classes}, activation={activation!r}"
        )


def outputs(scores, activation, like=None):
    """Turns class scores into the outputs of a network, float32 under every policy.

    Args:
        scores: Tensor of shape `(batch, height, width, num_classes)`.
        activation: `"softmax"`, `"sigmoid"`, or `None` for logits.
        like: Tensor whose height and width the outputs get, or `None` to keep those of
            `scores`.

    Returns:
        The tensor of the last layer, which is named `"probabilities"`, or `"logits"`
        without an activation.
    """
    if like is None:
        logits = layers.Activation("linear", dtype="float32", name="logits")(scores)
    else:
        logits = ResizingLike2D(dtype="float32", name="logits")([scores, like])
    if activation is None:
        return logits
    return layers.Activation(activation, dtype="float32", name="probabilities")(logits)
