"""Models of one frame over clips; frame by frame is the oracle."""

import keras
import numpy as np
import pytest
from keras import ops

from kseg import losses, models
from kseg.models import video

SIZE, FRAMES = (32, 48), 3


@pytest.fixture(scope="module")
def step():
    keras.utils.set_random_seed(0)
    return video.stfcn(
        (*SIZE, 3),
        3,
        recurrence="conv",
        cell="gru",
        padding="same",
        score_initializer="he_normal",
        width_multiplier=1 / 16,
    )


def clips(batch=2, count=FRAMES):
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (batch, count, *SIZE, 3)).astype("float32")


def run(model, x):
    x = keras.tree.map_structure(ops.convert_to_tensor, x)
    return ops.convert_to_numpy(model(x, training=False))


def frame_by_frame(step, clip, state=None, **more):
    state = state or video.initial_state(step, len(clip))
    results = []
    for t in range(clip.shape[1]):
        inputs = {"image": clip[:, t], **{k: v[:, t] for k, v in more.items()}, **state}
        outputs = step(keras.tree.map_structure(ops.convert_to_tensor, inputs))
        outputs = {key: ops.convert_to_numpy(value) for key, value in outputs.items()}
        state = {key: outputs[key] for key in state}
        results.append(outputs["probabilities"])
    return np.stack(results, 1), state


def test_a_clip_is_its_frames_one_by_one(step):
    found = run(video.unroll(step, FRAMES), clips())
    assert found.shape == (2, FRAMES, *SIZE, 3)
    np.testing.assert_allclose(found, frame_by_frame(step, clips())[0], atol=1e-6)


def test_frames_in_pieces_are_the_clip_as_a_whole(step):
    whole = run(video.unroll(step, FRAMES), clips())
    first, state = frame_by_frame(step, clips()[:, :1])
    rest, _ = frame_by_frame(step, clips()[:, 1:], state)
    np.testing.assert_allclose(np.concatenate([first, rest], 1), whole, atol=1e-6)


def test_every_clip_starts_anew(step):
    model = video.unroll(step, FRAMES)
    first = run(model, clips())
    run(model, clips()[::-1].copy())
    np.testing.assert_array_equal(run(model, clips()), first)


def test_a_frame_sees_those_before_it_alone(step):
    model, changed = video.unroll(step, FRAMES), clips()
    changed[:, 1] = 255 - changed[:, 1]
    difference = np.abs(run(model, changed) - run(model, clips())).max((0, 2, 3, 4))
    assert difference[0] == 0
    assert (difference[1:] > 1e-7).all()


def test_flow_goes_along_with_the_frames():
    base = models.unet((*SIZE, 3), 3, filters=(4, 6), dropout_rate=0)
    step = video.netwarp(base, "down2_conv2", initial_weights=(0.5, 0.5))
    model = video.unroll(step, 2)
    flow = np.random.default_rng(1).normal(0, 4, (2, 2, *SIZE, 2)).astype("float32")
    clip = clips(count=2)
    found = run(model, {"image": clip, "flow": flow})
    expected, _ = frame_by_frame(step, clip, flow=flow)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    other = flow.copy()
    other[:, 0] = 0  # There is no frame that it could lead to.
    np.testing.assert_array_equal(run(model, {"image": clip, "flow": other}), found)


def test_fit_learns_from_labels_on_some_frames_into_the_step(step):
    truth = np.full((2, 2, *SIZE), 255)
    truth[0, 1], truth[1, 0] = 1, 2
    model = video.unroll(step, 2)
    model.compile(keras.optimizers.SGD(0.05), losses.SparseCrossEntropy())
    before = [weight.numpy().copy() for weight in step.weights]
    clip = clips(count=2)
    values = model.fit(clip, truth, epochs=3, verbose=0).history["loss"]
    assert values[-1] < values[0]
    assert all(
        not np.array_equal(old, weight.numpy())
        for old, weight in zip(before, step.weights, strict=True)
    )


def test_a_saved_clip_model_has_the_step_inside(step, tmp_path):
    model = video.unroll(step, 2)
    model.save(tmp_path / "clip.keras")
    loaded = keras.saving.load_model(tmp_path / "clip.keras", safe_mode=True)
    clip = clips(count=2)
    np.testing.assert_array_equal(run(loaded, clip), run(model, clip))
    inner = loaded.get_layer("unroll").step
    assert video.state_names(inner) == ["state"]
    found, _ = frame_by_frame(inner, clip)
    np.testing.assert_allclose(found, run(model, clip), atol=1e-6)


class TestErrors:
    def test_a_model_without_state(self):
        net = models.unet((*SIZE, 3), 3, filters=(4, 6), name="plain")
        with pytest.raises(
            ValueError, match="must have state.*Received: model='plain'"
        ):
            video.unroll(net, 2)

    def test_an_open_size(self):
        step = video.stfcn(
            (None, None, 3), 3, recurrence="shared", width_multiplier=1 / 64
        )
        with pytest.raises(ValueError, match="static height and width.*'stfcn'"):
            video.unroll(step, 2)

    @pytest.mark.parametrize(("frames", "error"), [(0, ValueError), (1.5, TypeError)])
    def test_frames(self, step, frames, error):
        with pytest.raises(error, match=f"Received: frames={frames}"):
            video.unroll(step, frames)
