"""Linting real files, whoever made them."""

import subprocess
import sys

import keras
import pytest
from keras import layers

from kseg.mobile.exporting.conversion import concrete_function, convert
from kseg.mobile.linting.linter import lint


def converted(model, batch=1):
    """The `.tflite` that TensorFlow's converter makes of a Keras model."""
    import tensorflow as tf

    shape = (batch, *model.input_shape[1:])
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serve",
        model.call,
        input_signature=[tf.TensorSpec(shape, "float32", name="image")],
    )
    return archive


@pytest.fixture(scope="module")
def atrous_with_open_batch(tmp_path_factory):
    """A dilated convolution exported with a dynamic batch, as Keras does by itself."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("lint")
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, dilation_rate=2, padding="same", name="atrous")(image)
    model = keras.Model(image, layers.BatchNormalization(name="norm")(x))
    converted(model, None).write_out(str(folder / "saved"), verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved"))
    path = folder / "net.tflite"
    path.write_bytes(converter.convert())
    return path


def test_a_static_export_is_clean_in_both_profiles(exported):
    report = lint(exported().path)
    assert report.clean()
    assert report.clean("delegate")
    assert report.clean("litert")
    assert "takes all of it" in str(report)


def test_an_open_batch_leaves_space_to_batch_which_both_refuse(atrous_with_open_batch):
    report = lint(atrous_with_open_batch)
    assert not report.clean("delegate")
    assert not report.clean("litert")
    refused = [op for op in report.operations if op.name == "SPACE_TO_BATCH_ND"]
    assert len(refused) == 1
    assert set(refused[0].refusals) == {"delegate", "litert"}
    assert "static batch" in refused[0].advice
    assert "SPACE_TO_BATCH_ND" in str(report)


def test_a_category_mask_is_refused_by_the_delegate_alone(exported):
    report = lint(exported(output="category_mask").path)
    assert not report.clean("delegate")
    assert report.clean("litert")
    (refused,) = [op for op in report.operations if op.refusals]
    assert refused.name == "ARG_MAX"
    assert "choose the class on the CPU" in refused.advice


def test_every_operation_is_printed_with_its_layer_and_both_verdicts(exported):
    report = lint(exported(output="category_mask").path)
    heads, *rows = str(report).splitlines()[: len(report.operations) + 1]
    assert heads.split() == ["#", "operation", "shape", "delegate", "litert", "layers"]
    for row, op in zip(rows, report.operations, strict=True):
        index, name, shape, delegate, litert, layers = row.split(maxsplit=5)
        assert (int(index), name, layers) == (op.index, op.name, op.layers)
        assert shape == "x".join(map(str, op.shape))
        assert (delegate == "no") == ("delegate" in op.refusals)
        assert (litert == "no") == ("litert" in op.refusals)
    assert "no" in rows[-1].split()
    assert any("depthwise_conv2d" in row for row in rows)


@pytest.mark.parametrize("padded", [True, False])
def test_an_average_over_padding_is_warned_of(tmp_path, padded):
    # LiteRT 2.3's accelerator answered other values at the border of DeepLab v1.
    image = keras.Input((16, 16, 3))
    x = layers.ZeroPadding2D()(image) if padded else image
    x = layers.AveragePooling2D(3, 1, padding="valid" if padded else "same")(x)
    path = tmp_path / "net.tflite"
    function = concrete_function(keras.Model(image, x), (16, 16), "logits")
    path.write_bytes(convert(function))
    report = lint(path)
    assert report.clean()
    assert [op.name for op in report.operations if op.warning] == (
        ["AVERAGE_POOL_2D"] if padded else []
    )
    assert ("padding before it out of the average" in str(report)) == padded


def test_layers_are_those_of_the_keras_model(tmp_path):
    from kseg import models
    from kseg.mobile import export

    model = models.lraspp(
        (32, 32, 3), 2, backbone="mobilenet_v3_small", width_multiplier=0.5
    )
    report = lint(export(model, tmp_path / "net.tflite", verbose=False).path)
    names = {layer.name for layer in model.layers}
    backbone = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    names |= {f"{backbone.name}/{layer.name}" for layer in backbone.layers}
    known = [
        part in names or part == backbone.name  # bare operations have no layer
        for op in report.operations
        for part in op.layers.split(" + ")
    ]
    assert sum(known) / len(known) > 0.95


def test_needs_neither_keras_nor_tensorflow(exported):
    code = (
        "import sys; from kseg.mobile import lint; str(lint(sys.argv[1]));"
        "print({'keras', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(exported().path)],
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "set()", done.stderr


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Received: path=.*none\.tflite"):
        lint(tmp_path / "none.tflite")


@pytest.mark.parametrize("content", [b"", b"PK\3\4 a zip", bytes(100)])
def test_a_file_that_is_no_tflite_is_refused(tmp_path, content):
    path = tmp_path / "net.tflite"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"`path` must be a \.tflite .* Received: "):
        lint(path)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.9])
def test_a_truncated_file_is_refused(exported, tmp_path, share):
    content = exported().path.read_bytes()
    path = tmp_path / "net.tflite"
    path.write_bytes(content[: max(16, int(share * len(content)))])
    with pytest.raises(ValueError, match=r"damaged .* Received: "):
        lint(path)


def test_an_unknown_profile_is_refused(exported):
    with pytest.raises(ValueError, match="Received: profile='metal'"):
        lint(exported().path).clean("metal")
