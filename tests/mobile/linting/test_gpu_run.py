"""Runs on the GPU alone: in software where Chromium's driver is, and told where not."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers
from typer.testing import CliRunner

from kseg.cli import app
from kseg.mobile import lint
from kseg.mobile.exporting.unfusing import separate_activations
from kseg.mobile.images import PHOTOS
from kseg.mobile.linting import gpu_run, linter
from kseg.mobile.linting.gpu_run import GpuRun, OutputDifference, run_on_gpu
from kseg.mobile.tflite import workers
from kseg.mobile.tflite.graph import op_name, pack, schema, unpack
from kseg.mobile.tflite.metadata import Metadata, write_metadata
from kseg.mobile.tflite.runtime import open_interpreter
from kseg.mobile.tflite.workers import SOFTWARE_DRIVER

SHAPE = (32, 48, 3)
needs_driver = pytest.mark.skipif(
    not SOFTWARE_DRIVER.exists(), reason=f"needs Debian's chromium ({SOFTWARE_DRIVER})"
)


def by_the_converter(model, folder, images=None):
    """The content that TensorFlow's converter alone makes, in integers for `images`."""
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    archive.track(model)
    inputs = [
        tf.TensorSpec((1, *x.shape[1:]), "float32", name=x.name) for x in model.inputs
    ]
    signature = [inputs] if len(inputs) > 1 else inputs
    archive.add_endpoint("serve", model.call, input_signature=signature)
    archive.write_out(str(folder), verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    if images is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image] for image in images)
    return converter.convert()


@pytest.fixture(scope="module")
def fused(tmp_path_factory):
    """A net whose transposed convolution has its activation inside."""
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE, name="image")
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(
        8, 2, strides=2, activation="relu", bias_initializer="uniform", name="up"
    )(x)
    x = layers.Conv2D(3, 3, padding="same", activation="softmax")(x)
    folder = tmp_path_factory.mktemp("fused")
    content = by_the_converter(keras.Model(image, x), folder / "saved")
    (folder / "net.tflite").write_bytes(content)
    return folder / "net.tflite"


def answer(content, image):
    interpreter = open_interpreter(content)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_an_activation_apart_changes_no_value_and_both_profiles_take_it(
    fused, tmp_path
):
    content = fused.read_bytes()
    (refused,) = [op for op in lint(fused).operations if op.refusals]
    assert refused.name == "TRANSPOSE_CONV"
    assert refused.layers == "up"
    assert "version 4" in refused.refusals["delegate"]
    assert "version 4" in refused.refusals["litert"]
    apart = separate_activations(content)
    image = np.random.default_rng(0).uniform(0, 255, (1, *SHAPE)).astype("float32")
    np.testing.assert_array_equal(answer(apart, image), answer(content, image))
    path = tmp_path / "net.tflite"
    path.write_bytes(apart)
    assert lint(path).clean()
    assert [op.name for op in lint(path).operations].count("RELU") == 1
    assert separate_activations(apart) == apart  # nothing is left to do


@pytest.mark.parametrize("activation", ["RELU", "RELU6"])
def test_integers_stay_equal_with_the_activation_apart(tmp_path, activation):
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2DTranspose(4, 2, strides=2)(image)
    model = keras.Model(image, layers.Conv2D(4, 3)(x))
    images = np.random.default_rng(0).uniform(-9, 9, (8, 1, 8, 8, 3)).astype("float32")
    plain = by_the_converter(model, tmp_path / "saved", images)
    # The converter fuses none into integers, but the AI Edge Quantizer keeps what was.
    graph = unpack(plain)
    for code in graph.operatorCodes:
        code.version = 4 if op_name(code) == "TRANSPOSE_CONV" else code.version
    (op,) = [
        op
        for op in graph.subgraphs[0].operators
        if op_name(graph.operatorCodes[op.opcodeIndex]) == "TRANSPOSE_CONV"
    ]
    kind = getattr(schema.ActivationFunctionType, activation)
    op.builtinOptions.fusedActivationFunction = kind
    content = pack(graph)
    apart = separate_activations(content)
    assert lint_content(tmp_path, content) == {"TRANSPOSE_CONV"}
    assert lint_content(tmp_path, apart) == set()
    assert np.any(answer(content, images[0]) != answer(plain, images[0]))
    np.testing.assert_array_equal(answer(apart, images[0]), answer(content, images[0]))


def lint_content(folder, content):
    """Names of the operations of a file that a GPU refuses."""
    path = folder / "net.tflite"
    path.write_bytes(content)
    return {op.name for op in lint(path).operations if op.refusals}


@needs_driver
def test_a_net_that_the_gpu_takes_is_resident_and_answers_as_the_cpu(fused, tmp_path):
    path = tmp_path / "net.tflite"
    metadata = Metadata(labels=("a", "b", "c"))
    apart = separate_activations(fused.read_bytes())
    path.write_bytes(write_metadata(apart, metadata))
    found = run_on_gpu(path, PHOTOS / "ccp_0057.jpg")
    assert found.verdict == "resident"
    assert found.adapter
    (output,) = found.outputs
    assert output.agreement >= 0.999
    assert output.max_error < 1e-3  # half precision at worst; float32 in software
    assert 0 < output.largest <= 1
    assert f"resident on {found.adapter}" in str(found)


