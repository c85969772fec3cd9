"""Every builder of kseg.models.video as files: clean operations, and Keras' answers."""

import functools
import inspect

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from kseg import losses, models
from kseg.mobile import export, export_parts, lint
from kseg.models import video
from kseg.training import recalibrate_batch_norm

SIZE = (64, 96)
BUILDERS = {"clockwork_fcn", "low_latency", "mask_feedback", "netwarp", "stfcn"}
# Warping reads pixels where the flow points to, for which GPUs have no operation.
REFUSED = {"netwarp": {"GATHER", "STRIDED_SLICE"}}
slow = pytest.mark.slow


def fit(model, inputs, truth, rate=0.05, loss=None):
    """Trains 20 steps, so that the answers are no near-ties."""
    optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    model.compile(optimizer, loss or losses.SparseCrossEntropy(), jit_compile=False)
    for _ in range(20):
        model.train_on_batch(inputs, truth)


@pytest.fixture(scope="module")
def image_net(streets):
    """A small U-Net that knows the first 16 frames."""
    keras.utils.set_random_seed(0)
    model = models.unet((*SIZE, 3), 3, filters=(8, 12, 16), batch_norm=True)
    images, masks = streets[0][:16].astype("float32"), streets[1][:16]
    fit(model, images, masks)
    recalibrate_batch_norm(model, [images])
    return model


def stfcn(image_net, frames, masks, **options):
    options = {"recurrence": "local", "cell": "lstm", "padding": "same", **options}
    model = video.stfcn(
        (*SIZE, 3),
        3,
        width_multiplier=1 / 16,
        units=64,
        score_initializer="he_normal",
        **options,
    )
    fit(video.unroll(model, 2), pairs(frames), pairs(masks), 0.01)
    return model


def netwarp(image_net, frames, masks):
    return video.netwarp(image_net, "down2_conv2", initial_weights=(0.6, 0.4))


def clockwork_fcn(image_net, frames, masks):
    return video.clockwork_fcn(image_net, ["down2_relu2", "down3_relu2"])


def low_latency(image_net, frames, masks):
    at = ("down1_relu2", "down3_relu2")
    model = video.low_latency(image_net, at, filters=8, kernel_size=5)
    inputs = {"key_image": frames[:-1], "image": frames[1:]}
    truth = {
        "probabilities": masks[1:],
        "key_probabilities": masks[:-1],
        "deviation": np.full((len(masks) - 1, 1), 0.1, "float32"),
    }
    loss = dict.fromkeys(truth, losses.SparseCrossEntropy()) | {"deviation": "mse"}
    fit(model, inputs, truth, loss=loss)
    recalibrate_batch_norm(model, [inputs])
    return model


def mask_feedback(image_net, frames, masks):
    net = models.unet(
        (*SIZE, 4), 1, filters=(8, 12), batch_norm=True, activation="sigmoid"
    )
    truth = (masks > 0).astype("float32")[..., None]
    before = 255 * truth
    before[::2] = 0  # else it learns to say what it said before
    seen = np.concatenate([frames, before], axis=-1)
    fit(net, seen, truth, loss="binary_crossentropy")
    recalibrate_batch_norm(net, [seen])
    return video.mask_feedback(net)


def pairs(frames):
    return np.stack([frames[:-1], frames[1:]], axis=1)


STEPS = {
    "stfcn, local lstm": stfcn,
    "stfcn, convolutional gru": lambda *data: stfcn(
        *data, recurrence="conv", cell="gru"
    ),
    "netwarp": netwarp,
    "low_latency": low_latency,
    "mask_feedback": mask_feedback,
}
PARTS = {"clockwork_fcn": clockwork_fcn, "low_latency": low_latency}


def test_no_builder_is_forgotten():
    functions = {n for n in video.__all__ if inspect.isfunction(getattr(video, n))}
    helpers = {"check_inputs", "initial_state", "parts", "state_names", "unroll"}
    assert functions - helpers == BUILDERS
    assert {case.split(",")[0] for case in (*STEPS, *PARTS)} == BUILDERS


@pytest.fixture(scope="module")
def built(image_net, streets):
    """Returns a function that builds and trains a net once."""

    @functools.cache
    def build(make):
        keras.utils.set_random_seed(0)
        return make(image_net, streets[0][:16].astype("float32"), streets[1][:16])

    return build


