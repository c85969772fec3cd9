"""Exported files are clean, equal to Keras, and described by their report."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers

SIZE = (64, 96)


def run_litert(path, image):
    """Runs a file without any of kseg's code: the oracle of this module."""
    interpreter = Interpreter(model_content=path.read_bytes())
    interpreter.allocate_tensors()
    (inputs,), (outputs,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    interpreter.set_tensor(inputs["index"], image[None].astype(inputs["dtype"]))
    interpreter.invoke()
    values = interpreter.get_tensor(outputs["index"])[0]
    scale, zero_point = outputs["quantization"]
    return (values.astype("float32") - zero_point) * scale if scale else values


@pytest.mark.parametrize(
    ("precision", "limit"),
    [
        ("float32", 1e-5),
        ("float16", 1e-2),
        ("weight_int8", 0.05),
        ("dynamic_int8", 0.1),
        ("full_int8", 0.15),
    ],
)
def test_probabilities_on_unseen_photos_are_those_of_keras(
    exported, net, crops, precision, limit
):
    report = exported(precision)
    for image in crops[0][16:20]:
        expected = np.asarray(net(image[None].astype("float32"), training=False))[0]
        actual = run_litert(report.path, image)
        assert actual.shape == (*SIZE, 3)
        assert np.abs(actual - expected).max() < limit
        clear = np.sort(expected, axis=-1)
        clear = clear[..., -1] - clear[..., -2] > 0.05
        same = actual.argmax(-1) == expected.argmax(-1)
        assert same[clear].mean() >= 0.97


def test_the_report_tells_what_the_file_is(exported):
    report = exported("float16")
    assert report.size_bytes == report.path.stat().st_size
    assert report.size == SIZE
    assert report.num_classes == 3
    assert report.parity.images == 16  # of 24, at even distances
    assert report.parity.max_error <= 1e-2
    assert report.parity.agreement == 1.0
    assert "float16" in str(report)
    assert report.to_dict()["parity"]["mean_iou"] > 0.99


def test_dilation_stays_one_operation_and_batch_norm_is_folded(exported):
    # Counted by hand in `small_net`: 3 + gate + classifier convolutions; the products
    # are the normalisation, the gate and its hard sigmoid. GPUs take no activation inside
    # of the transposed convolution.
    assert exported("float32").ops == {
        "CONV_2D": 5,
        "MUL": 3,
        "ADD": 1,
        "CONCATENATION": 1,
        "DEPTHWISE_CONV_2D": 1,
        "MEAN": 1,
        "RELU": 1,
        "RESIZE_BILINEAR": 1,
        "SOFTMAX": 1,
        "TRANSPOSE_CONV": 1,
    }


@pytest.mark.parametrize("precision", ["float32", "float16", "full_int8"])
def test_batch_and_size_are_static(exported, precision):
    interpreter = Interpreter(model_path=str(exported(precision).path))
    (inputs,) = interpreter.get_input_details()
    assert inputs["shape_signature"].tolist() == [1, *SIZE, 3]
    assert list(interpreter.get_signature_list()) == ["serving_default"]


def test_logits_become_the_probabilities_by_softmax(exported, net, crops):
    image = crops[0][20]
    logits = run_litert(exported(output="logits").path, image)
    expected = np.asarray(net(image[None].astype("float32"), training=False))[0]
    assert logits.min() < 0
    np.testing.assert_allclose(
        np.asarray(keras.ops.softmax(logits)), expected, atol=1e-5
    )


@pytest.mark.parametrize("precision", ["float32", "full_int8"])
def test_a_category_mask_holds_class_ids(exported, net, crops, precision):
    image = crops[0][20]
    ids = run_litert(exported(precision, "category_mask").path, image)
    expected = np.asarray(net(image[None].astype("float32"), training=False))[0]
    assert ids.dtype == np.int32
    assert (ids == expected.argmax(-1)).mean() > 0.97


@pytest.mark.parametrize("output", ["probabilities", "logits", "category_mask"])
def test_one_class_nets_export_in_every_form(person_net, crops, quick, output):
    report = quick(person_net, output=output, labels=("background", "person"))
    image = crops[0][20]
    expected = np.asarray(person_net(image[None].astype("float32"), training=False))[0]
    actual = run_litert(report.path, image)
    if output == "logits":
        actual = 1 / (1 + np.exp(-actual))
    if output == "category_mask":
        expected = (expected[..., 0] > 0.5).astype("int32")
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_a_net_that_ends_in_logits_gets_its_softmax(net, quick):
    logits = keras.Model(net.inputs[0], net.get_layer("logits").output)
    report = quick(logits, size=SIZE)
    assert report.ops["SOFTMAX"] == 1


def test_grouped_convolutions_and_nested_models_export(crops, quick):
    image = keras.Input((*SIZE, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    x = layers.Conv2D(16, 3, padding="same", groups=4, name="grouped")(x)
    encoder = keras.Model(image, x, name="encoder")
    outer = keras.Input((*SIZE, 3))
    scores = layers.Conv2D(3, 1)(encoder(layers.Rescaling(1 / 255)(outer)))
    model = keras.Sequential([keras.Model(outer, scores), layers.Softmax()])
    report = quick(model)
    expected = np.asarray(model(crops[0][:1].astype("float32"), training=False))[0]
    np.testing.assert_allclose(
        run_litert(report.path, crops[0][0]), expected, atol=1e-5
    )


def test_mixed_precision_exports_in_float32(build_net, net, crops, quick):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = build_net(3, None)
        half = keras.Model(
            half.inputs[0], layers.Activation("softmax", dtype="float32")(half.output)
        )
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(net.get_weights())
    report = quick(half, size=SIZE)
    expected = np.asarray(net(crops[0][:1].astype("float32"), training=False))[0]
    np.testing.assert_allclose(
        run_litert(report.path, crops[0][0]), expected, atol=1e-5
    )


class Subclassed(keras.Model):
    """A user's own model: it knows of images only what it was called with."""

    def __init__(self):
        super().__init__()
        self.features = layers.Conv2D(4, 3, strides=2, padding="same")
        self.scores = layers.Conv2D(3, 3, padding="same", activation="softmax")
        self.resize = layers.UpSampling2D(2, interpolation="bilinear")

    def call(self, images):
        return self.resize(self.scores(self.features(images / 255)))


def functional(name):
    image = keras.Input((*SIZE, 3), name=name)
    return keras.Model(image, Subclassed()(image), name="net.of-2026")


def sequential():
    return keras.Sequential(
        [
            layers.Rescaling(1 / 255),
            layers.Conv2D(3, 3, padding="same"),
            layers.Softmax(),
        ]
    )


def of_a_dict():
    image = keras.Input((None, None, 3), name="photo")
    return keras.Model({"photo": image}, layers.Conv2D(3, 1)(image))


def nested_twice():
    inner = keras.Sequential([functional("photo"), layers.Dropout(0.5)])
    image = keras.Input((*SIZE, 3), name="input")
    return keras.Sequential([keras.Model(image, inner(image)), layers.Identity()])


@pytest.mark.parametrize(
    "build",
    [
        Subclassed,
        sequential,
        of_a_dict,
        nested_twice,
        lambda: functional("image"),
        lambda: functional("serving_default_x:0"),
        lambda: functional("probabilities"),
    ],
    ids=[
        "subclassed",
        "sequential",
        "of a dict",
        "nested",
        "named image",
        "named like a tensor",
        "named like the output",
    ],
)
def test_every_users_model_exports(build, crops, quick):
    keras.utils.set_random_seed(0)
    model = build()
    image = crops[0][:1].astype("float32")
    given = {"photo": image} if build is of_a_dict else image
    expected = np.asarray(model(given, training=False))[0]
    report = quick(model, size=SIZE, output="probabilities")
    if build is of_a_dict:  # which ends in logits
        expected = np.asarray(keras.ops.softmax(expected))
    np.testing.assert_allclose(
        run_litert(report.path, crops[0][0]), expected, atol=1e-5
    )
    (given,) = Interpreter(model_path=str(report.path)).get_input_details()
    assert given["shape"].tolist() == [1, *SIZE, 3]


def test_nothing_but_the_report_is_printed(person_net, quick, crops, capfd):
    images = crops[0][:8]
    capfd.readouterr()
    for precision in ("float32", "full_int8"):
        quick(person_net, precision=precision, calibration=images)
        assert capfd.readouterr() == ("", "")
    report = quick(person_net, verbose=True)
    assert capfd.readouterr() == (f"{report}\n", "")


def test_the_bundled_photos_serve_where_none_are_given(person_net, quick):
    assert quick(person_net, calibration=None).parity.images == 8
