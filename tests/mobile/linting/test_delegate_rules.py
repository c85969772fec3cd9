"""The GPU rules, against what gpu_compatibility.cc and the accelerator say."""

import dataclasses
import types

import pytest

from kseg.mobile.linting.profiles import PROFILES, refusal
from kseg.mobile.tflite.operations import Operation, Tensor

IMAGE = Tensor((1, 8, 8, 4), "FLOAT32", False)
AXES = Tensor((2,), "INT32", True)


def image(*shape, dtype="FLOAT32"):
    return Tensor(shape or IMAGE.shape, dtype, False)


def constant(*shape, dtype="FLOAT32"):
    return Tensor(shape, dtype, True)


def operation(name, inputs, outputs=(IMAGE,), **options):
    return Operation(
        name, tuple(inputs), tuple(outputs), types.SimpleNamespace(**options)
    )


KERNEL, BIAS = constant(4, 3, 3, 4), constant(4)
# Operations that both profiles take.
TAKEN = [
    operation("CONV_2D", [IMAGE, KERNEL, BIAS]),
    operation("CONV_2D", [IMAGE, image(4, 3, 3, 4), BIAS]),
    operation(
        "DEPTHWISE_CONV_2D", [IMAGE, constant(1, 3, 3, 4), BIAS], depthMultiplier=1
    ),
    operation(
        "DEPTHWISE_CONV_2D",
        [image(1, 8, 8, 1), constant(1, 3, 3, 4), BIAS],
        depthMultiplier=4,
    ),
    operation("TRANSPOSE_CONV", [constant(4, dtype="INT32"), KERNEL, IMAGE]),
    operation("RESIZE_BILINEAR", [IMAGE, AXES], halfPixelCenters=True),
    operation("MEAN", [IMAGE, AXES]),
    operation("SOFTMAX", [IMAGE], beta=1.0),
    operation("MUL", [IMAGE, image(1, 1, 1, 4)]),
    operation("ADD", [IMAGE, image(8, 8, 4)]),
    operation("ADD", [IMAGE, constant(4)]),
    operation("MUL", [IMAGE, image(1, 4)]),
    operation("SUB", [IMAGE, constant()]),
    operation("PAD", [IMAGE, constant(4, 2, dtype="INT32")]),
    operation("MIRROR_PAD", [IMAGE, constant(4, 2, dtype="INT32")], mode=0),
    operation("SLICE", [IMAGE, AXES, AXES]),
    operation("DEQUANTIZE", [constant(4, dtype="FLOAT16")], [constant(4)]),
    operation("CAST", [image(dtype="INT32")]),
    operation("CUSTOM Resampler", [IMAGE, image(1, 8, 8, 2)]),
]
# Operations that both refuse, and a word of the reason.
REFUSED = [
    (operation("SPACE_TO_BATCH_ND", [IMAGE]), "no such"),
    (operation("BROADCAST_TO", [IMAGE, AXES]), "no such"),
    (operation("SQUEEZE", [IMAGE]), "no such"),
    (operation("CUSTOM FlexErf", [IMAGE]), "no such"),
    (
        operation("CONV_2D", [IMAGE, image(4, 3, 3, 4), image(4)]),
        "more than two inputs",
    ),
    (
        operation(
            "RESIZE_BILINEAR", [IMAGE, AXES], halfPixelCenters=True, alignCorners=True
        ),
        "align_corners",
    ),
    (operation("MEAN", [IMAGE, image(2, dtype="INT32")]), "constant"),
    (operation("MEAN", [IMAGE, constant(2, dtype="INT64")]), "INT64"),
    (operation("SOFTMAX", [IMAGE], beta=2.0), "beta 2"),
    (operation("MUL", [IMAGE, image(8, 4)]), "rank"),
    (operation("PAD", [image(1, 8), constant(2, 2, dtype="INT32")]), r"\(2, 2\)"),
    (
        operation("MIRROR_PAD", [IMAGE, constant(4, 2, dtype="INT32")], mode=1),
        "symmetric",
    ),
    (operation("SLICE", [image(8, 8), AXES, AXES]), "2 dimensions"),
    (operation("STRIDED_SLICE", [IMAGE, AXES, AXES, AXES], shrinkAxisMask=1), "shrink"),
    (operation("STRIDED_SLICE", [IMAGE, AXES, AXES, AXES], ellipsisMask=1), "ellipsis"),
    (operation("CAST", [image(dtype="INT64")]), "INT64"),
    (operation("DEPTH_TO_SPACE", [IMAGE], blockSize=1), "block size 1"),
    (operation("DEQUANTIZE", [image(dtype="INT16")]), "int16"),
    (operation("ADD_N", [IMAGE] * 3), "3 inputs"),
]
# Where what the accelerator did when tried differs from the delegate's rules:
# name of the case, operation, refused by the delegate, refused by the accelerator.
DIFFERENT = [
    ("argmax", operation("ARG_MAX", [IMAGE, constant(dtype="INT32")]), True, False),
    (
        "camera bytes",
        operation("CAST", [IMAGE], [image(dtype="UINT8")]),
        True,
        False,
    ),
    ("gather", operation("GATHER", [IMAGE, AXES]), False, True),
    ("split", operation("SPLIT", [AXES, IMAGE], [IMAGE, IMAGE]), False, True),
    (
        "five dimensions",
        operation("RESHAPE", [IMAGE, AXES], [image(1, 8, 1, 8, 4)]),
        False,
        True,
    ),
    (
        "arithmetic in five dimensions",
        operation("MUL", [image(1, 8, 8, 2, 2)] * 2, [image(1, 8, 8, 2, 2)]),
        False,
        True,
    ),
    ("open size", operation("RELU", [image(1, -1, 8, 4)]), False, True),
    ("int16", operation("RELU", [image(dtype="INT16")]), False, True),
]


