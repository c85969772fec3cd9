"""Edits of finished files: what they put in place computes the same."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from kseg.mobile.exporting.conversion import convert
from kseg.mobile.linting.linter import lint
from kseg.mobile.tflite.rewriting import resize_ids, uint8_input

SHAPE = (1, 6, 10, 4)


def converted(function, shape=SHAPE):
    spec = tf.TensorSpec(shape, "float32", name="image")
    traced = tf.function(lambda image: {"y": function(image)}, input_signature=[spec])
    return convert(traced.get_concrete_function())


def run(content, x):
    """Runs a file without any of kseg's code, in whatever numbers it takes and gives."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (given,), (gotten,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    scale, zero_point = given["quantization"]
    if scale:
        limits = np.iinfo(given["dtype"])
        x = np.clip(np.round(x / scale) + zero_point, limits.min, limits.max)
    interpreter.set_tensor(given["index"], x.astype(given["dtype"]))
    interpreter.invoke()
    y = interpreter.get_tensor(gotten["index"])
    scale, zero_point = gotten["quantization"]
    return (y.astype("float32") - zero_point) * scale if scale else y


@pytest.mark.parametrize("size", [(6, 10), (12, 20), (13, 21), (48, 35)])
def test_ids_are_repeated_to_the_nearest(size, tmp_path):
    content = resize_ids(
        converted(lambda x: tf.argmax(x, axis=-1, output_type="int32")), size
    )
    x = np.random.default_rng(0).normal(size=SHAPE).astype("float32")
    # Pixels are areas: TensorFlow's own kernel is the oracle.
    expected = tf.compat.v1.image.resize_nearest_neighbor(
        x.argmax(-1)[..., None].astype("float32"), size, half_pixel_centers=True
    )
    answer = run(content, x)
    assert answer.dtype == np.int32
    np.testing.assert_array_equal(answer, expected[..., 0])
    (tmp_path / "ids.tflite").write_bytes(content)
    assert lint(tmp_path / "ids.tflite").clean("litert")


def test_ids_beyond_what_int8_holds_are_exact():
    content = resize_ids(
        converted(lambda x: tf.argmax(x, axis=-1, output_type="int32"), (1, 2, 3, 900)),
        (4, 6),
    )
    ids = np.array([[[0, 127, 128], [255, 256, 899]]])
    x = np.eye(900, dtype="float32")[ids]
    np.testing.assert_array_equal(
        run(content, x), np.repeat(np.repeat(ids, 2, 1), 2, 2)
    )


def test_a_float_input_takes_pixels():
    content = converted(lambda x: x * 0.5 + 1.0)
    pixels = np.random.default_rng(0).integers(0, 256, SHAPE, "uint8")
    edited = uint8_input(content)
    interpreter = Interpreter(model_content=edited)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    assert (given["dtype"], given["quantization"]) == (np.uint8, (1.0, 0))
    np.testing.assert_allclose(run(edited, pixels), pixels * 0.5 + 1.0)
    assert uint8_input(edited) is edited
    assert interpreter.get_signature_list()["serving_default"]["inputs"] == ["image"]
