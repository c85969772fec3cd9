"""Operations whose int8 kernels are slower than those of floats, computed in float."""

from kseg.mobile.tflite.rewriting import Editor

# XNNPACK has none for them in int8, and LiteRT's own loops over single numbers. Measured
# on x86-64, int8 against float: SOFTMAX of a map 30 times as long, HARD_SWISH 50 times,
# AVERAGE_POOL_2D 15 times, RELU 100 times, GELU 1.5 times.
_SLOW = {"AVERAGE_POOL_2D", "GELU", "HARD_SWISH", "RELU", "SOFTMAX"}


def use_fast_kernels(model: bytes) -> bytes:
    """Puts a `DEQUANTIZE` and a `QUANTIZE` around int8 operations that are slow.

    XNNPACK takes all three, so that the fast path goes on; the ranges stay. Without
    that, a net of MobileNetV3 spends more than half of its time in `HARD_SWISH`, and one
    of many classes nearly all of it in its last `SOFTMAX`.

    Args:
        model: The content of a `.tflite`.

    Returns:
        The content; equal if there is no such operation.
    """
    editor = Editor(model)
    if not any(_is_slow(editor, op) for op in editor.operators):
        return model
    operators, merged = [], []
    for op in editor.operators:
        if any(op is other for other in merged):
            continue
        if not _is_slow(editor, op):
            operators.append(op)
            continue
        x, y = int(op.inputs[0]), int(op.outputs[0])
        last = _only_requantized(editor, y)
        merged += last
        name = editor.name(y)
        given = editor.tensor(f"{name}_given", editor.tensors[x].shape, "FLOAT32")
        found = editor.tensor(f"{name}_found", editor.tensors[y].shape, "FLOAT32")
        op.inputs, op.outputs = [given], [found]
        end = int(last[0].outputs[0]) if last else y
        operators += [
            editor.operation("DEQUANTIZE", "DequantizeOptions", [x], given),
            op,
            editor.operation("QUANTIZE", "QuantizeOptions", [found], end),
        ]
    editor.subgraph.operators = operators
    return editor.content()


def _is_slow(editor, op):
    return editor.op_name(op) in _SLOW and editor.dtype(op.inputs[0]) == "INT8"


def _only_requantized(editor, index):
    """Returns in a list the `QUANTIZE` to uint8 that alone reads a tensor."""
    readers = [op for op in editor.operators if index in op.inputs]
    if len(readers) != 1 or index in editor.subgraph.outputs:
        return []
    is_quantize = editor.op_name(readers[0]) == "QUANTIZE"
    return readers * (is_quantize and editor.dtype(readers[0].outputs[0]) == "UINT8")
