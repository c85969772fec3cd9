"""Models at other sizes: before the last upsampling, and for a camera's images."""

import keras
from keras import layers

from kseg.models import split

# Layers that enlarge scores and change nothing else, and those that may follow them.
_UPSAMPLERS = {"BilinearUpsampling2D", "Resizing", "ResizingLike2D", "UpSampling2D"}
_POINTWISE = {"Activation", "Dropout", "Identity", "Softmax"}


def before_upsampling(network: keras.Model) -> keras.Model:
    """Returns a model whose scores have the resolution that the net computes them at.

    Args:
        network: A functional model of one image and one output; models inside of it are
            looked into.

    Returns:
        A model over the same layers without the upsampling at its end; an activation
        behind that stays.

    Raises:
        ValueError: If it does not end in an upsampling.
    """
    (inlined,) = split(network, [])
    x, low = inlined.outputs[0], None
    behind, passed = [], []  # activations behind the first upsampling, and since it
    while True:
        layer, node, _ = x._keras_history
        kind = type(layer).__name__
        if kind in _UPSAMPLERS and getattr(layer, "padding", "same") == "same":
            low = layer._inbound_nodes[node].input_tensors[0]
            behind, passed = behind + passed, []
        elif kind in _POINTWISE:
            passed.append(layer)
        else:
            break
        x = layer._inbound_nodes[node].input_tensors[0]
    if low is None:
        raise ValueError(
            "`output='category_mask_low'` needs a model that ends in an upsampling, such "
            "as keras.layers.Resizing or UpSampling2D, with at most an activation behind "
            'it; "category_mask" chooses the class at the input\'s size. '
            f"Received: {network.name!r}, which ends in {layer.name!r} of type {kind}"
        )
    for layer in reversed(behind):
        low = layer(low)
    return keras.Model(inlined.inputs[0], low, name=network.name)


def for_camera(
    network: keras.Model,
    size: tuple[int, int],
    camera_size: tuple[int, int],
    resize_scores: bool = True,
) -> keras.Model:
    """Returns a model that takes images of a camera's size and resizes them itself.

    A larger image is first averaged over whole blocks, as large as divide it evenly,
    then resized (bilinear): else a net would see every fourth pixel of a photo, and
    nothing of those between.

    Args:
        network: A functional model of one image and one output.
        size: `(height, width)` at which the net works.
        camera_size: `(height, width)` of the images.
        resize_scores: Whether the output too gets the camera's size.
    """
    image = keras.Input(
        (*camera_size, network.inputs[0].shape[-1]), name="camera_image"
    )
    block = tuple(
        max(n for n in range(1, max(1, large // small) + 1) if large % n == 0)
        for large, small in zip(camera_size, size, strict=True)
    )
    x = image
    if block != (1, 1):
        x = layers.AveragePooling2D(block, name="camera_blocks")(x)
    if x.shape[1:3] != size:
        x = layers.Resizing(*size, name="camera_resized")(x)
    scores = network(x)
    if resize_scores and camera_size != size:
        scores = layers.Resizing(*camera_size, name="camera_scores")(scores)
    return keras.Model(image, scores, name=network.name)
