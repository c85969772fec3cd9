"""Integer files: what is in them, and what calibration makes of them."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from kseg.mobile import export
from kseg.mobile.exporting import candidates, edge_quantizer
from kseg.mobile.exporting.conversion import ExportError, concrete_function, convert
from kseg.mobile.exporting.integer_kernels import use_fast_kernels
from kseg.mobile.exporting.quantization import Quantization
from kseg.mobile.tflite.graph import float_operations, op_counts, uint8_interface

SIZE = (64, 96)


@pytest.fixture(scope="module")
def float_content(net):
    return convert(concrete_function(net, SIZE, "probabilities"))


@pytest.fixture(scope="module")
def images(crops):
    return [image[None] for image in crops[0][:8]]


def full_int8(content, images):
    return Quantization(content, "full_int8", images).all_but()


def interpreter_of(content):
    interpreter = Interpreter(
        model_content=content, experimental_preserve_all_tensors=False
    )
    interpreter.allocate_tensors()
    return interpreter


def test_full_int8_takes_pixels_and_gives_uint8(exported):
    interpreter = Interpreter(model_path=str(exported("full_int8").path))
    (inputs,), (outputs,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    assert (inputs["dtype"], inputs["quantization"]) == (np.uint8, (1.0, 0))
    # A softmax lies between 0 and 1: 256 steps.
    assert (outputs["dtype"], outputs["quantization"]) == (np.uint8, (1 / 256, 0))


@pytest.mark.parametrize("output", ["logits", "category_mask"])
def test_full_int8_computes_in_integers_but_for_a_relu(exported, output):
    # That behind a transposed convolution, for which XNNPACK has no int8 kernel.
    content = exported("full_int8", output).path.read_bytes()
    assert float_operations(content) == ["RELU"]
    assert use_fast_kernels(content) is content
    details = interpreter_of(content).get_tensor_details()
    assert {np.int8, np.uint8, np.int32} <= {d["dtype"] for d in details}


def test_files_shrink_with_their_weights(exported):
    sizes = [
        exported(precision).size_bytes
        for precision in ("float32", "float16", "full_int8", "dynamic_int8")
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert exported("weight_int8").ops["DEQUANTIZE"] == 7  # one per weighted layer


def test_the_order_of_the_images_does_not_matter(float_content, images):
    forward = full_int8(float_content, images)
    assert full_int8(float_content, images[::-1]) == forward


def test_the_uint8_interface_changes_no_value(float_content, images, crops):
    recipe = edge_quantizer.recipe_for("full_int8")
    ranges = edge_quantizer.calibrate(float_content, recipe, images)
    inner = edge_quantizer.quantize(float_content, recipe, ranges)
    outer = uint8_interface(inner)
    answers = []
    for content, shift in ((inner, 128), (outer, 0)):
        interpreter = interpreter_of(content)
        pixels = crops[0][20:21].astype("int16") - shift
        details = interpreter.get_input_details()[0]
        interpreter.set_tensor(details["index"], pixels.astype(details["dtype"]))
        interpreter.invoke()
        index = interpreter.get_output_details()[0]["index"]
        answers.append(interpreter.get_tensor(index).astype("int16") + shift)
    np.testing.assert_array_equal(*answers)
    assert op_counts(outer)["QUANTIZE"] == op_counts(inner).get("QUANTIZE", 0) + 2
    names = interpreter_of(outer).get_signature_list()["serving_default"]
    assert names == {"inputs": ["image"], "outputs": ["probabilities"]}


def test_float_inputs_are_not_taken_for_pixels(build_net, crops):
    net = build_net(1, "sigmoid", SIZE)
    content = convert(concrete_function(net, SIZE, "probabilities"))
    hounsfield = [image[None].astype("float32") * 8 - 1000 for image in crops[0][:8]]
    quantized = interpreter_of(full_int8(content, hounsfield))
    scale, zero_point = quantized.get_input_details()[0]["quantization"]
    low, high = np.min(hounsfield), np.max(hounsfield)
    assert (0 - zero_point) * scale == pytest.approx(low, abs=scale)
    assert (255 - zero_point) * scale == pytest.approx(high, abs=scale)


def test_the_converter_takes_over_where_the_quantizer_fails(
    net, crops, tmp_path, monkeypatch
):
    def fail(*args):
        raise ExportError("The AI Edge Quantizer cannot quantize the model: no policy")

    monkeypatch.setattr(candidates, "Quantization", fail)
    report = export(
        net,
        tmp_path / "net.tflite",
        size=SIZE,
        precision="full_int8",
        calibration=crops[0],
        verbose=False,
    )
    assert report.converter == "converter"
    assert "no policy" in report.alternatives["quantizer"]
    assert report.parity.agreement >= 0.97
    (inputs,) = Interpreter(model_path=str(report.path)).get_input_details()
    assert inputs["dtype"] == np.uint8


@pytest.mark.parametrize("way", ["quantizer", "converter"])
def test_hard_swish_is_computed_in_float(crops, images, way):
    image = keras.Input((*SIZE, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="hard_swish")(image)
    net = keras.Model(image, keras.layers.Conv2D(2, 1)(x))
    function = concrete_function(net, SIZE, "logits")
    floats = convert(function)
    assert op_counts(floats)["HARD_SWISH"] == 1
    if way == "quantizer":
        content = full_int8(floats, images)
    else:
        content = convert(
            function, calibration=[image.astype("float32") for image in images]
        )
    counts = op_counts(content)
    # XNNPACK has no int8 kernel for it; the others are those of the ends.
    assert (counts["HARD_SWISH"], counts["DEQUANTIZE"], counts["QUANTIZE"]) == (1, 3, 3)


def test_patterns_fit_names_paths_and_the_models_they_lie_in():
    class Named(Quantization):
        def __init__(self):
            self.layers = dict.fromkeys(
                [
                    "net/body/conv1_bn + net/body/conv1",
                    "net/body/conv2",
                    "net/head",
                    "a b",
                ]
            )

    first, second, head, last = Named().layers
    for pattern, expected in (
        ("conv1", [first]),
        ("conv1_bn", [first]),
        ("body/conv?", [first, second]),
        ("body", [first, second]),
        ("net", [first, second, head]),
        ("*", [first, second, head, last]),
        (second, [second]),
        (first, [first]),
        ("a b", [last]),
    ):
        assert Named().matching([pattern]) == expected
    assert Named().matching(["head", "net"]) == [head, first, second]
    for wrong in ("conv", "bod", "onv1", ""):
        with pytest.raises(ValueError, match="`keep_float` must be.*fits none"):
            Named().matching([wrong])
