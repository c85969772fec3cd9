"""Int8 upsampling as a convolution: the same numbers as a resize, up to rounding."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from kseg.mobile.exporting import edge_quantizer
from kseg.mobile.exporting.conversion import convert
from kseg.mobile.exporting.integer_upsampling import upsample_by_convolution
from kseg.mobile.tflite.graph import op_counts

CONVOLUTION = {"SLICE": 4, "CONCATENATION": 2, "CONV_2D": 1, "DEPTH_TO_SPACE": 1}


def quantized(shape, size, align_corners=False, half_pixel_centers=True):
    """A file of one int8 resize, its scale and zero point, and an input in int8."""

    def resize(image):
        return {
            "y": tf.compat.v1.image.resize_bilinear(
                image, size, align_corners, "resize"
            )
            if align_corners
            else tf.raw_ops.ResizeBilinear(
                images=image, size=size, half_pixel_centers=half_pixel_centers
            )
        }

    spec = tf.TensorSpec(shape, "float32", name="image")
    traced = tf.function(resize, input_signature=[spec])
    floats = convert(traced.get_concrete_function())
    random = np.random.default_rng(0)
    images = [random.normal(0, 3, shape).astype("float32") for _ in range(8)]
    recipe = edge_quantizer.recipe_for("full_int8")
    ranges = edge_quantizer.calibrate(floats, recipe, images)
    content = edge_quantizer.quantize(floats, recipe, ranges)
    return content, random.integers(-128, 128, shape).astype("int8")


def run(content, x):
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.parametrize("factor", [2, 3, 4, 5, 6])
@pytest.mark.parametrize(
    "small", [(8, 8), (5, 9), (1, 7), (1, 1)], ids=["square", "odd", "line", "1x1"]
)
def test_every_pixel_is_that_of_a_resize_up_to_rounding(small, factor):
    size = tuple(factor * n for n in small)
    content, x = quantized((1, *small, 1), size)
    edited = upsample_by_convolution(content)
    assert op_counts(edited) == CONVOLUTION
    found = run(edited, x)
    assert found.shape == (1, *size, 1)
    # TensorFlow's in float, edges and corners included: half a step is rounding.
    expected = tf.image.resize(x.astype("float32"), size).numpy()
    assert np.abs(found - expected).max() <= 0.5 + 1e-3
    assert np.abs(found.astype(int) - run(content, x)).max() <= 1


def test_the_shapes_in_the_file_are_those_of_a_batch_too():
    content, x = quantized((2, 4, 6, 1), (16, 24))
    edited = upsample_by_convolution(content)
    assert np.abs(run(edited, x).astype(int) - run(content, x)).max() <= 1
    interpreter = Interpreter(model_content=edited)
    written = [tuple(d["shape"]) for d in interpreter.get_tensor_details()]
    assert (2, 4, 6, 16) in written


def test_a_map_that_others_read_too_stays_theirs():
    def both(image):
        large = tf.image.resize(image, (16, 24))
        return {"y": tf.concat([large, tf.image.resize(-image, (16, 24))], -1)}

    spec = tf.TensorSpec((1, 4, 6, 1), "float32", name="image")
    floats = convert(tf.function(both, input_signature=[spec]).get_concrete_function())
    images = [np.random.default_rng(i).normal(0, 3, (1, 4, 6, 1)) for i in range(8)]
    recipe = edge_quantizer.recipe_for("full_int8")
    images = [image.astype("float32") for image in images]
    ranges = edge_quantizer.calibrate(floats, recipe, images)
    content = edge_quantizer.quantize(floats, recipe, ranges)
    edited = upsample_by_convolution(content)
    assert op_counts(edited)["DEPTH_TO_SPACE"] == 2
    x = np.random.default_rng(0).integers(-128, 128, (1, 4, 6, 1)).astype("int8")
    assert np.abs(run(edited, x).astype(int) - run(content, x)).max() <= 1


def test_a_flat_map_stays_flat():
    content, x = quantized((1, 4, 6, 1), (16, 24))
    for value in (-128, 0, 127):
        flat = np.full_like(x, value)
        assert (run(upsample_by_convolution(content), flat) == value).all()


@pytest.mark.parametrize(
    ("shape", "size", "options"),
    [
        ((1, 4, 4, 2), (16, 16), {}),
        ((1, 4, 4, 1), (32, 32), {}),
        ((1, 4, 4, 1), (16, 8), {}),
        ((1, 4, 4, 1), (10, 10), {}),
        ((1, 4, 4, 1), (2, 2), {}),
        ((1, 4, 4, 1), (16, 16), {"align_corners": True}),
        ((1, 4, 4, 1), (16, 16), {"half_pixel_centers": False}),
    ],
    ids=[
        "two channels",
        "weights that no int8 has",
        "two factors",
        "no whole factor",
        "downsampling",
        "aligned corners",
        "corners as centres",
    ],
)
def test_other_resizes_stay(shape, size, options):
    content, _ = quantized(shape, size, **options)
    assert op_counts(content) == {"RESIZE_BILINEAR": 1}
    assert upsample_by_convolution(content) is content


def test_floats_stay():
    spec = tf.TensorSpec((1, 4, 4, 1), "float32", name="image")
    traced = tf.function(
        lambda image: {"y": tf.image.resize(image, (16, 16))}, input_signature=[spec]
    )
    content = convert(traced.get_concrete_function())
    assert upsample_by_convolution(content) is content


def test_xnnpack_takes_all_of_it():
    content, _ = quantized((1, 8, 8, 1), (32, 32))
    interpreter = Interpreter(
        model_content=upsample_by_convolution(content), num_threads=1
    )
    interpreter.allocate_tensors()
    names = [op["op_name"] for op in interpreter._get_ops_details()]
    assert names.count("DELEGATE") == 1
    (delegate,) = (
        d for d in interpreter._get_ops_details() if d["op_name"] == "DELEGATE"
    )
    (end,) = interpreter.get_output_details()
    assert end["index"] in delegate["outputs"]