@pytest.fixture(scope="module", params=STEPS)
def step(request, built):
    return built(STEPS[request.param])


@pytest.fixture(scope="module", params=PARTS)
def net_of_parts(request, built):
    return built(PARTS[request.param])


precisions = pytest.mark.parametrize(
    "precision", ["float32", pytest.param("float16", marks=slow), "full_int8"]
)


def refusals(path, profile):
    return {op.name for op in lint(path).operations if profile in op.refusals}


@precisions
def test_a_step_answers_as_keras_does_along_a_video(step, precision, streets, tmp_path):
    path = tmp_path / "step.tflite"
    report = export(  # raises beyond the limits of the precision
        step, path, precision=precision, calibration=streets[0], verbose=False
    )
    assert report.state == tuple(sorted(video.state_names(step)))
    assert set(report.inputs) == set(step.input)
    assert set(report.outputs) == set(step.output)
    for profile in ("delegate", "litert"):
        assert refusals(path, profile) <= REFUSED.get(step.name, set())
    assert report.parity.decided > 0.3
    assert np.count_nonzero(~np.isnan(report.parity.iou)) > 1
    if precision == "float32":
        assert report.parity.max_error < 1e-4
        assert max(report.parity.relative_errors.values()) < 1e-4


@pytest.mark.parametrize(
    "precision",
    ["float32", *(pytest.param(p, marks=slow) for p in ("float16", "full_int8"))],
)
@pytest.mark.parametrize("output", ["logits", "category_mask"])
def test_gpus_take_all_outputs_but_the_delegate_class_ids(
    step, precision, output, streets, tmp_path
):
    path = tmp_path / "step.tflite"
    export(
        step,
        path,
        precision=precision,
        output=output,
        calibration=streets[0][: 4 if precision == "float32" else 24],
        verbose=False,
    )
    known = REFUSED.get(step.name, set())
    assert refusals(path, "litert") <= known
    # Of one class the ids are whether it is above one half.
    chooses = output == "category_mask" and step.name != "mask_feedback"
    assert refusals(path, "delegate") - known == ({"ARG_MAX"} if chooses else set())


@precisions
def test_parts_answer_as_keras_does(net_of_parts, precision, streets, tmp_path):
    reports = export_parts(
        net_of_parts,
        tmp_path,
        precision=precision,
        calibration=streets[0][:16],
        verbose=False,
    )
    assert list(reports) == list(video.parts(net_of_parts))
    for name, report in reports.items():
        part = video.parts(net_of_parts)[name]
        assert (set(report.inputs), set(report.outputs)) == (
            set(part.input),
            set(part.output),
        )
        assert lint(report.path).clean()
    files = run_files(reports, streets[0][20:23])
    whole = list(run_whole(net_of_parts, streets[0][20:23]))
    for found, expected in zip(files[1:], whole, strict=True):
        if precision == "float32":
            np.testing.assert_allclose(found, expected, 0, 1e-4)
        assert (found.argmax(-1) == expected.argmax(-1)).mean() > 0.97


def run_files(reports, frames):
    """The scores of files of parts, run one after the other without kseg's code."""
    results, before = [], {}
    for frame in frames:
        cache = {"image": frame[None]}
        for report in reports.values():
            runner = Interpreter(model_path=str(report.path)).get_signature_runner()
            given = {}
            for name, details in runner.get_input_details().items():
                if name.startswith("key_"):  # the frame before is the key
                    made = name.removeprefix("key_")
                    given[name] = before.get(made, cache[made])
                else:
                    given[name] = cache[name]
                given[name] = given[name].astype(details["dtype"])
            cache |= runner(**given)
        results.append(cache["probabilities"].astype("float32"))
        before = cache
    return results


def run_whole(model, frames):
    """Keras' scores of all frames but the first, which is the key of the second."""
    frames = frames.astype("float32")
    for before, frame in zip(frames[:-1, None], frames[1:, None], strict=True):
        if isinstance(model.input, dict):
            scores = model({"key_image": before, "image": frame})["probabilities"]
        else:
            scores = model(frame)
        yield np.asarray(scores)


def test_a_model_without_parts_is_one_file(image_net, tmp_path):
    with pytest.raises(ValueError, match="must have parts.*Received: model='unet'"):
        export_parts(image_net, tmp_path / "parts")
    assert not (tmp_path / "parts").exists()
