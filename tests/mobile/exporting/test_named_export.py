"""Models of several inputs and outputs as files: names, state, and what is refused."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers
from PIL import Image

from kseg import mobile
from kseg.mobile.exporting.conversion import convert
from kseg.mobile.exporting.jobs import named_job
from kseg.mobile.exporting.named_model import NamedModel, takes_names
from kseg.mobile.exporting.named_samples import read_samples

SIZE = (16, 24)


def step_model(size=SIZE, activation="softmax", keep=0.5, feedback=4.0):
    """Scores of brightness plus a decaying memory of the frames before."""
    image = keras.Input((*size, 3), name="image")
    state = keras.Input((*size, 2), name="state")
    x = layers.Rescaling(1 / 32, offset=-4)(image)
    conv = layers.Conv2D(2, 1, name="brightness")
    x = conv(x)
    conv.set_weights([np.float32([[[[1, -1]] * 3]]), np.float32([0.5, 0])])
    new = layers.Add(name="sum")([x, layers.Rescaling(keep, name="decay")(state)])
    scores = layers.Rescaling(feedback / 4, name="scores")(new)
    outputs = {"logits": scores, "state": new}
    if activation:
        scores = layers.Activation(activation, name="probabilities")(scores)
        outputs = {"probabilities": scores, "state": new}
    return keras.Model({"image": image, "state": state}, outputs, name="step")


@pytest.fixture(scope="module")
def frames(streets):
    return streets[0][:12, ::4, ::4]


def run_clip(path, frames):
    """Runs a file by its signature without any of kseg's code; yields dicts of floats."""
    runner = Interpreter(model_path=str(path)).get_signature_runner()
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    state = np.zeros(inputs["state"]["shape"], "float32")
    for frame in frames:
        assert inputs["state"]["dtype"] == outputs["state"]["dtype"] == np.float32
        image = frame[None].astype(inputs["image"]["dtype"])
        found = runner(image=image, state=state)
        state = found["state"]
        yield found


def run_keras(model, frames):
    state = np.zeros((1, *model.input["state"].shape[1:]), "float32")
    for frame in frames:
        found = model({"image": frame[None].astype("float32"), "state": state})
        found = {name: np.asarray(x) for name, x in found.items()}
        state = found["state"]
        yield found


def test_state_goes_in_and_out_along_a_video(frames, tmp_path):
    model, path = step_model(), tmp_path / "step.tflite"
    report = mobile.export(model, path, calibration=frames[:4], verbose=False)
    assert report.inputs == {
        "image": "float32 (1, 16, 24, 3)",
        "state": "float32 (1, 16, 24, 2)",
    }
    assert report.outputs == {
        "probabilities": "float32 (1, 16, 24, 2)",
        "state": "float32 (1, 16, 24, 2)",
    }
    assert (report.state, report.size, report.num_classes) == (("state",), SIZE, 2)
    assert "takes 'state'" in str(report) and "zeros at first" in str(report)
    assert report.to_dict()["parity"]["relative_errors"]["state"] < 1e-5
    expected = list(run_keras(model, frames))
    for found, wanted in zip(run_clip(path, frames), expected, strict=True):
        for name in wanted:
            np.testing.assert_allclose(found[name], wanted[name], 1e-4, 1e-5)
    # The memory counts: on its own the last frame looks different.
    (alone,) = run_keras(model, frames[-1:])
    assert np.abs(alone["probabilities"] - expected[-1]["probabilities"]).max() > 0.1


def test_full_int8_has_bytes_for_frames_and_scores_and_floats_for_state(
    frames, tmp_path
):
    model, path = step_model(), tmp_path / "step.tflite"
    report = mobile.export(
        model, path, precision="full_int8", calibration=frames, verbose=False
    )
    assert report.inputs["image"].startswith("uint8")
    assert report.outputs["probabilities"].startswith("uint8")
    assert report.inputs["state"].startswith("float32")
    equal = [
        (found["probabilities"].argmax(-1) == wanted["probabilities"].argmax(-1)).mean()
        for found, wanted in zip(
            run_clip(path, frames), run_keras(model, frames), strict=True
        )
    ]
    assert np.mean(equal) > 0.97
    mobile.export(
        model,
        path,
        precision="full_int8",
        input_dtype="float32",
        calibration=frames,
        verbose=False,
    )
    details = Interpreter(model_path=str(path)).get_signature_runner()
    assert details.get_input_details()["image"]["dtype"] == np.float32


