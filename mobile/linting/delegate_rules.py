"""The rules of LiteRT's GPU delegate: which operations it takes, and why not others.

Reference:
- [gpu_compatibility.cc](https://github.com/google-ai-edge/LiteRT/blob/main/tflite/tools/versioning/gpu_compatibility.cc)
- for the versions of operations [model_builder.cc](https://github.com/google-ai-edge/LiteRT/blob/main/tflite/delegates/gpu/common/model_builder.cc)
"""

import re

from kseg.mobile.tflite.operations import Operation


def delegate_refusal(operation: Operation) -> str:
    """Says why the delegate refuses an operation; `""` if it takes it.

    Args:
        operation: The operation.
    """
    check = _RULES.get(operation.name)
    if check is None:
        return "the GPU has no such operation"
    newest = _NEWEST.get(operation.name, operation.version)
    if operation.version > newest:
        return f"version {operation.version} of it; the GPU takes up to {newest}"
    return check(operation)


def _any(op):
    return ""


def _ends(variable, outputs=1):
    """A rule on the numbers of inputs that are not constants, and of outputs."""

    def check(op):
        if op.variable_inputs != variable or len(op.outputs) != outputs:
            return (
                f"{op.variable_inputs} inputs that are no constants and "
                f"{len(op.outputs)} outputs in place of {variable} and {outputs}"
            )
        return ""

    return check


def _elementwise(op):
    constants = len(op.inputs) - op.variable_inputs
    if (op.variable_inputs, constants) in ((2, 0), (1, 1)):
        return ""
    return f"{op.variable_inputs} inputs and {constants} constants"


def _convolution(op):
    return "more than two inputs that are no constants" * (op.variable_inputs > 2)


def _depthwise(op):
    reason = _convolution(op)
    if reason:
        return reason
    (image, kernel), output = op.inputs[:2], op.outputs[0]
    if {len(t.shape) for t in (image, kernel, output)} != {4}:
        return "a tensor that has not four dimensions"
    multiplier = op.option("depthMultiplier", 1)
    if output.shape[3] != image.shape[3] * multiplier:
        return f"depth multiplier {multiplier} that does not fit the channels"
    if multiplier != 1 and image.shape[3] != 1:
        return f"depth multiplier {multiplier} on {image.shape[3]} channels"
    return ""


def _two_operands(op):
    if len(op.inputs) != 2:
        return f"{len(op.inputs)} inputs"
    short, long = sorted((t.shape for t in op.inputs), key=len)
    if len(short) <= 1 or len(short) == len(long) or len(long) != 4:
        differ = 1 < len(short) < len(long)
        return f"shapes {short} and {long}, of different rank" if differ else ""
    fits = (
        (len(short) == 3 and long[0] == 1)
        or (len(short) == 2 and long[0] == 1 and short == (1, 1))
        or (len(short) == 2 and (long[0], long[3]) == short)
    )
    return "" if fits else f"shapes {short} and {long}, of different rank"


def _reduction(op):
    if op.variable_inputs != 1 or len(op.inputs) != 2:
        return "axes that are not constant"
    return "" if op.inputs[1].dtype == "INT32" else f"axes of {op.inputs[1].dtype}"


def _padding(op):
    if op.name == "MIRROR_PAD" and op.option("mode") != 0:
        return "symmetric padding"
    if op.variable_inputs != 1 or len(op.inputs) < 2:
        return "paddings that are not constant"
    shape = op.inputs[1].shape
    return "" if shape in ((3, 2), (4, 2)) else f"paddings of shape {shape}"


def _slice(op):
    rank = len(op.inputs[0].shape)
    if op.name == "STRIDED_SLICE":
        for mask in ("ellipsisMask", "newAxisMask", "shrinkAxisMask"):
            if op.option(mask):
                words = re.sub("(?=[A-Z])", " ", mask).lower()
                return f"an {words}" if words[0] == "e" else f"a {words}"
    return "" if rank in (3, 4) else f"a tensor of {rank} dimensions"


def _softmax(op):
    beta = op.option("beta", 1.0)
    return "" if beta == 1 else f"beta {beta:g}"


def _resize(op):
    if op.option("alignCorners", False) and op.option("halfPixelCenters", False):
        return "both align_corners and half_pixel_centers"
    return _ends(1)(op)


def _gather(op):
    indices = op.inputs[1]
    if len(indices.shape) != 1 or indices.dtype != "INT32":
        return f"indices {indices.dtype} of {len(indices.shape)} dimensions"
    return ""


def _cast(op):
    types = {op.inputs[0].dtype, op.outputs[0].dtype}
    if types <= {"FLOAT32", "INT32"} or (
        "BOOL" in types and types & {"FLOAT16", "FLOAT32"}
    ):
        return ""
    return f"from {op.inputs[0].dtype} to {op.outputs[0].dtype}"


