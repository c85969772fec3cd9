"""The operations inside a .tflite file, read and edited without an interpreter."""

import collections
from collections.abc import Collection

import numpy as np

try:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema
except ImportError as error:
    raise ImportError(
        "Reading a .tflite needs LiteRT. Install it with: pip install 'kseg[mobile]'"
    ) from error

_OP_NAMES = {
    code: name
    for name, code in vars(schema.BuiltinOperator).items()
    if isinstance(code, int)
}
TYPE_NAMES = {
    code: name
    for name, code in vars(schema.TensorType).items()
    if isinstance(code, int)
}


# The first version of an operation that takes the types used here; 1 for the others.
_VERSIONS = {"DEQUANTIZE": 2, "RESIZE_NEAREST_NEIGHBOR": 3}


def unpack(model: bytes) -> schema.ModelT:
    """Returns the graph of a `.tflite` file's content as editable objects."""
    graph = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(model), 0))
    for buffer in graph.buffers:
        # The AI Edge Quantizer puts large constants behind the flatbuffer.
        if buffer.offset > 1:
            end = buffer.offset + buffer.size
            buffer.data = np.frombuffer(model[buffer.offset : end], "uint8")
        buffer.offset = buffer.size = 0
    return graph


def pack(graph: schema.ModelT) -> bytes:
    """Returns the `.tflite` content of `graph`."""
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(graph.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def op_name(code: schema.OperatorCodeT) -> str:
    """Returns an operator's name: `"CONV_2D"`, or `"CUSTOM FlexErf"`."""
    # Files from before 2020 have only the 8-bit field, later ones both.
    name = _OP_NAMES.get(max(code.builtinCode, code.deprecatedBuiltinCode), "UNKNOWN")
    if name != "CUSTOM":
        return name
    custom = code.customCode or b""
    return f"CUSTOM {custom.decode() if isinstance(custom, bytes) else custom}"


def operator_code(graph: schema.ModelT, name: str, version: int | None = None) -> int:
    """Returns the index of an operator's code, which is added if need be.

    Args:
        graph: The graph, as `unpack` returns it.
        name: Such as `"QUANTIZE"`.
        version: The lowest that will do; `None` for the first of 8-bit integers and
            floats.
    """
    version = _VERSIONS.get(name, 1) if version is None else version
    for index, code in enumerate(graph.operatorCodes):
        if op_name(code) == name and code.version >= version:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = version
    graph.operatorCodes.append(code)
    return len(graph.operatorCodes) - 1


def op_counts(model: bytes) -> dict[str, int]:
    """Counts the operations of a `.tflite`, all subgraphs together.

    Args:
        model: The content of the file.

    Returns:
        Operation name to count, the most frequent first.
    """
    graph = unpack(model)
    counts = collections.Counter(
        op_name(graph.operatorCodes[op.opcodeIndex])
        for subgraph in graph.subgraphs
        for op in subgraph.operators or []
    )
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def float_operations(model: bytes) -> list[str]:
    """Returns the names of the operations that compute in float, each once.

    Those that only lead from or to integers do not count.
    """
    graph = unpack(model)
    found = {
        op_name(graph.operatorCodes[op.opcodeIndex])
        for subgraph in graph.subgraphs
        for op in subgraph.operators or []
        if any(
            subgraph.tensors[index].type == schema.TensorType.FLOAT32
            for index in (*op.inputs, *op.outputs)
            if index >= 0
        )
    }
    return sorted(found - {"DEQUANTIZE", "QUANTIZE"})


def signature(model: bytes) -> tuple[dict[str, str], dict[str, str]]:
    """Tells what a `.tflite` takes and gives, by the names of its signature.

    Args:
        model: The content of a file. Without a signature, or with several, the names are
            those of the tensors.

    Returns:
        Inputs and outputs, both name to `"float32 (1, 64, 96, 3)"`.
    """
    graph = unpack(model)
    main, signatures = graph.subgraphs[0], graph.signatureDefs or ()
    if len(signatures) == 1:
        sides = signatures[0].inputs, signatures[0].outputs
        sides = [[(end.name, end.tensorIndex) for end in side] for side in sides]
    else:
        sides = main.inputs, main.outputs
        sides = [
            [(main.tensors[index].name, index) for index in side] for side in sides
        ]
    return tuple(
        {name.decode(): _kind(main.tensors[index]) for name, index in side}
        for side in sides
    )


def _kind(tensor):
    shape = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    return f"{TYPE_NAMES[tensor.type].lower()} {tuple(map(int, shape))}"


def end_rows(inputs: dict[str, str], outputs: dict[str, str]) -> dict[str, str]:
    """Returns the rows of a table of inputs and outputs.

    Args:
        inputs: Name to what it is, as `signature` has it. What an output is called too
            is state.
        outputs: The same.
    """
    state = ", zeros at first, then what it gave before"
    rows = {
        f"takes {name!r}": kind + state * (name in outputs)
        for name, kind in inputs.items()
    }
    return rows | {f"gives {name!r}": kind for name, kind in outputs.items()}


def uint8_interface(model: bytes, floats: Collection[str] = ()) -> bytes:
    """Makes int8 inputs and outputs uint8, as cameras and MediaPipe have them.

    A `QUANTIZE` that shifts the zero point by 128 is put before the first and after
    the last operation; it changes no value.

    Args:
        model: The content of a `.tflite` of one subgraph.
        floats: Names of inputs and outputs that become float32 instead.

    Returns:
        The content with uint8 or float32 where int8 was; other tensors stay as they are.
    """
    graph = unpack(model)
    (subgraph,) = graph.subgraphs
    subgraph.inputs, subgraph.outputs = list(subgraph.inputs), list(subgraph.outputs)
    for end, indices in (("inputs", subgraph.inputs), ("outputs", subgraph.outputs)):
        maps = [m for ends in graph.signatureDefs or [] for m in getattr(ends, end)]
        for position, inner in enumerate(map(int, indices)):
            if subgraph.tensors[inner].type != schema.TensorType.INT8:
                continue
            named = next((m for m in maps if m.tensorIndex == inner), None)
            is_float = named is not None and named.name.decode() in floats
            subgraph.tensors.append(_outer(subgraph.tensors[inner], is_float))
            outer = indices[position] = len(subgraph.tensors) - 1
            if named is not None:
                named.tensorIndex = outer
            op = schema.OperatorT()
            if end == "inputs":
                op.inputs, op.outputs = [outer], [inner]
                op.opcodeIndex = operator_code(graph, "QUANTIZE")
                subgraph.operators.insert(0, op)
            else:
                op.inputs, op.outputs = [inner], [outer]
                name = "DEQUANTIZE" if is_float else "QUANTIZE"
                op.opcodeIndex = operator_code(graph, name)
                subgraph.operators.append(op)
    return pack(graph)


def _outer(tensor, is_float):
    outer = schema.TensorT()
    outer.name = tensor.name
    outer.shape = tensor.shape
    outer.shapeSignature = tensor.shapeSignature
    outer.type = schema.TensorType.FLOAT32 if is_float else schema.TensorType.UINT8
    if not is_float:
        inner = tensor.quantization
        outer.quantization = schema.QuantizationParametersT()
        outer.quantization.scale = inner.scale
        outer.quantization.zeroPoint = [int(z) + 128 for z in inner.zeroPoint]
    inner_name = tensor.name.decode() if isinstance(tensor.name, bytes) else tensor.name
    tensor.name = f"{inner_name}_int8"
    return outer
