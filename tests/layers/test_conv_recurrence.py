"""Convolutional recurrence; Keras' layer over clips and torch's convolutions know it."""

import keras
import numpy as np
import pytest
from keras import ops

from kseg.layers import ConvGRU2D, ConvLSTM2D

UNITS, CHANNELS, SIZE, FRAMES = 4, 3, (5, 7), 4


def clip():
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, FRAMES, *SIZE, CHANNELS)).astype("float32")


def built(layer_class, kernel_size):
    layer = layer_class(UNITS, kernel_size)
    layer.build(
        [(None, *SIZE, CHANNELS), (None, *SIZE, layer_class.state_size * UNITS)]
    )
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(rng.normal(0, 0.3, weight.shape))
    return layer


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_lstm_is_that_of_keras_over_a_clip(kernel_size):
    layer, frames = built(ConvLSTM2D, kernel_size), clip()
    oracle = keras.layers.ConvLSTM2D(
        UNITS,
        kernel_size,
        padding="same",
        recurrent_activation="sigmoid",
        return_sequences=True,
        return_state=True,
    )
    oracle.build((None, *frames.shape[1:]))
    kernel, bias = layer.input_map.get_weights()
    oracle.set_weights([kernel, *layer.recurrent_map.get_weights(), bias])
    expected, *last = oracle(frames)
    state = np.zeros((2, *SIZE, 2 * UNITS), "float32")
    for t in range(FRAMES):
        state = layer([frames[:, t], state])
        np.testing.assert_allclose(
            ops.convert_to_numpy(state)[..., :UNITS],
            ops.convert_to_numpy(expected)[:, t],
            atol=1e-6,
        )
        state = ops.convert_to_numpy(state)
    last = np.concatenate([ops.convert_to_numpy(x) for x in last], -1)
    np.testing.assert_allclose(state, last, atol=1e-6)


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_gru_is_its_equation_in_torch(kernel_size):
    torch = pytest.importorskip("torch", reason="needs `make oracles`")
    layer, frames = built(ConvGRU2D, kernel_size), clip()
    kernel, bias = layer.input_map.get_weights()
    (gates,), (candidate,) = (
        layer.gate_map.get_weights(),
        layer.candidate_map.get_weights(),
    )

    def conv(x, kernel, bias=None):
        kernel = torch.tensor(kernel).permute(3, 2, 0, 1)
        bias = None if bias is None else torch.tensor(bias)
        return torch.nn.functional.conv2d(x, kernel, bias, padding=kernel_size // 2)

    expected = torch.zeros((2, UNITS, *SIZE))
    state = np.zeros((2, *SIZE, UNITS), "float32")
    for t in range(FRAMES):
        x = torch.tensor(frames[:, t]).permute(0, 3, 1, 2)
        x_z, x_r, x_c = conv(x, kernel, bias).split(UNITS, 1)
        h_z, h_r = conv(expected, gates).split(UNITS, 1)
        z, r = torch.sigmoid(x_z + h_z), torch.sigmoid(x_r + h_r)
        new = torch.tanh(x_c + conv(r * expected, candidate))
        expected = z * expected + (1 - z) * new
        state = ops.convert_to_numpy(layer([frames[:, t], state]))
        np.testing.assert_allclose(
            state, expected.permute(0, 2, 3, 1).numpy(), atol=1e-6
        )


@pytest.mark.parametrize(
    ("layer", "kernel_size", "count"),
    [
        (ConvLSTM2D, 1, 495_240),
        (ConvLSTM2D, 3, 4_456_200),
        (ConvGRU2D, 1, 371_430),
    ],
    ids=["lstm_1", "lstm_3", "gru_1"],
)
def test_number_of_parameters(layer, kernel_size, count):
    layer = layer(30, kernel_size)
    layer.build([(None, None, None, 4096), (None, None, None, layer.state_size * 30)])
    assert layer.count_params() == count


@pytest.mark.parametrize("layer", [ConvLSTM2D, ConvGRU2D])
def test_state_that_does_not_fit(layer):
    with pytest.raises(ValueError, match="Received: state of shape"):
        layer(4)([np.zeros((1, 5, 7, 3)), np.zeros((1, 5, 7, 3))])


@pytest.mark.parametrize(
    "arguments", [{"units": 0}, {"units": 4, "kernel_size": 0}], ids=str
)
def test_values(arguments):
    with pytest.raises(ValueError, match="must be positive"):
        ConvLSTM2D(**arguments)
