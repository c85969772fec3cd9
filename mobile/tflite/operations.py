"""The operations of a .tflite as rules look at them, and the Keras layers they compute."""

import dataclasses
import itertools
import re
from pathlib import Path

from kseg.mobile.tflite.graph import TYPE_NAMES, op_name, unpack

_NUMBER = re.compile(r"_\d+$")


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input or output of an operation.

    Attributes:
        shape: Its shape; `-1` is a dimension that is not known before the run.
        dtype: Such as `"FLOAT32"`, as the schema names it.
        constant: Whether its values are in the file.
    """

    shape: tuple[int, ...]
    dtype: str
    constant: bool


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation with what the rules look at.

    Attributes:
        name: `"CONV_2D"`, or `"CUSTOM FlexErf"`.
        inputs: Its inputs; left-out optional ones are not listed.
        outputs: Its outputs.
        options: The schema's option object, or `None`.
        version: Of the operation: newer ones can do more, and fewer runtimes take them.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    options: object
    version: int = 1

    def option(self, name, default=0):
        """Returns a field of the options, by its name in the schema."""
        return getattr(self.options, name, default)

    @property
    def variable_inputs(self) -> int:
        """Number of inputs that are not constants."""
        return sum(not tensor.constant for tensor in self.inputs)


def read_operations(path) -> list[tuple[Operation, str]]:
    """Reads the operations of a `.tflite`, in the order of execution.

    Args:
        path: The file; any `.tflite`, whoever made it.

    Returns:
        Pairs of an `Operation` and the Keras layers that it computes, as far as tensor
        names tell: `"mobilenet_v2/Conv1 + mobilenet_v2/bn_Conv1"`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no `.tflite`, or a damaged one.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"`path` must be an existing .tflite file. Received: path={str(path)!r}"
        )
    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise ValueError(
            "`path` must be a .tflite file, which has TFL3 at byte 4. Received: "
            f"path={str(path)!r} of {len(content)} bytes"
        )
    try:
        graph = unpack(content)
        found = [
            (operation, _scopes(subgraph, op))
            for subgraph in graph.subgraphs
            for operation, op in _operations(graph, subgraph)
        ]
    except Exception as error:  # whatever the damaged bytes lead the reader to
        raise ValueError(
            f"`path` must be a whole .tflite file; this one is damaged ({error}). "
            f"Received: path={str(path)!r} of {len(content)} bytes"
        ) from error
    numbered = _scopes_are_numbered([scopes for _, scopes in found])
    return [(operation, _layers(scopes, numbered)) for operation, scopes in found]


def layer_names(model: bytes) -> list[str]:
    """Returns for each operation of a `.tflite` the Keras layers that it computes.

    Args:
        model: The content of the file.
    """
    scopes = [
        _scopes(subgraph, op)
        for subgraph in unpack(model).subgraphs
        for op in subgraph.operators or []
    ]
    numbered = _scopes_are_numbered(scopes)
    return [_layers(scope, numbered) for scope in scopes]


def _operations(graph, subgraph):
    """Yields each operation as the rules see it, beside the schema's object."""
    names = [op_name(code) for code in graph.operatorCodes]
    constants = {
        index
        for index, tensor in enumerate(subgraph.tensors)
        if _has_data(graph, tensor)
    }
    for op in subgraph.operators or []:
        # The delegate folds half-precision weights before it looks.
        if names[op.opcodeIndex] == "DEQUANTIZE" and int(op.inputs[0]) in constants:
            constants.update(map(int, op.outputs))

        def tensors(indices):
            # -1 stands for an optional input that is left out.
            chosen = [int(i) for i in (() if indices is None else indices) if i >= 0]
            return tuple(_tensor(subgraph.tensors[i], i in constants) for i in chosen)

        yield (
            Operation(
                names[op.opcodeIndex],
                tensors(op.inputs),
                tensors(op.outputs),
                op.builtinOptions,
                graph.operatorCodes[op.opcodeIndex].version,
            ),
            op,
        )


def _tensor(tensor, constant):
    shape = tensor.shapeSignature
    if shape is None or not len(shape):
        shape = () if tensor.shape is None else tensor.shape
    dtype = TYPE_NAMES.get(tensor.type, str(tensor.type))
    return Tensor(tuple(map(int, shape)), dtype, constant)


def _has_data(graph, tensor):
    data = graph.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _scopes(subgraph, op):
    """Paths of the scopes that an operation's output was computed in."""
    names = []
    for index in op.outputs[:1]:
        name = subgraph.tensors[index].name or b""
        names += (name.decode() if isinstance(name, bytes) else name).split(";")
    return [name.split("/")[:-1] for name in names if "/" in name]


def _scopes_are_numbered(all_scopes):
    """Whether each layer's scope bears a number.

    Keras 3 opens the scope of a layer twice, to build it and to call it, so that the
    traced name of the layer `conv` is `conv_1`.
    """
    outer = [scope[0] for scopes in all_scopes for scope in scopes]
    return bool(outer) and all(_NUMBER.search(scope) for scope in outer)


def _layers(scopes, numbered):
    found = []
    for scope in scopes:
        if numbered:
            # Scopes inside a layer, such as "batchnorm", have no number.
            layers = itertools.takewhile(_NUMBER.search, scope)
            scope = [_NUMBER.sub("", layer) for layer in layers]
        found.append("/".join(scope))
    return " + ".join(dict.fromkeys(reversed(found))) or "the graph's ends"