def _dequantize(op):
    return "int16 values" if op.inputs[0].dtype == "INT16" else ""


def _select(op):
    if op.inputs[0].dtype not in ("BOOL", "FLOAT16", "FLOAT32"):
        return f"a condition of {op.inputs[0].dtype}"
    output = op.outputs[0].shape
    for tensor in op.inputs[1:]:
        if tensor.shape not in ((), (1,), output):
            return f"a choice of shape {tensor.shape} for {output}"
    return ""


def _fully_connected(op):
    if op.variable_inputs > 2:
        return "more than two inputs that are no constants"
    same_rank = len(op.inputs[0].shape) == len(op.outputs[0].shape)
    return "" if same_rank or not op.option("keepNumDims", False) else "keep_num_dims"


def _block(op):
    return "" if op.option("blockSize") > 1 else f"block size {op.option('blockSize')}"


def _two_terms(op):
    return "" if len(op.inputs) == 2 else f"{len(op.inputs)} inputs"


# Every operation that the delegate takes, under the rule that it must meet.
_NAMES = {
    _any: """CONCATENATION PACK PRELU RELU RELU6 LEAKY_RELU RELU_N1_TO_1 QUANTIZE
        BATCH_MATMUL DENSIFY EMBEDDING_LOOKUP SPLIT SPLIT_V LSTM CUMSUM ONE_HOT
        DYNAMIC_UPDATE_SLICE""",
    _ends(1): """ABS CEIL COS ELU EXP FLOOR GELU HARD_SWISH LOG LOGICAL_NOT LOGISTIC NEG
        RESHAPE ROUND RSQRT SIGN SIN SQRT SQUARE TANH TILE TRANSPOSE AVERAGE_POOL_2D
        MAX_POOL_2D""",
    _ends(1, outputs=2): "TOPK_V2",
    _elementwise: """ATAN2 DIV EQUAL FLOOR_DIV FLOOR_MOD GREATER GREATER_EQUAL LESS
        LESS_EQUAL LOGICAL_AND LOGICAL_OR MAXIMUM MINIMUM NOT_EQUAL POW RIGHT_SHIFT
        SQUARED_DIFFERENCE SUB""",
    _reduction: """MEAN SUM REDUCE_ALL REDUCE_ANY REDUCE_MAX REDUCE_MIN REDUCE_PROD
        REVERSE_V2""",
    _padding: "PAD PADV2 MIRROR_PAD",
    _slice: "SLICE STRIDED_SLICE",
    _select: "SELECT SELECT_V2",
    _two_operands: "ADD MUL",
    _two_terms: "ADD_N",
    _convolution: "CONV_2D TRANSPOSE_CONV",
    _depthwise: "DEPTHWISE_CONV_2D",
    _block: "DEPTH_TO_SPACE SPACE_TO_DEPTH",
    _resize: "RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR",
    _cast: "CAST",
    _dequantize: "DEQUANTIZE",
    _fully_connected: "FULLY_CONNECTED",
    _gather: "GATHER",
    _softmax: "SOFTMAX",
}
_CUSTOM = (
    "Convolution2DTransposeBias",
    "MaxPoolingWithArgmax2D",
    "MaxUnpooling2D",
    "Resampler",
)
# The newest version of an operation that the delegate takes; any, of the others.
_VERSIONS = {
    1: "CUMSUM DENSIFY GATHER ONE_HOT PRELU RESHAPE SELECT SELECT_V2",
    2: """CONCATENATION PAD PADV2 MIRROR_PAD AVERAGE_POOL_2D MAX_POOL_2D QUANTIZE RELU
        RELU6 LEAKY_RELU RELU_N1_TO_1 SLICE SOFTMAX SPACE_TO_DEPTH ABS ADD ADD_N COS DIV
        ELU EQUAL EXP FLOOR FLOOR_DIV FLOOR_MOD GELU GREATER GREATER_EQUAL LESS
        LESS_EQUAL LOG LOGICAL_AND LOGISTIC MAXIMUM MINIMUM NEG NOT_EQUAL POW RSQRT SIGN
        SIN SQRT SQUARE SQUARED_DIFFERENCE SUB TANH""",
    3: "DEQUANTIZE MUL RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR TRANSPOSE_CONV",
    4: "LSTM STRIDED_SLICE TRANSPOSE",
    6: "CONV_2D DEPTHWISE_CONV_2D",
    9: "FULLY_CONNECTED",
}
_NEWEST = {
    name: version for version, names in _VERSIONS.items() for name in names.split()
}
_RULES = {name: rule for rule, names in _NAMES.items() for name in names.split()}
_RULES.update({f"CUSTOM {name}": _any for name in _CUSTOM})