@needs_driver
def test_what_the_gpu_refuses_is_told_in_its_own_words(fused):
    found = run_on_gpu(fused)
    assert found.verdict == "refused"
    assert "TRANSPOSE_CONV: Max version supported: 3" in found.message


@needs_driver
def test_a_net_of_several_inputs_and_outputs_is_run(tmp_path):
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE, name="image")
    state = keras.Input((32, 48, 4), name="state")
    x = layers.Conv2D(4, 3, padding="same", name="new")(layers.Rescaling(0.01)(image))
    new = layers.Add(name="new_state")([x, state])
    scores = layers.Conv2D(1, 3, padding="same", name="scores")(new)
    model = keras.Model([image, state], [scores, new])
    path = tmp_path / "net.tflite"
    path.write_bytes(by_the_converter(model, tmp_path / "saved"))
    found = run_on_gpu(path)
    assert found.verdict == "resident"
    assert len(found.outputs) == 2
    assert all(output.agreement is None for output in found.outputs)


def test_without_a_driver_this_is_the_verdict(fused, monkeypatch, tmp_path):
    monkeypatch.setenv("VK_ICD_FILENAMES", str(tmp_path / "none.json"))
    monkeypatch.setattr(workers, "SOFTWARE_DRIVER", tmp_path / "none.json")
    found = run_on_gpu(fused)
    assert found.verdict == "no driver"
    assert "chromium" in found.message


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os; os.abort()", "status -6"),
        ("import time; time.sleep(60)", "more than 2 s"),
    ],
)
def test_a_driver_that_crashes_or_hangs_is_a_verdict(
    fused, monkeypatch, tmp_path, code, message
):
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!{sys.executable}\n{code}")
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    found = run_on_gpu(fused, timeout=2)
    assert found.verdict == "crashed"
    assert message in found.message


@pytest.mark.parametrize(
    ("difference", "matches"),
    [
        ({"agreement": 0.99, "mean_error": 0.02}, True),
        ({"agreement": 0.98, "mean_error": 0.0}, False),
        # All zeros agree where the CPU finds the background alone.
        ({"agreement": 1.0, "mean_error": 0.03}, False),
        ({"agreement": None, "mean_error": 0.01}, True),
        ({"agreement": None, "mean_error": 1e308}, False),
        # Near-ties of an untrained net.
        ({"agreement": 0.9, "mean_error": 1e-4, "max_error": 1e-3}, True),
    ],
)
def test_answers_match_in_classes_and_in_values(difference, matches):
    output = OutputDifference(
        **{"name": "x", "max_error": 1, "largest": 1, **difference}
    )
    assert output.matches == matches


def test_other_answers_than_the_cpu_are_wrong(monkeypatch, fused):
    output = {"name": "x", "max_error": 2.0, "mean_error": 1.0, "largest": 2.0}
    said = {"driver": True, "adapter": "A", "software": False, "whole": True}
    said["outputs"] = [{**output, "agreement": 0.5}]
    monkeypatch.setattr(gpu_run, "run_gpu_worker", lambda *_, **options: said)
    assert run_on_gpu(fused).verdict == "wrong"
    said["whole"], said["refused"] = False, []
    assert run_on_gpu(fused).verdict == "refused"


def test_a_file_that_the_cpu_does_not_run_is_refused(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"must be a complete LiteRT model"):
        run_on_gpu(path)


def test_a_photo_that_is_none_is_refused(fused, tmp_path):
    with pytest.raises(ValueError, match=r"`image` must be the path of an image"):
        run_on_gpu(fused, tmp_path / "none.jpg")


@needs_driver
def test_a_run_needs_neither_keras_nor_tensorflow(fused):
    code = (
        "import json, sys; from kseg.mobile.linting.gpu_worker import compare;"
        "print(json.dumps(compare(*sys.argv[1:])));"
        "print({'keras', 'tensorflow'} & set(sys.modules))"
    )
    photo = str(PHOTOS / "ccp_0001.jpg")
    done = subprocess.run(
        [sys.executable, "-c", code, str(fused), photo], capture_output=True, text=True
    )
    answer, modules = done.stdout.splitlines()
    assert "driver" in json.loads(answer), done.stderr
    assert modules == "set()"


@pytest.mark.parametrize(
    ("verdict", "status"), [("resident", 0), ("wrong", 3), ("no driver", 4)]
)
def test_the_command_ends_with_a_status_of_its_own(
    fused, tmp_path, monkeypatch, verdict, status
):
    path = tmp_path / "net.tflite"
    path.write_bytes(separate_activations(fused.read_bytes()))
    monkeypatch.setattr(linter, "run_on_gpu", lambda *_: GpuRun(verdict, adapter="A"))
    done = CliRunner().invoke(app, ["lint", str(path), "--run"])
    assert done.exit_code == status
    assert f"run       {verdict} on A" in done.output
    done = CliRunner().invoke(app, ["lint", str(path), "--run", "--json"])
    assert json.loads(done.output)["gpu"]["verdict"] == verdict
    # What the rules refuse comes first.
    assert CliRunner().invoke(app, ["lint", str(fused), "--run"]).exit_code == 1
