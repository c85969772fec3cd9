"""The operations inside a .tflite file, read and edited without an interpreter."""

import collections

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


def uint8_interface(model: bytes) -> bytes:
    """Makes int8 inputs and outputs uint8, as cameras and MediaPipe have them.

    A `QUANTIZE` that shifts the zero point by 128 is put before the first and after
    the last operation; it changes no value.

    Args:
        model: The content of a `.tflite` of one subgraph.

    Returns:
        The content with uint8 where int8 was; other tensors stay as they are.
    """
    graph = unpack(model)
    (subgraph,) = graph.subgraphs
    code = _quantize_code(graph)
    moved = {}
    subgraph.inputs, subgraph.outputs = list(subgraph.inputs), list(subgraph.outputs)
    for end, indices in (("input", subgraph.inputs), ("output", subgraph.outputs)):
        for position, inner in enumerate(indices):
            if subgraph.tensors[inner].type != schema.TensorType.INT8:
                continue
            subgraph.tensors.append(_as_uint8(subgraph.tensors[inner]))
            outer = len(subgraph.tensors) - 1
            indices[position], moved[int(inner)] = outer, outer
            op = schema.OperatorT()
            op.opcodeIndex = code
            if end == "input":
                op.inputs, op.outputs = [outer], [inner]
                subgraph.operators.insert(0, op)
            else:
                op.inputs, op.outputs = [inner], [outer]
                subgraph.operators.append(op)
    for signature in graph.signatureDefs or []:
        for tensor_map in (*signature.inputs, *signature.outputs):
            tensor_map.tensorIndex = moved.get(
                tensor_map.tensorIndex, tensor_map.tensorIndex
            )
    return pack(graph)


def _quantize_code(graph):
    for index, code in enumerate(graph.operatorCodes):
        if op_name(code) == "QUANTIZE":
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
    graph.operatorCodes.append(code)
    return len(graph.operatorCodes) - 1


def _as_uint8(tensor):
    outer = schema.TensorT()
    outer.name = tensor.name
    outer.shape = tensor.shape
    outer.shapeSignature = tensor.shapeSignature
    outer.type = schema.TensorType.UINT8
    outer.quantization = schema.QuantizationParametersT()
    outer.quantization.scale = tensor.quantization.scale
    outer.quantization.zeroPoint = [int(z) + 128 for z in tensor.quantization.zeroPoint]
    inner_name = tensor.name.decode() if isinstance(tensor.name, bytes) else tensor.name
    tensor.name = f"{inner_name}_int8"
    return outer
