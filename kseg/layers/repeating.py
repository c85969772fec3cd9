"""Parts of clouds: one vector for all points, some channels of each."""

import keras
from keras import layers, ops

from kseg.layers.point_checking import check_finite


@keras.saving.register_keras_serializable(package="kseg.layers")
class RepeatLike1D(layers.Layer):
    """Repeats a vector for every point of a cloud.

    As `keras.layers.RepeatVector`, but for a number of points that need not be known.

    Args:
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: List of the vector `(batch, channels)` and the cloud `(batch, points, any)`
            whose number of points the output gets.

    Output shape:
        `(batch, points, channels)`.

    Raises:
        ValueError: If, called eagerly, a point of the cloud is not finite.
    """

    def call(self, inputs):
        vector, like = inputs
        check_finite("like", like)
        return ops.tile(vector[:, None], (1, ops.shape(like)[1], 1))

    def compute_output_shape(self, input_shape):
        vector, like = input_shape
        return (vector[0], like[1], vector[-1])


@keras.saving.register_keras_serializable(package="kseg.layers")
class ChannelSlice(layers.Layer):
    """Keeps the channels from `start` to before `stop`, as `inputs[..., start:stop]`.

    Args:
        start: First channel to keep.
        stop: Channel before which to stop, or `None` for the end. Defaults to `None`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: Tensor of shape `(..., channels)`.

    Output shape:
        `(..., stop - start)`.

    Raises:
        ValueError: If no channel is left.
    """

    def __init__(self, start: int, stop: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.start = start
        self.stop = stop

    def call(self, inputs):
        self.compute_output_shape(inputs.shape)
        return inputs[..., self.start : self.stop]

    def compute_output_shape(self, input_shape):
        kept = len(range(input_shape[-1])[self.start : self.stop])
        if not kept:
            raise ValueError(
                "`start` and `stop` must leave a channel. Received: "
                f"start={self.start}, stop={self.stop}, "
                f"inputs.shape={tuple(input_shape)}"
            )
        return (*input_shape[:-1], kept)

    def get_config(self):
        return {**super().get_config(), "start": self.start, "stop": self.stop}
