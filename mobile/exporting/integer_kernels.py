"""Operations whose int8 kernels are slow, computed in another way."""

import numpy as np

from kseg.mobile.exporting.integer_upsampling import upsample_by_convolution
from kseg.mobile.tflite.rewriting import Editor

# XNNPACK has none for them in int8, and LiteRT's own loops over single numbers. Measured
# on x86-64, int8 against float: SOFTMAX of a map 30 times as long, HARD_SWISH 50 times,
# AVERAGE_POOL_2D 15 times, RELU 100 times, GELU 1.5 times.
_SLOW = {"AVERAGE_POOL_2D", "GELU", "HARD_SWISH", "RELU", "SOFTMAX"}
# XNNPACK's SOFTMAX takes 20 ns a pixel and more for each channel; that of its parts takes
# a tenth of that with 2 channels, a fifth with 9, as much with 30, and grows by the square.
_MOST_CHANNELS = 24
# exp is a normal float32 from -87 to 88, sums of those channels too.
_LARGEST_LOGIT = 80.0


def use_fast_kernels(model: bytes) -> bytes:
    """Puts a `DEQUANTIZE` and a `QUANTIZE` around int8 operations that are slow.

    XNNPACK takes all three, so that the fast path goes on; the ranges stay, and where a
    float follows, it is not rounded. Without
    that, a net of MobileNetV3 spends more than half of its time in `HARD_SWISH`, and one
    of many classes nearly all of it in its last `SOFTMAX`. That becomes its parts, where
    they are faster, and the upsampling of one channel a convolution.

    Args:
        model: The content of a `.tflite`.

    Returns:
        The content; equal if there is no such operation.
    """
    model = upsample_by_convolution(model)
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
        last = _only_dequantized(editor, y)
        merged += last
        name = editor.name(y)
        given = editor.tensor(f"{name}_given", editor.tensors[x].shape, "FLOAT32")
        first = editor.operation("DEQUANTIZE", "DequantizeOptions", [x], given)
        if last:
            found, then = int(last[0].outputs[0]), []
        else:
            found = editor.tensor(f"{name}_found", editor.tensors[y].shape, "FLOAT32")
            then = [editor.operation("QUANTIZE", "QuantizeOptions", [found], y)]
        if _is_bounded_softmax(editor, op):
            parts = _softmax(editor, given, found, name)
        else:
            op.inputs, op.outputs = [given], [found]
            parts = [op]
        operators += [first, *parts, *then]
    editor.subgraph.operators = operators
    return editor.content()


def _is_slow(editor, op):
    return editor.op_name(op) in _SLOW and editor.dtype(op.inputs[0]) == "INT8"


def _is_bounded_softmax(editor, op):
    """Whether the parts of a softmax are faster, and no int8 input is too large for them."""
    if editor.op_name(op) != "SOFTMAX" or op.builtinOptions.beta != 1:
        return False
    x = int(op.inputs[0])
    scale, zero_point = editor.quantization(x)
    largest = scale * max(zero_point + 128, 127 - zero_point)
    shape = editor.tensors[x].shape
    return len(shape) == 4 and shape[3] <= _MOST_CHANNELS and largest <= _LARGEST_LOGIT


def _softmax(editor, x, y, name):
    """Returns the parts of a softmax; a convolution of ones puts the sum in each channel."""
    shape = editor.tensors[x].shape
    channels = int(shape[3])
    powers = editor.tensor(f"{name}_exp", shape, "FLOAT32")
    sums = editor.tensor(f"{name}_sum", shape, "FLOAT32")
    ones = np.ones((channels, 1, 1, channels), "float32")
    kernel = editor.tensor(f"{name}_ones", ones.shape, "FLOAT32", data=ones)
    zeros = np.zeros(channels, "float32")
    bias = editor.tensor(f"{name}_zeros", zeros.shape, "FLOAT32", data=zeros)
    return [
        editor.operation("EXP", "ExpOptions", [x], powers),
        editor.convolution(powers, kernel, bias, sums),
        editor.operation("DIV", "DivOptions", [powers, sums], y),
    ]


def _only_dequantized(editor, index):
    """Returns in a list the `DEQUANTIZE` that alone reads a tensor."""
    readers = [op for op in editor.operators if index in op.inputs]
    if len(readers) != 1 or index in editor.subgraph.outputs:
        return []
    return readers * (editor.op_name(readers[0]) == "DEQUANTIZE")
