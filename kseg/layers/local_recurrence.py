"""Recurrence over a grid of cells, each with weights of its own (STFCN)."""

import keras
from keras import layers, ops

from kseg.layers.recurrence import GRU2D, LSTM2D


@keras.saving.register_keras_serializable(package="kseg.layers")
class LocalLSTM2D(LSTM2D):
    """One step of an LSTM in every cell of a map, with unshared weights.

    A cell sees its own features and its own state alone, so that the layer knows where in
    the image something happens, and works for one size of map. Nothing is copied: the
    cells are the batch of one matrix product.

    `kseg.layers.ConvLSTM2D` with a `kernel_size` of 1 is the same with one set of
    weights for all cells, for maps of any size.

    Reference:
    - [STFCN: Spatio-Temporal FCN for Semantic Video Segmentation](
      https://arxiv.org/abs/1608.05971) (ACCV workshops 2016); the unshared weights and
      their initial values, normal of deviation 0.1, biases 0, are those of its
      published nets

    Args:
        units: Size of the hidden state of a cell.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: List of two tensors: the features of a frame, of shape `(batch, height,
            width, channels)`, and the state that the frame before has left, of shape
            `(batch, height, width, 2 * units)`, zeros at first: hidden state, then cell
            state.

    Output shape:
        `(batch, height, width, 2 * units)`, the new state.

    Raises:
        ValueError: If height or width is not known, or the state does not fit.
    """

    def __init__(self, units: int, **kwargs):
        super().__init__(units, **kwargs)

    def _map(self, units, use_bias, name):
        return LocalDense2D(units, use_bias, name=name, dtype=self.dtype_policy)


@keras.saving.register_keras_serializable(package="kseg.layers")
class LocalGRU2D(GRU2D):
    """One step of a GRU in every cell of a map, with unshared weights.

    As `kseg.layers.LocalLSTM2D`, with three quarters of its weights. It is
    `keras.layers.GRU` with `reset_after=False`: the reset gate comes before the product.

    Args:
        units: Size of the hidden state of a cell.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: List of two tensors: the features of a frame, of shape `(batch, height,
            width, channels)`, and the state that the frame before has left, of shape
            `(batch, height, width, units)`, zeros at first.

    Output shape:
        `(batch, height, width, units)`, the new state.

    Raises:
        ValueError: If height or width is not known, or the state does not fit.
    """

    def __init__(self, units: int, **kwargs):
        super().__init__(units, **kwargs)

    def _map(self, units, use_bias, name):
        return LocalDense2D(units, use_bias, name=name, dtype=self.dtype_policy)


class LocalDense2D(layers.Layer):
    """A dense layer for every cell of a map: a 1x1 convolution of unshared weights."""

    def __init__(self, units, use_bias, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.use_bias = use_bias

    def build(self, input_shape):
        _, height, width, channels = input_shape
        if None in (height, width):
            raise ValueError(
                "Weights of every cell need a map of a known size: give the model a "
                "static height and width, or share the weights. "
                f"Received: features of shape {tuple(input_shape)}"
            )
        self._grid = height, width
        self.kernel = self.add_weight(
            shape=(height * width, channels, self.units),
            initializer=keras.initializers.RandomNormal(stddev=0.1),
            name="kernel",
        )
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(height, width, self.units), initializer="zeros", name="bias"
            )

    def call(self, inputs):
        height, width = self._grid
        channels = self.kernel.shape[1]
        x = ops.transpose(inputs, (1, 2, 0, 3))
        x = ops.reshape(x, (height * width, -1, channels))
        x = ops.reshape(ops.matmul(x, self.kernel), (height, width, -1, self.units))
        x = ops.transpose(x, (2, 0, 1, 3))
        return x + self.bias if self.use_bias else x

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "use_bias": self.use_bias,
        }
