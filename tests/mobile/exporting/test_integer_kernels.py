"""What int8 files compute in another way: the same answers, by kernels that XNNPACK has."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from kseg.mobile.exporting import edge_quantizer
from kseg.mobile.exporting.conversion import convert
from kseg.mobile.exporting.integer_kernels import use_fast_kernels
from kseg.mobile.exporting.quantization import Quantization
from kseg.mobile.tflite.graph import op_counts, signature, uint8_interface
from kseg.mobile.tflite.rewriting import Editor

SHAPE = (1, 8, 12, 6)


def hard_swish(x):
    return x * tf.nn.relu6(x + 3) * (1 / 6)


def average(x):
    return tf.nn.avg_pool2d(x, 2, 2, "VALID")


def gelu(x):
    return tf.nn.gelu(x, approximate=True)


OPERATIONS = {
    "HARD_SWISH": hard_swish,
    "SOFTMAX": tf.nn.softmax,
    "AVERAGE_POOL_2D": average,
    "GELU": gelu,
    "RELU": tf.nn.relu,
}
# What becomes of one that is not only put in float.
PARTS = {"SOFTMAX": {"EXP": 1, "CONV_2D": 1, "DIV": 1}}


def quantized(function, shape=SHAPE):
    """A file of one operation in int8, as the quantizer leaves it, and its inputs."""
    spec = tf.TensorSpec(shape, "float32", name="image")
    traced = tf.function(lambda image: {"y": function(image)}, input_signature=[spec])
    floats = convert(traced.get_concrete_function())
    random = np.random.default_rng(0)
    images = [random.normal(0, 3, shape).astype("float32") for _ in range(8)]
    recipe = edge_quantizer.recipe_for("full_int8")
    ranges = edge_quantizer.calibrate(floats, recipe, images)
    return floats, edge_quantizer.quantize(floats, recipe, ranges), images


def opened(content):
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def run(content, x):
    """The answer as a float, its step, and the input as it was rounded."""
    interpreter = opened(content)
    (given,) = interpreter.get_input_details()
    (gotten,) = interpreter.get_output_details()
    scale, zero_point = given["quantization"]
    limits = np.iinfo(given["dtype"])
    x = np.clip(np.round(x / scale) + zero_point, limits.min, limits.max)
    interpreter.set_tensor(given["index"], x.astype(given["dtype"]))
    interpreter.invoke()
    rounded = (x - zero_point) * scale
    step, zero_point = gotten["quantization"]
    y = interpreter.get_tensor(gotten["index"]).astype("float32")
    return (y - zero_point) * step, step, rounded


@pytest.mark.parametrize("name", OPERATIONS)
def test_answers_in_float_are_within_a_step_of_the_function(name):
    function = OPERATIONS[name]
    _, content, images = quantized(function)
    edited = use_fast_kernels(content)
    inside = PARTS.get(name, {name: 1})
    assert op_counts(edited) == {"DEQUANTIZE": 1, "QUANTIZE": 1, **inside}
    answer, step, rounded = run(edited, images[0])
    expected = function(tf.constant(rounded, "float32")).numpy()
    # Rounding costs half a step; the highest probability, 255/256, a whole one.
    assert np.abs(answer - expected).max() <= step
    old, _, _ = run(content, images[0])
    assert np.abs(answer - old).max() <= 2 * step


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_uint8_output_has_the_same_answers(name):
    _, content, images = quantized(OPERATIONS[name])
    edited = use_fast_kernels(uint8_interface(content))
    # One of each in front, through float; behind, uint8 of the float that there is.
    inside = PARTS.get(name, {name: 1})
    assert op_counts(edited) == {"DEQUANTIZE": 2, "QUANTIZE": 2, **inside}
    pixels = run(edited, images[0])
    np.testing.assert_allclose(pixels[0], run(use_fast_kernels(content), images[0])[0])


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_float_output_is_not_rounded(name):
    function = OPERATIONS[name]
    _, content, images = quantized(function)
    ends = {name for names in signature(content) for name in names}
    edited = use_fast_kernels(uint8_interface(content, ends))
    inside = PARTS.get(name, {name: 1})
    assert op_counts(edited) == {"DEQUANTIZE": 1, "QUANTIZE": 1, **inside}
    interpreter = opened(edited)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images[0])
    interpreter.invoke()
    (gotten,) = interpreter.get_output_details()
    _, _, rounded = run(content, images[0])
    expected = function(tf.constant(rounded, "float32")).numpy()
    answer = interpreter.get_tensor(gotten["index"])
    np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-6)


def is_delegated(content):
    """Whether XNNPACK takes all of a file at once, from its input to its output."""
    interpreter = opened(content)
    ends = [interpreter.get_input_details(), interpreter.get_output_details()]
    (given,), (gotten,) = ([one["index"] for one in end] for end in ends)
    found = [op for op in interpreter._get_ops_details() if op["op_name"] == "DELEGATE"]
    return (
        len(found) == 1
        and given in found[0]["inputs"]
        and gotten in found[0]["outputs"]
    )


def with_input_up_to(content, largest):
    """The file with other logits: -128 steps are the largest that there is."""
    editor = Editor(content)
    ends = editor.tensors[int(editor.subgraph.inputs[0])].quantization
    ends.scale, ends.zeroPoint = [largest / 128], [0]
    return editor.content()


def test_the_most_extreme_softmax_is_a_softmax():
    _, content, _ = quantized(tf.nn.softmax, (1, 1, 4, 24))
    content = with_input_up_to(content, 79.9)
    edited = use_fast_kernels(content)
    assert "EXP" in op_counts(edited)
    logits = np.full((1, 1, 4, 24), -79.9, "float32")
    logits[0, 0, 1] = 79.2
    logits[0, 0, 2, 5] = logits[0, 0, 3, 1:] = 79.2
    answer, step, rounded = run(edited, logits)
    assert rounded.min() < -79.8
    expected = tf.nn.softmax(tf.constant(rounded, "float32")).numpy()
    assert np.abs(answer - expected).max() <= step


@pytest.mark.parametrize(
    ("shape", "largest"),
    [(SHAPE, 80.1), ((1, 4, 4, 25), 10), ((4, 6), 10)],
    ids=["logits too large for exp", "many channels", "no map"],
)
def test_a_softmax_whose_parts_would_not_do_stays(shape, largest):
    _, content, images = quantized(tf.nn.softmax, shape)
    content = with_input_up_to(content, largest)
    edited = use_fast_kernels(content)
    assert op_counts(edited) == {"DEQUANTIZE": 1, "QUANTIZE": 1, "SOFTMAX": 1}
    answer, step, rounded = run(edited, images[0])
    expected = tf.nn.softmax(tf.constant(rounded, "float32")).numpy()
    assert np.abs(answer - expected).max() <= step


def test_an_answer_with_two_readers_is_rounded():
    def function(x):
        y = tf.nn.softmax(x)
        return y + tf.nn.max_pool2d(y, 3, 1, "SAME")

    _, content, images = quantized(function)
    edited = use_fast_kernels(uint8_interface(content))
    counts = op_counts(edited)
    assert (counts["ADD"], counts["MAX_POOL_2D"], counts["DEQUANTIZE"]) == (1, 1, 3)
    answer, step, _ = run(edited, images[0])
    assert np.abs(answer - run(content, images[0])[0]).max() <= 2 * step


def test_floats_and_fast_operations_stay():
    floats, _, _ = quantized(tf.nn.softmax)
    assert use_fast_kernels(floats) is floats
    _, sigmoid, _ = quantized(tf.sigmoid)
    assert use_fast_kernels(sigmoid) is sigmoid


def test_bytes_of_another_kind_are_made_through_float():
    _, sigmoid, images = quantized(tf.sigmoid)
    shifted = uint8_interface(sigmoid)
    edited = use_fast_kernels(shifted)
    assert op_counts(edited) == {"DEQUANTIZE": 2, "QUANTIZE": 2, "LOGISTIC": 1}
    for x in (images[0], np.linspace(-12, 12, 576, dtype="float32").reshape(SHAPE)):
        answer, _, _ = run(edited, x)
        np.testing.assert_array_equal(answer, run(shifted, x)[0])
        assert len(np.unique(answer)) > 90
    assert is_delegated(edited)
    assert not is_delegated(shifted)


@pytest.mark.parametrize("name", ["SOFTMAX", "RELU"])
def test_an_answer_that_is_an_output_too_is_kept(name):
    _, content, _ = quantized(OPERATIONS[name])
    pixels = np.random.default_rng(0).integers(0, 256, SHAPE, "uint8")
    editor = Editor(uint8_interface(content))
    (last,) = editor.operators[-1].inputs
    editor.subgraph.outputs = [*editor.subgraph.outputs, int(last)]
    editor.graph.signatureDefs = []
    content = editor.content()
    answers = []
    for model in (content, use_fast_kernels(content)):
        interpreter = opened(model)
        (given,) = interpreter.get_input_details()
        interpreter.set_tensor(given["index"], pixels)
        interpreter.invoke()
        gotten = interpreter.get_output_details()
        answers.append([interpreter.get_tensor(one["index"]) for one in gotten])
    (_, old), (shifted, new) = answers
    np.testing.assert_array_equal(shifted, new.astype("int16") + 128)
    assert np.abs(old.astype("int16") - new).max() <= 2
    assert len(np.unique(new)) > 20


def test_bytes_of_one_kind_and_another_range_stay():
    _, sigmoid, _ = quantized(tf.sigmoid)
    editor = Editor(sigmoid)
    (y,) = map(int, editor.subgraph.outputs)
    wide = editor.tensor("wide", SHAPE, "INT8", (1 / 128, 0))
    editor.operators.append(editor.operation("QUANTIZE", "QuantizeOptions", [y], wide))
    editor.subgraph.outputs = [wide]
    content = editor.content()
    assert use_fast_kernels(content) is content


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_taken_by_xnnpack(name):
    _, content, _ = quantized(OPERATIONS[name])
    for model in (content, uint8_interface(content)):
        assert not is_delegated(model)
        assert is_delegated(use_fast_kernels(model))


def test_quantization_uses_them():
    floats, _, images = quantized(hard_swish)
    content = Quantization(floats, "full_int8", images).all_but()
    assert op_counts(content) == {"DEQUANTIZE": 2, "HARD_SWISH": 1, "QUANTIZE": 2}
