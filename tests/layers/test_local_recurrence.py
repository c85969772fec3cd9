"""Recurrence with weights of every cell; Keras' own layers, torch and NumPy know it."""

import keras
import numpy as np
import pytest
from keras import ops

from kseg.layers import ConvGRU2D, ConvLSTM2D, LocalGRU2D, LocalLSTM2D

UNITS, CHANNELS, GRID, FRAMES = 4, 3, (2, 3), 5
LAYERS = {"lstm": LocalLSTM2D, "gru": LocalGRU2D}
every_cell = pytest.mark.parametrize("cell", LAYERS)


def clip(batch=2):
    rng = np.random.default_rng(0)
    return rng.normal(size=(batch, FRAMES, *GRID, CHANNELS)).astype("float32")


def run(layer, frames, state=None):
    """States behind all frames, one call of the layer after the other."""
    if state is None:
        state = np.zeros((len(frames), *GRID, layer.state_size * UNITS), "float32")
    states = []
    for t in range(frames.shape[1]):
        state = ops.convert_to_numpy(layer([frames[:, t], state]))
        states.append(state)
    return np.stack(states, 1)


def built(layer_class, **arguments):
    layer = layer_class(UNITS, **arguments)
    layer.build(
        [(None, *GRID, CHANNELS), (None, *GRID, layer_class.state_size * UNITS)]
    )
    rng = np.random.default_rng(1)
    for weight in layer.weights:  # Biases too.
        weight.assign(rng.normal(0, 0.4, weight.shape))
    return layer


def tied(layer):
    """The weights of the first cell, copied to all of them."""
    for weight in layer.weights:
        value = weight.numpy()
        if "bias" in weight.path:
            weight.assign(np.broadcast_to(value[:1, :1], value.shape))
        else:
            weight.assign(np.broadcast_to(value[:1], value.shape))
    return layer


def weights_of_cell(layer, index):
    """Input kernel, recurrent kernel and bias of a cell, as Keras' layers have them."""
    row, column = divmod(index, GRID[1])
    kernel, bias = layer.input_map.get_weights()
    if isinstance(layer, LocalLSTM2D):
        (recurrent,) = layer.recurrent_map.get_weights()
    else:
        parts = [*layer.gate_map.get_weights(), *layer.candidate_map.get_weights()]
        recurrent = np.concatenate(parts, -1)
    return kernel[index], recurrent[index], bias[row, column]


def keras_layer(cell):
    if cell == "lstm":
        return keras.layers.LSTM(UNITS, return_sequences=True)
    return keras.layers.GRU(UNITS, return_sequences=True, reset_after=False)


@every_cell
def test_tied_weights_are_one_layer_of_keras_over_all_cells(cell):
    layer, frames = tied(built(LAYERS[cell])), clip()
    oracle = keras_layer(cell)
    oracle.build((None, FRAMES, CHANNELS))
    oracle.set_weights(weights_of_cell(layer, 0))
    sequences = frames.transpose(0, 2, 3, 1, 4).reshape(-1, FRAMES, CHANNELS)
    expected = ops.convert_to_numpy(oracle(sequences))
    expected = expected.reshape(2, *GRID, FRAMES, UNITS).transpose(0, 3, 1, 2, 4)
    np.testing.assert_allclose(run(layer, frames)[..., :UNITS], expected, atol=1e-6)


@every_cell
def test_weights_of_their_own_are_one_layer_of_keras_per_cell(cell):
    layer, frames = built(LAYERS[cell]), clip()
    states = run(layer, frames)
    for index in range(GRID[0] * GRID[1]):
        row, column = divmod(index, GRID[1])
        oracle = keras_layer(cell)
        oracle.build((None, FRAMES, CHANNELS))
        oracle.set_weights(weights_of_cell(layer, index))
        expected = ops.convert_to_numpy(oracle(frames[:, :, row, column]))
        np.testing.assert_allclose(
            states[:, :, row, column, :UNITS], expected, atol=1e-6
        )


