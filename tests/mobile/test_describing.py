"""What is said of a file: of one image, of several inputs, and of whoever made it."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from kseg import cli, models
from kseg.mobile import export
from kseg.mobile.describing import describe_model
from kseg.mobile.nets import WEIGHTS
from kseg.mobile.tflite.graph import pack, unpack

SIZE = (64, 96)


def kseg(*arguments):
    from typer.testing import CliRunner

    result = CliRunner().invoke(cli.app, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return " ".join(result.output.split())


def test_a_net_of_one_image_in_both_kinds_of_file():
    for name in ("person", "person_float16"):
        rows = describe_model(name)
        assert rows["input"] == "RGB 0–255, 256 x 256"
        assert rows["classes"] == "1: the probability of the foreground"
    assert rows["labels"] == "background, person"
    assert "CONV_2D" in rows["operations"]
    assert "mean 0, std 1" in rows["metadata"]
    assert rows["size"] == f"{(WEIGHTS / f'{name}.tflite').stat().st_size / 1e6:.2f} MB"


@pytest.fixture(scope="module")
def step(tmp_path_factory):
    """A step of a video network: its `.keras` and its `.tflite`."""
    folder = tmp_path_factory.mktemp("step")
    keras.utils.set_random_seed(0)
    model = models.video.stfcn(
        (*SIZE, 3),
        3,
        recurrence="local",
        cell="gru",
        padding="same",
        width_multiplier=1 / 16,
        units=16,
    )
    model.save(folder / "step.keras")
    frames = np.random.default_rng(0).integers(0, 256, (4, *SIZE, 3), "uint8")
    export(model, folder / "step.tflite", calibration=frames, verbose=False)
    return folder, model


def test_a_step_of_a_video_network_in_both_kinds_of_file(step):
    folder, model = step
    for name in ("step.keras", "step.tflite"):
        rows = describe_model(folder / name)
        taken = {key for key in rows if key.startswith("takes")}
        given = {key for key in rows if key.startswith("gives")}
        assert taken == {f"takes {key!r}" for key in model.input}
        assert given == {f"gives {key!r}" for key in model.output}
        for key in models.video.state_names(model):
            assert "zeros at first, then what it gave before" in rows[f"takes {key!r}"]
        assert "zeros" not in rows["takes 'image'"]
    runner = Interpreter(model_path=str(folder / "step.tflite")).get_signature_runner()
    for name, details in runner.get_input_details().items():
        kind = f"{np.dtype(details['dtype'])} {tuple(map(int, details['shape']))}"
        assert rows[f"takes {name!r}"].startswith(kind)
    assert "takes 'image' float32 (1, 64, 96, 3)" in kseg(
        "info", folder / "step.tflite"
    )
    assert "takes 'image' float32 (None, 64, 96, 3)" in kseg(
        "info", folder / "step.keras"
    )


def test_a_net_of_clouds_and_a_category_in_both_kinds_of_file(tmp_path):
    keras.utils.set_random_seed(0)
    model = models.points.pointnet_part_segmentation(
        (64, 3), 3, num_categories=4, width_multiplier=1 / 8
    )
    model.save(tmp_path / "net.keras")
    random = np.random.default_rng(0)
    clouds = [
        {"points": random.uniform(-1, 1, (64, 3)), "category": n % 4} for n in range(4)
    ]
    export(model, tmp_path / "net.tflite", calibration=clouds, verbose=False)
    described = describe_model(tmp_path / "net.keras")
    assert described["takes 'points'"] == "float32 (None, 64, 3)"
    assert described["takes 'category'"] == "float32 (None, 4)"
    assert described["parameters"] == f"{model.count_params():,}"
    described = describe_model(tmp_path / "net.tflite")
    assert described["takes 'points'"] == "float32 (1, 64, 3)"
    assert described["takes 'category'"] == "float32 (1, 4)"
    assert described["gives 'probabilities'"] == "float32 (1, 64, 3)"
    assert described["metadata"] == "none"


def test_a_clip_and_an_image_of_six_channels_are_inputs_like_any(tmp_path):
    for shape in ((2, 8, 8, 3), (8, 8, 6)):
        x = keras.Input(shape, name="x")
        keras.Model(x, layers.Dense(2)(x)).save(tmp_path / "net.keras")
        rows = describe_model(tmp_path / "net.keras")
        assert rows["takes 'x'"] == f"float32 {(None, *shape)}"


def test_a_file_without_a_signature_has_the_names_of_its_tensors(step, tmp_path):
    folder, _ = step
    graph = unpack((folder / "step.tflite").read_bytes())
    graph.signatureDefs = None
    path = tmp_path / "foreign.tflite"
    path.write_bytes(pack(graph))
    details = Interpreter(model_path=str(path)).get_input_details()
    rows = describe_model(path)
    assert [key for key in rows if key.startswith("takes")] == [
        f"takes {end['name']!r}" for end in details
    ]


def test_a_damaged_file_of_several_inputs_is_refused(step, tmp_path):
    folder, _ = step
    for name in ("step.tflite", "step.keras"):
        content = (folder / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match="must be a complete.*Received"):
            describe_model(tmp_path / name)


def test_a_tflite_is_described_without_keras_and_tensorflow(step):
    folder, _ = step
    code = (
        "import sys; from kseg.mobile.describing import describe_model;"
        "print(len(describe_model(sys.argv[1])));"
        "print({'keras', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / "step.tflite")],
        capture_output=True,
        text=True,
    )
    count, modules = done.stdout.splitlines() or (done.stderr, "")
    assert int(count) > 5
    assert modules == "set()"