def name(value):
    return value.name if isinstance(value, Operation) else ""


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("op", TAKEN, ids=name)
def test_takes(op, profile):
    assert refusal(op, profile) == ""


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("op", "reason"), REFUSED, ids=name)
def test_refuses_with_the_reason(op, reason, profile):
    import re

    assert re.search(reason, refusal(op, profile))


@pytest.mark.parametrize(
    ("op", "delegate", "litert"), [case[1:] for case in DIFFERENT], ids=name
)
def test_profiles_differ_where_the_runtime_does(op, delegate, litert):
    assert bool(refusal(op, "delegate")) is delegate
    assert bool(refusal(op, "litert")) is litert


# The first and the last line are LiteRT 2.3's own words when tried, as in "TRANSPOSE_CONV:
# Max version supported: 3. Requested version 4."; the others are CheckMaxSupportedOpVersion
# of model_builder.cc.
@pytest.mark.parametrize(
    ("op", "newest"),
    [
        (operation("TRANSPOSE_CONV", [AXES, KERNEL, IMAGE]), 3),
        (operation("CONV_2D", [IMAGE, KERNEL, BIAS]), 6),
        (operation("RESIZE_BILINEAR", [IMAGE, AXES], halfPixelCenters=True), 3),
        (operation("RESHAPE", [IMAGE, AXES]), 1),
        (operation("MUL", [IMAGE, BIAS]), 3),
        (operation("SUB", [IMAGE, BIAS]), 2),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
@pytest.mark.parametrize("profile", PROFILES)
def test_an_operation_is_taken_up_to_a_version(op, newest, profile):
    assert refusal(dataclasses.replace(op, version=newest), profile) == ""
    reason = refusal(dataclasses.replace(op, version=newest + 1), profile)
    assert f"version {newest + 1} of it; the GPU takes up to {newest}" in reason


def test_every_operation_that_the_delegate_names_has_a_rule():
    # The list of gpu_compatibility.cc, LiteRT 2.3.
    named = """ADD ADD_N AVERAGE_POOL_2D BATCH_MATMUL CAST CONCATENATION CONV_2D CUMSUM
    DENSIFY DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FULLY_CONNECTED
    GATHER HARD_SWISH LSTM MAX_POOL_2D MEAN MUL PACK ONE_HOT QUANTIZE RELU_N1_TO_1 PRELU
    RESHAPE SELECT SELECT_V2 SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SPLIT_V STRIDED_SLICE TILE
    TOPK_V2 TRANSPOSE TRANSPOSE_CONV RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RELU RELU6
    LEAKY_RELU REDUCE_ALL REDUCE_ANY REDUCE_MAX REDUCE_MIN REDUCE_PROD SUM PAD PADV2
    MIRROR_PAD REVERSE_V2 ABS CEIL COS ELU EXP FLOOR GELU LOG LOGICAL_NOT LOGISTIC NEG
    ROUND RSQRT SIGN SIN SQRT SQUARE TANH ATAN2 DIV EQUAL FLOOR_DIV FLOOR_MOD GREATER
    GREATER_EQUAL LESS LESS_EQUAL LOGICAL_AND LOGICAL_OR MAXIMUM MINIMUM NOT_EQUAL POW
    RIGHT_SHIFT SQUARED_DIFFERENCE SUB"""
    inputs = [image(1, 2, 2, 1), constant(2, dtype="INT32")]
    for op_name in named.split():
        assert "no such" not in refusal(operation(op_name, inputs), "delegate"), op_name