def test_lstm_is_the_cell_of_torch():
    torch = pytest.importorskip("torch", reason="needs `make oracles`")
    layer, frames = built(LocalLSTM2D), clip()
    states = run(layer, frames)
    for index in range(GRID[0] * GRID[1]):
        row, column = divmod(index, GRID[1])
        kernel, recurrent, bias = weights_of_cell(layer, index)
        oracle = torch.nn.LSTMCell(CHANNELS, UNITS)  # Gates i, f, g, o: the same order.
        oracle.load_state_dict(
            {
                "weight_ih": torch.tensor(kernel.T),
                "weight_hh": torch.tensor(recurrent.T),
                "bias_ih": torch.tensor(bias),
                "bias_hh": torch.zeros(4 * UNITS),
            }
        )
        state = None
        for t in range(FRAMES):
            state = oracle(torch.tensor(frames[:, t, row, column]), state)
            expected = torch.cat(state, -1).detach().numpy()
            np.testing.assert_allclose(states[:, t, row, column], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("local", "shared"),
    [(LocalLSTM2D, ConvLSTM2D), (LocalGRU2D, ConvGRU2D)],
    ids=["lstm", "gru"],
)
def test_tied_weights_are_the_shared_layer(local, shared):
    local, frames = tied(built(local)), clip()
    shared = built(shared, kernel_size=1)
    for mine, theirs in zip(shared.weights, local.weights, strict=True):
        value = theirs.numpy()
        mine.assign(value[0, 0] if "bias" in mine.path else value[:1][None])
    np.testing.assert_allclose(run(local, frames), run(shared, frames), atol=1e-6)


@every_cell
def test_first_step_has_the_closed_form(cell):
    layer, frames = built(LAYERS[cell]), clip(1)
    state = run(layer, frames[:, :1])[0, 0]
    kernel, bias = layer.input_map.get_weights()
    sums = np.einsum("yxc,yxcg->yxg", frames[0, 0], kernel.reshape(*GRID, CHANNELS, -1))
    gates = np.split(sums + bias, 4 if cell == "lstm" else 3, -1)

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    if cell == "lstm":
        inward, _, candidate, outward = gates
        memory = sigmoid(inward) * np.tanh(candidate)
        expected = np.concatenate([sigmoid(outward) * np.tanh(memory), memory], -1)
    else:
        update, _, candidate = gates
        expected = (1 - sigmoid(update)) * np.tanh(candidate)
    np.testing.assert_allclose(state, expected, atol=1e-6)


@every_cell
def test_a_cell_sees_no_other(cell):
    layer, frames = built(LAYERS[cell]), clip()
    changed = frames.copy()
    changed[:, 0, 1, 2] += 1
    difference = np.abs(run(layer, changed) - run(layer, frames)).max((0, 1, 4))
    assert difference[1, 2] > 1e-3
    difference[1, 2] = 0
    assert not difference.any()


@every_cell
def test_pieces_of_a_clip_give_what_the_whole_gives(cell):
    layer, frames = built(LAYERS[cell]), clip()
    whole = run(layer, frames)
    first = run(layer, frames[:, :2])
    rest = run(layer, frames[:, 2:], first[:, -1])
    np.testing.assert_array_equal(np.concatenate([first, rest], 1), whole)
    again = run(layer, frames[:, 2:])  # From zeros.
    assert np.abs(again - rest).max() > 1e-3


@pytest.mark.parametrize(
    ("layer", "channels", "units", "count"),
    [
        (LocalLSTM2D, 4096, 30, 495_240),
        (LocalLSTM2D, 4096, 100, 1_678_800),
        (LocalGRU2D, 4096, 30, 371_430),
    ],
    ids=["vgg", "alexnet", "gru"],
)
def test_number_of_parameters_of_a_cell(layer, channels, units, count):
    """The published nets have 169 cells of 4096 -> 30, and 49 of 4096 -> 100."""
    layer = layer(units)
    layer.build([(None, 1, 2, channels), (None, 1, 2, layer.state_size * units)])
    assert layer.count_params() == 2 * count


def test_weights_start_as_published():
    layer = LocalLSTM2D(8)
    layer.build([(None, 4, 5, 20), (None, 4, 5, 16)])
    kernel, bias = layer.input_map.get_weights()
    for values in (kernel, *layer.recurrent_map.get_weights()):
        # Five standard deviations of what a sample of this size has.
        margin = 5 * 0.1 / values.size**0.5
        np.testing.assert_allclose(values.mean(), 0, atol=margin)
        np.testing.assert_allclose(values.std(), 0.1, atol=margin)
    assert not bias.any()


def test_a_map_of_open_size_has_no_cells_to_give_weights_to():
    with pytest.raises(ValueError, match="known size.*Received: features of shape"):
        LocalLSTM2D(4)(
            [keras.Input((None, None, 3), name="x"), keras.Input((None, None, 8))]
        )


@pytest.mark.parametrize(
    "state", [(2, *GRID, UNITS), (2, 3, 2, 2 * UNITS)], ids=["channels", "size"]
)
def test_state_that_does_not_fit(state):
    with pytest.raises(
        ValueError,
        match=r"must be of shape \(None, 2, 3, 8\).*Received: state of shape",
    ):
        LocalLSTM2D(UNITS)([np.zeros((2, *GRID, CHANNELS)), np.zeros(state)])


def test_state_that_is_missing():
    with pytest.raises(ValueError, match="list of the features and the state"):
        LocalLSTM2D(UNITS)(np.zeros((2, *GRID, CHANNELS)))
