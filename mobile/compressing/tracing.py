"""Takes a Keras 3 model apart, down to the operations of `keras.ops`.

Nothing here knows the layers of kseg or of keras.applications by name: a layer is what its
`call` does to symbolic tensors.
"""

import functools
import inspect
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from kseg.mobile.exporting.parity import ExportError


class Call(NamedTuple):
    """One operation of a model.

    Attributes:
        operation: A `keras.Operation` without weights of its own.
        args: Its arguments: tensors of the graph, and constants.
        kwargs: The arguments by name.
        output: The tensor that it makes.
    """

    operation: keras.Operation
    args: tuple
    kwargs: dict
    output: keras.KerasTensor

    @property
    def kind(self) -> str:
        """Name of the operation: `"Conv"`, `"Relu6"`, `"Resizing"`, …"""
        return _kind(self.operation)

    @property
    def tensors(self) -> list[keras.KerasTensor]:
        """The tensors of the graph among its arguments."""
        flat = keras.tree.flatten((self.args, self.kwargs))
        return [x for x in flat if isinstance(x, keras.KerasTensor)]


def _hard_sigmoid(x):
    return ops.relu6(x + 3.0) * (1 / 6)


def _batch_norm(operation, x, mean, variance, offset=None, scale=None):
    mean, variance = map(array_of, (mean, variance))
    factor = (1.0 if scale is None else array_of(scale)) / np.sqrt(
        variance + operation.epsilon
    )
    return x * factor + ((0.0 if offset is None else array_of(offset)) - mean * factor)


class Conv(keras.Operation):
    """A grouped convolution, which `keras.ops.conv` refuses for symbolic tensors."""

    def __init__(self, layer):
        super().__init__()
        self.strides, self.padding = layer.strides, layer.padding
        self.dilation_rate = layer.dilation_rate
        self._output_shape = layer.compute_output_shape

    def call(self, x, kernel):
        return ops.conv(
            x, kernel, self.strides, self.padding, dilation_rate=self.dilation_rate
        )

    def compute_output_spec(self, x, kernel):
        return keras.KerasTensor(self._output_shape(x.shape), x.dtype)


def _grouped(layer, x):
    x = Conv(layer)(x, layer.kernel)
    return layer.activation(x + layer.bias if layer.use_bias else x)


# What is taken apart further. XNNPACK has no 8-bit kernel for the whole of an activation,
# so that the net would leave the processor's fast path there; LiteRT has none for the
# others, whose parts need a range each.
_PARTS = {
    "HardSigmoid": lambda operation, x: _hard_sigmoid(x),
    "HardSilu": lambda operation, x: x * _hard_sigmoid(x),
    "Silu": lambda operation, x: x * ops.sigmoid(x),
    "BatchNorm": _batch_norm,
    "Rescaling": lambda operation, x: x * operation.scale + operation.offset,
}


def trace(
    model: keras.Model, image: keras.KerasTensor
) -> tuple[list[Call], keras.KerasTensor]:
    """Takes a model apart.

    Args:
        model: Functional `keras.Model` of one input and one output.
        image: `keras.Input` of the wanted size.

    Returns:
        The operations in an order in which they can be run, as at inference, and the
        output tensor. Constants are those of a copy of the model.

    Raises:
        ExportError: If a layer cannot be copied or looked into, or an operation has
            several results.
    """
    calls = []

    def call(operation, *args, **kwargs):
        inside = _inside(operation, args, kwargs)
        if inside is not None:
            return run(*inside)
        if _kind(operation) == "Cast" and args[0].dtype == operation.dtype:
            return args[0]
        output = operation.compute_output_spec(*args, **kwargs)
        if not isinstance(output, keras.KerasTensor):
            raise ExportError(
                f"The operation {operation.name!r} of type {type(operation).__name__} "
                "has several results, and a net can be rebuilt for training only from "
                "operations of one result."
            )
        calls.append(Call(operation, args, kwargs, output))
        return output

    def run(function, tensors):
        # The way in which Keras itself runs a graph with other operations.
        return function._run_through_graph(
            tensors, operation_fn=lambda operation: functools.partial(call, operation)
        )

    # A copy, since a layer remembers every tensor that it was called with.
    try:
        copy = keras.models.clone_model(model)
    except (NotImplementedError, TypeError) as error:
        raise ExportError(
            "A net can be rebuilt for training only from layers with `get_config` and "
            f"`from_config`. Keras says: {error}"
        ) from error
    copy.set_weights(model.get_weights())
    return calls, keras.tree.flatten(run(copy, [image]))[0]


def _inside(operation, args, kwargs):
    """Returns the graph of a layer's own call and the tensors that it is called with.

    `None` for an operation, and for a layer without weights that calls the backend by
    itself.
    """
    if isinstance(operation, keras.Model) and getattr(operation, "inputs", None):
        return operation, keras.tree.flatten(args[0])
    function = operation.call
    parts = _PARTS.get(_kind(operation))
    if isinstance(operation, keras.layers.Conv2D) and operation.groups > 1:
        parts = _grouped
    if parts is not None:
        function = functools.partial(parts, operation)
    elif not isinstance(operation, keras.Layer):
        return None
    inputs, tensors = [], []

    def stand_in(x):
        if not isinstance(x, keras.KerasTensor):
            return x
        tensors.append(x)
        inputs.append(keras.Input(batch_shape=x.shape, dtype=x.dtype))
        return inputs[-1]

    args, kwargs = keras.tree.map_structure(stand_in, (args, dict(kwargs)))
    if "training" in inspect.signature(function).parameters:
        kwargs["training"] = False
    try:
        return keras.Function(inputs, function(*args, **kwargs)), tensors
    except ValueError as error:
        if not operation.weights:
            return None
        raise ExportError(
            "A net can be rebuilt for training only from layers that are made of Keras "
            f"operations. The layer {operation.name!r} of type "
            f"{type(operation).__name__} says: {error}"
        ) from error


def _kind(operation):
    if isinstance(operation, keras.layers.Activation):
        words = operation.activation.__name__.split("_")
        return "".join(map(str.title, words))
    return type(operation).__name__


def array_of(x) -> np.ndarray:
    """Returns a constant of a graph as a float32 array."""
    return np.asarray(keras.ops.convert_to_numpy(x), "float32")
