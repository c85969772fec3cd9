"""Equations of the LSTM and the GRU over a grid of cells, one step in time."""

from keras import layers, ops

from kseg.layers.checking import check_positive


class Recurrence2D(layers.Layer):
    """One step of a recurrence: the state of every cell from its features.

    Subclasses of this module have the equation, their own subclasses the linear maps
    `_map(units, use_bias, name)`, which lead from a grid of vectors to another.
    """

    state_size = 1  # Channels of the state, in units.

    def __init__(self, units: int, **kwargs):
        super().__init__(**kwargs)
        check_positive("units", units)
        self.units = units

    def build(self, input_shape):
        _check_shapes(input_shape, self.state_size * self.units)
        features, state = input_shape
        hidden = (*state[:-1], self.units)
        for name, (units, use_bias, of_features) in self._maps().items():
            layer = self._map(units, use_bias, name)
            layer.build(features if of_features else hidden)
            setattr(self, name, layer)

    def compute_output_shape(self, input_shape):
        features, _ = input_shape
        return (*features[:-1], self.state_size * self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class LSTM2D(Recurrence2D):
    """The LSTM; its gates are in the order of Keras: input, forget, cell, output."""

    state_size = 2

    def _maps(self):
        return {
            "input_map": (4 * self.units, True, True),
            "recurrent_map": (4 * self.units, False, False),
        }

    def call(self, inputs):
        features, state = inputs
        hidden, cell = _pieces(state, 2)
        gates = self.input_map(features) + self.recurrent_map(hidden)
        i, f, c, o = _pieces(gates, 4)
        cell = ops.sigmoid(f) * cell + ops.sigmoid(i) * ops.tanh(c)
        hidden = ops.sigmoid(o) * ops.tanh(cell)
        return ops.concatenate([hidden, cell], axis=-1)


class GRU2D(Recurrence2D):
    """The GRU whose reset gate comes first; gates: update, reset, candidate."""

    def _maps(self):
        return {
            "input_map": (3 * self.units, True, True),
            "gate_map": (2 * self.units, False, False),
            "candidate_map": (self.units, False, False),
        }

    def call(self, inputs):
        features, state = inputs
        z_in, r_in, c_in = _pieces(self.input_map(features), 3)
        z_state, r_state = _pieces(self.gate_map(state), 2)
        z, r = ops.sigmoid(z_in + z_state), ops.sigmoid(r_in + r_state)
        candidate = ops.tanh(c_in + self.candidate_map(r * state))
        return z * state + (1 - z) * candidate


def _pieces(x, count):
    """Equal shares of the channels; by slices, as a phone's GPU has no SPLIT."""
    size = x.shape[-1] // count
    return [x[..., i * size : (i + 1) * size] for i in range(count)]


def _check_shapes(input_shape, channels):
    pair = isinstance(input_shape, list | tuple) and len(input_shape) == 2
    if not pair or any(
        not isinstance(shape, list | tuple) or len(shape) != 4 for shape in input_shape
    ):
        raise ValueError(
            "`inputs` must be a list of the features and the state, both of shape "
            f"`(batch, height, width, channels)`. Received: inputs of shape {input_shape}"
        )
    features, state = (tuple(shape) for shape in input_shape)
    if state[-1] != channels or any(
        None not in (a, b) and a != b
        for a, b in zip(features[1:3], state[1:3], strict=True)
    ):
        expected = (None, *features[1:3], channels)
        raise ValueError(
            f"The state must be of shape {expected}, for features of shape {features}. "
            f"Received: state of shape {state}"
        )