@pytest.mark.parametrize("activation", ["softmax", None])
def test_scores_become_what_is_asked_for(activation, frames, tmp_path):
    model, path = step_model(activation=activation), tmp_path / "step.tflite"
    wanted = list(run_keras(step_model(activation=None), frames))
    for output in ("logits", "probabilities", "category_mask"):
        report = mobile.export(
            model, path, output=output, calibration=frames, verbose=False
        )
        assert set(report.outputs) == {output, "state"}
        for found, (scores, _) in zip(
            run_clip(path, frames), (x.values() for x in wanted), strict=True
        ):
            if output == "logits":
                np.testing.assert_allclose(found[output], scores, 1e-3, 1e-3)
            elif output == "category_mask":
                assert found[output].dtype == np.int32
                assert (found[output] == scores.argmax(-1)).mean() > 0.99
            else:
                np.testing.assert_allclose(found[output].sum(-1), 1, atol=1e-5)


def test_a_file_that_loses_its_state_is_refused(frames):
    # Scores hardly depend on the state, so that they alone would not tell.
    job = named_job(step_model(feedback=0.01), None, "probabilities", frames, 12)
    other = NamedModel(step_model(feedback=0.01, keep=0.3), None, "probabilities")
    shapes = {name: value.shape for name, value in job.samples[0].items()}
    job.measure(convert(job.trace())).check("float16")
    parity = job.measure(convert(other.trace(shapes)))
    with pytest.raises(mobile.ParityError, match="output 'state' is off by"):
        parity.check("full_int8")


def test_calibration_has_the_state_of_the_frame_before(frames):
    model = step_model()
    job = named_job(model, None, "probabilities", frames, 128)
    assert len(job.samples) == len(frames)
    before = np.zeros_like(job.samples[0]["state"])
    for sample, wanted in zip(job.samples, run_keras(model, frames), strict=True):
        np.testing.assert_allclose(sample["state"], before, atol=1e-5)
        assert sample["image"].dtype == np.uint8
        before = wanted["state"]


def test_flow_and_key_frames_come_from_the_video(frames):
    pytest.importorskip("cv2", reason="needs pip install 'kseg[video]'")
    from kseg.data.flow import optical_flow

    names = {"image": 3, "key_image": 3, "flow": 2}
    inputs = {k: keras.Input((*SIZE, n), name=k) for k, n in names.items()}
    scores = layers.Concatenate()(list(inputs.values()))
    scores = layers.Conv2D(2, 1, activation="softmax", name="probabilities")(scores)
    model = keras.Model(inputs, {"probabilities": scores})
    model = NamedModel(model, None, "probabilities")
    first, second, *_ = read_samples(frames, model, 4)
    np.testing.assert_array_equal(first["key_image"][0], frames[0])
    np.testing.assert_array_equal(second["key_image"][0], frames[0])
    np.testing.assert_array_equal(second["image"][0], frames[1])
    np.testing.assert_array_equal(second["flow"][0], optical_flow(frames[1], frames[0]))


def two_inputs(names=("image", "prior")):
    image = keras.Input((*SIZE, 3), name=names[0])
    prior = keras.Input((5,), name=names[1])
    x = layers.Conv2D(2, 1)(layers.Rescaling(1 / 64, offset=-2)(image))
    y = layers.Reshape((1, 1, 2))(layers.Dense(2)(prior))
    scores = layers.Activation("softmax")(layers.Add()([x, y]))
    return keras.Model([image, prior], scores, name="pair")


def test_lists_of_inputs_have_the_names_of_their_layers(frames, tmp_path):
    keras.utils.set_random_seed(3)
    samples = [{"image": x, "prior": i % 5} for i, x in enumerate(frames)]
    report = mobile.export(
        two_inputs(), tmp_path / "n.tflite", calibration=samples, verbose=False
    )
    assert set(report.inputs) == {"image", "prior"} and not report.state
    samples = [{"input_0": np.float32(x), "input_1": np.eye(5)[2]} for x in frames]
    report = mobile.export(
        two_inputs((None, None)),
        tmp_path / "n.tflite",
        calibration=samples,
        verbose=False,
    )
    assert report.inputs["input_1"] == "float32 (1, 5)"


