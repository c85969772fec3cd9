"""Convolutional recurrence over a map, its weights shared by all cells."""

import keras
from keras import layers

from kseg.layers.checking import check_positive
from kseg.layers.recurrence import GRU2D, LSTM2D


@keras.saving.register_keras_serializable(package="kseg.layers")
class ConvLSTM2D(LSTM2D):
    """One step of a convolutional LSTM.

    With a `kernel_size` of 1 it is one LSTM that every cell of the map has for itself,
    with shared weights. `keras.layers.ConvLSTM2D` runs over a whole clip; this one takes
    and gives the state, as a stream of frames and a file for a phone need it.

    Reference:
    - [Convolutional LSTM Network](https://arxiv.org/abs/1506.04214) (NIPS 2015), without
      its peepholes

    Args:
        units: Size of the hidden state of a cell.
        kernel_size: Size of the convolutions of features and state. Defaults to `3`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: List of two tensors: the features of a frame, of shape `(batch, height,
            width, channels)`, and the state that the frame before has left, of shape
            `(batch, height, width, 2 * units)`, zeros at first: hidden state, then cell
            state.

    Output shape:
        `(batch, height, width, 2 * units)`, the new state.

    Raises:
        ValueError: If the state does not fit.
    """

    def __init__(self, units: int, kernel_size: int = 3, **kwargs):
        super().__init__(units, **kwargs)
        check_positive("kernel_size", kernel_size)
        self.kernel_size = kernel_size

    def _map(self, units, use_bias, name):
        return _convolution(self, units, use_bias, name)

    def get_config(self):
        return {**super().get_config(), "kernel_size": self.kernel_size}


@keras.saving.register_keras_serializable(package="kseg.layers")
class ConvGRU2D(GRU2D):
    """One step of a convolutional GRU.

    `z * state + (1 - z) * candidate`, whose gates and candidate are convolutions of the
    features and of the state; the reset gate multiplies the state in front of its
    convolution. With a `kernel_size` of 1 it is one GRU that every cell of the map has
    for itself, with shared weights.

    Reference:
    - [Convolutional Gated Recurrent Networks for Video Segmentation](
      https://arxiv.org/abs/1611.05435) (ICIP 2017)

    Args:
        units: Size of the hidden state of a cell.
        kernel_size: Size of the convolutions of features and state. Defaults to `3`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: List of two tensors: the features of a frame, of shape `(batch, height,
            width, channels)`, and the state that the frame before has left, of shape
            `(batch, height, width, units)`, zeros at first.

    Output shape:
        `(batch, height, width, units)`, the new state.

    Raises:
        ValueError: If the state does not fit.
    """

    def __init__(self, units: int, kernel_size: int = 3, **kwargs):
        super().__init__(units, **kwargs)
        check_positive("kernel_size", kernel_size)
        self.kernel_size = kernel_size

    def _map(self, units, use_bias, name):
        return _convolution(self, units, use_bias, name)

    def get_config(self):
        return {**super().get_config(), "kernel_size": self.kernel_size}


def _convolution(layer, units, use_bias, name):
    return layers.Conv2D(
        units,
        layer.kernel_size,
        padding="same",
        use_bias=use_bias,
        dtype=layer.dtype_policy,
        name=name,
    )
