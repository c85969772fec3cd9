"""Operations whose int8 kernels are slow, computed in another way."""

import numpy as np

from kseg.mobile.exporting.integer_upsampling import upsample_by_convolution
from kseg.mobile.exporting.unfusing import separate_activations
from kseg.mobile.tflite.rewriting import Editor

# XNNPACK has none for them in int8, and LiteRT's own loops over single numbers. Measured
# on x86-64, int8 against float: SOFTMAX of a map 30 times as long, HARD_SWISH 50 times,
# AVERAGE_POOL_2D 15 times, RELU 100 times, GELU 1.5 times.
_SLOW = {"AVERAGE_POOL_2D", "GELU", "HARD_SWISH", "RELU", "SOFTMAX"}
# Nor for a QUANTIZE from one of these to the other: through float it is 13 times as fast.
_BYTES = {"INT8", "UINT8"}
# XNNPACK's SOFTMAX takes 20 ns a pixel and more for each channel; that of its parts takes
# a tenth of that with 2 channels, a fifth with 9, as much with 30, and grows by the square.
_MOST_CHANNELS = 24
# exp is a normal float32 from -87 to 88, sums of those channels too.
_LARGEST_LOGIT = 80.0


def use_fast_kernels(model: bytes) -> bytes:
    """Puts a `DEQUANTIZE` and a `QUANTIZE` around int8 operations that are slow.

    XNNPACK takes all three, so that the fast path goes on; the ranges stay, and where a
    float follows, it is not rounded. Without that, a net of MobileNetV3 spends more than
    half of its time in `HARD_SWISH`, and one of many classes nearly all of it in its last
    `SOFTMAX`. That becomes its parts, where they are faster, and the upsampling of one
    channel a convolution. Images and scores of bytes become int8 and back through float.

    Args:
        model: The content of a `.tflite`.

    Returns:
        The content; equal if there is no such operation.
    """
    # A RELU inside of a TRANSPOSE_CONV would come out later, and be slow then.
    model = upsample_by_convolution(separate_activations(model))
    editor = Editor(model)
    if not any(
        _is_slow(editor, op) or _is_shift(editor, op) for op in editor.operators
    ):
        return model
    operators, merged = [], []
    for op in editor.operators:
        if any(op is other for other in merged):
            continue
        if _is_shift(editor, op):
            operators += _shift(editor, op)
        elif _is_slow(editor, op):
            turned = _only_turned(editor, op)
            merged.append(turned)
            operators += _in_float(editor, op, turned)
        else:
            operators.append(op)
    editor.subgraph.operators = operators
    return editor.content()


def _is_slow(editor, op):
    return editor.op_name(op) in _SLOW and editor.dtype(op.inputs[0]) == "INT8"


def _is_shift(editor, op):
    if editor.op_name(op) != "QUANTIZE":
        return False
    return {editor.dtype(end) for end in (op.inputs[0], op.outputs[0])} == _BYTES


def _only_turned(editor, op):
    """Returns the one reader of an answer if it makes floats or uint8 of it."""
    y = int(op.outputs[0])
    readers = [op for op in editor.operators if y in op.inputs]
    if len(readers) != 1 or y in editor.subgraph.outputs:
        return None
    (reader,) = readers
    is_turned = editor.op_name(reader) == "DEQUANTIZE" or _is_shift(editor, reader)
    return reader if is_turned else None


def _shift(editor, op):
    x, y = int(op.inputs[0]), int(op.outputs[0])
    shape = editor.tensors[x].shape
    op.inputs = [editor.tensor(f"{editor.name(y)}_given", shape, "FLOAT32")]
    return [editor.operation("DEQUANTIZE", "DequantizeOptions", [x], op.inputs[0]), op]


def _in_float(editor, op, turned):
    """Returns operations for one that is slow and for the one that turns its answer."""
    x, y = int(op.inputs[0]), int(op.outputs[0])
    name, shape = editor.name(y), editor.tensors[y].shape
    given = editor.tensor(f"{name}_given", editor.tensors[x].shape, "FLOAT32")
    first = editor.operation("DEQUANTIZE", "DequantizeOptions", [x], given)
    if turned is not None:
        y = int(turned.outputs[0])
    if editor.dtype(y) == "FLOAT32":
        found, then = y, []
    else:
        found = editor.tensor(f"{name}_found", shape, "FLOAT32")
        then = [editor.operation("QUANTIZE", "QuantizeOptions", [found], y)]
    if _is_bounded_softmax(editor, op):
        return [first, *_softmax(editor, given, found, name), *then]
    op.inputs, op.outputs = [given], [found]
    return [first, op, *then]


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