def test_an_open_size_is_that_of_the_file(frames, tmp_path):
    image = keras.Input((None, None, 3), name="image")
    state = keras.Input((None, None, 2), name="state")
    x = layers.Conv2D(2, 1)(layers.Rescaling(1 / 32, offset=-4)(image))
    scores = layers.Activation("softmax")(layers.Add()([x, state]))
    model = keras.Model(
        {"image": image, "state": state}, {"probabilities": scores, "state": x}
    )
    with pytest.raises(
        ValueError, match=r"size=\(height, width\).*Received: size=None"
    ):
        mobile.export(model, tmp_path / "step.tflite", calibration=frames)
    report = mobile.export(
        model, tmp_path / "step.tflite", size=(8, 12), calibration=frames, verbose=False
    )
    assert report.size == (8, 12)
    assert report.inputs["state"] == "float32 (1, 8, 12, 2)"


def test_the_photos_that_ship_are_a_video_for_want_of_another(tmp_path):
    report = mobile.export(step_model(), tmp_path / "step.tflite", verbose=False)
    assert report.parity.images > 1


def test_the_command_line_exports_a_step_by_a_folder_of_frames(frames, tmp_path):
    from typer.testing import CliRunner

    from kseg import cli

    step_model().save(tmp_path / "step.keras")
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"{index}.png")
    file = str(tmp_path / "step.tflite")
    arguments = ["export", str(tmp_path / "step.keras"), "-o", file]
    arguments += ["--precision", "full_int8", "--calibration", str(tmp_path)]
    result = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    printed = " ".join(result.output.split())
    assert "compared on 12 inputs" in printed and "takes 'state' float32" in printed


@pytest.mark.parametrize(
    "options,error,message",
    [
        ({"size": (8, 8)}, ValueError, r"that of input 'image', \(16, 24\)"),
        ({"labels": ["a", "b"]}, ValueError, "`labels` must be left out"),
        ({"masks": [0]}, ValueError, "`masks` must be left out"),
        ({"camera_size": 99}, ValueError, "`camera_size` must be left out"),
        ({"output": "category_mask_low"}, ValueError, "category_mask_low"),
        ({"calibration": 7}, TypeError, "calibration of type int"),
        ({"calibration": "no.mp4"}, FileNotFoundError, "calibration='no.mp4'"),
        ({"calibration": [{"image": 1}, 2]}, TypeError, "must be a path"),
        ({"calibration": [{}]}, ValueError, "'image'. Received: one with none"),
        ({"precision": "full_int8"}, ValueError, "at least 8"),
    ],
)
def test_what_no_file_can_be_made_of(options, error, message, frames, tmp_path):
    options = {"calibration": frames[:4], "verbose": False, **options}
    with pytest.raises(error, match=message):
        mobile.export(step_model(), tmp_path / "step.tflite", **options)
    assert not list(tmp_path.iterdir())


def test_a_layer_whose_name_tensorflow_refuses_is_named(frames, tmp_path):
    image = keras.Input((*SIZE, 3), name="image")
    dark = layers.Rescaling(0.5, name="half as bright")(image)
    maps = {"low": dark, "high": layers.ReLU()(image)}
    part = keras.Model({"image": image}, maps, name="stage")
    with pytest.raises(
        mobile.ExportError, match="'half_as_bright'. Received: name='half as"
    ):
        mobile.export(part, tmp_path / "stage.tflite", calibration=frames)
    dense = layers.Dense(1, name="dense")
    dense.build((None, 2))
    assert dense.kernel.path == "dense/kernel"  # Keras is in no scope of before


def test_a_part_without_scores_has_none_to_choose(frames, tmp_path):
    image = keras.Input((*SIZE, 3), name="image")
    maps = {"low": layers.Rescaling(1 / 255)(image), "high": layers.ReLU()(image)}
    part = keras.Model({"image": image}, maps, name="stage")
    assert takes_names(part)
    path = tmp_path / "stage.tflite"
    with pytest.raises(ValueError, match="without scores.*'low', 'high'"):
        mobile.export(part, path, output="category_mask", calibration=frames)
    report = mobile.export(part, path, calibration=frames, verbose=False)
    assert report.num_classes == 0 and "mean IoU" not in str(report)
    assert set(report.parity.relative_errors) == {"low", "high"}
