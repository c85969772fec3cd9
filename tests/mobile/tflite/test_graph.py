"""Reading and editing a .tflite's graph."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from kseg.mobile.tflite.graph import float_operations, op_counts, op_name, pack, unpack
from kseg.mobile.tflite.operations import read_operations


@pytest.fixture(scope="module")
def content(exported):
    return exported().path.read_bytes()


def names_by_litert(content):
    """Counts the operations by LiteRT itself, default delegates off."""
    from ai_edge_litert.interpreter import OpResolverType

    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    names = [op["op_name"] for op in interpreter._get_ops_details()]
    return {name: names.count(name) for name in names}


@pytest.mark.parametrize("precision", ["float32", "full_int8"])
def test_counts_are_those_of_litert(exported, precision):
    content = exported(precision).path.read_bytes()
    assert op_counts(content) == names_by_litert(content)
    counts = list(op_counts(content).values())
    assert counts == sorted(counts, reverse=True)


def test_packing_loses_nothing(content):
    again = pack(unpack(content))
    assert op_counts(again) == op_counts(content)
    assert pack(unpack(again)) == again


def test_constants_behind_the_flatbuffer_are_brought_inside(content):
    # The layout of tensorflow's schema.fbs, Buffer.offset: what the AI Edge Quantizer
    # writes for large files.
    graph = unpack(content)
    sizes = [0 if buffer.data is None else len(buffer.data) for buffer in graph.buffers]
    largest = int(np.argmax(sizes))
    data = bytes(graph.buffers[largest].data)
    graph.buffers[largest].data = None
    graph.buffers[largest].offset = graph.buffers[largest].size = 1
    start = -(-len(pack(graph)) // 16) * 16
    graph.buffers[largest].offset = start
    graph.buffers[largest].size = len(data)
    outside = pack(graph).ljust(start, b"\0") + data
    names_by_litert(outside)  # LiteRT takes the file
    inside = unpack(outside)
    assert bytes(inside.buffers[largest].data) == data
    assert pack(inside) == pack(unpack(content))


def test_custom_operations_are_named_by_their_code():
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = b"FlexErf"
    assert op_name(code) == "CUSTOM FlexErf"
    old = schema.OperatorCodeT()  # before 2020: only the 8-bit field
    old.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    assert op_name(old) == "CONV_2D"


def test_operations_in_float_are_named_once(content, exported):
    names = float_operations(content)
    assert names == sorted(op_counts(content))  # a float file computes in nothing else
    # Of the integer file only what XNNPACK has no int8 kernel for: parts of a softmax,
    # and the activation of a transposed convolution.
    path = exported("full_int8").path
    assert float_operations(path.read_bytes()) == ["CONV_2D", "DIV", "EXP", "RELU"]
    types = [
        operation.inputs[0].dtype
        for operation, _ in read_operations(path)
        if operation.name == "CONV_2D"
    ]
    assert types.count("FLOAT32") == 1  # which sums the channels
    assert types.count("INT8") > 1
    # Only its weights are integers, which a DEQUANTIZE leads to the operations.
    half_way = exported("weight_int8").path.read_bytes()
    assert "DEQUANTIZE" in op_counts(half_way)
    assert float_operations(half_way) == names
