"""How a finished network is applied to photos: what its scores are, and its input size."""

_PROBABILITIES = {"softmax", "sigmoid"}
# Layers that move scores about without making logits of probabilities or back.
_MOVERS = {
    "Cropping2D",
    "Dropout",
    "Identity",
    "Permute",
    "Reshape",
    "Resizing",
    "ResizingLike2D",
    "UpSampling2D",
}
# A network that takes any size gets the photo with at most this long side, in steps of
# the deepest stride that backbones have.
_LONG_SIDE, _STEP = 512, 32


def photo_size(size):
    """Returns at which size a network that takes any size sees a photo.

    Args:
        size: `(height, width)` of the photo.

    Returns:
        `(height, width)` of nearly the same proportions, the long side at most 512,
        both multiples of 32.
    """
    scale = min(1.0, _LONG_SIDE / max(size))
    return tuple(max(_STEP, round(side * scale / _STEP) * _STEP) for side in size)


def output_kind(model) -> str | None:
    """Tells whether a model ends in probabilities or in logits.

    Follows the output back, through layers that only move scores about, to a layer
    that is named so or has an activation.

    Args:
        model: A Keras model.

    Returns:
        `"probabilities"`, `"logits"`, or `None` where the graph does not tell.
    """
    layer = _last_layer(model)
    if layer is None:
        return None
    if layer.name in ("probabilities", "logits"):
        return layer.name
    activation = getattr(layer, "activation", None)
    activation = getattr(activation, "__name__", type(layer).__name__.lower())
    if activation in _PROBABILITIES:
        return "probabilities"
    return "logits" if activation == "linear" else None


def _last_layer(model):
    if not getattr(model, "outputs", None):
        return None
    tensor = model.outputs[0]
    while True:
        layer, node, index = tensor._keras_history
        if getattr(layer, "outputs", None):  # a model inside the model
            tensor = layer.outputs[index]
        elif type(layer).__name__ in _MOVERS and layer.name not in (
            "probabilities",
            "logits",
        ):
            tensor = layer._inbound_nodes[node].input_tensors[0]
        else:
            return layer
