"""From scores at a network's size to class ids at the frame's."""

import keras
from keras import layers, ops


class _Category(layers.Layer):
    """Class ids of probabilities: the likeliest, or of one class above 0.5."""

    def call(self, probabilities):
        classes = probabilities.shape[-1]
        if classes == 1:
            return ops.cast(probabilities[..., 0] > 0.5, "uint8")
        ids = ops.argmax(probabilities, axis=-1)
        return ops.cast(ids, "uint8" if classes <= 256 else "int32")


def mask_model(shape, size, is_logits):
    """Makes the last step of a stream: probabilities, resized, then compared.

    Args:
        shape: Shape of the scores, `(1, height, width, num_classes)`.
        size: `(height, width)` of the masks.
        is_logits: Whether the scores are logits.

    Returns:
        A model from scores to class ids of shape `(1, *size)`.
    """
    x = scores = keras.Input(batch_shape=shape)
    if is_logits:
        x = layers.Activation("sigmoid" if shape[-1] == 1 else "softmax")(x)
    if tuple(shape[1:3]) != tuple(size):
        x = layers.Resizing(*size, antialias=min(size) < min(shape[1:3]))(x)
    return keras.Model(scores, _Category()(x))
