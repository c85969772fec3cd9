"""The examples that train the nets that ship, on a few photos for an epoch."""

import json
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest

import kseg
from kseg.data.datasets import CCP

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("taught", [False, True], ids=["alone", "with a teacher"])
def test_train_person_writes_files_and_their_figures(
    few_photos, tmp_path, run_example, taught
):
    teacher = ["--teacher", tmp_path / "large.keras"] if taught else []
    if taught:
        kseg.models.fpn((256, 256, 3), 1, activation="sigmoid").save(teacher[1])
    folder = tmp_path / "out"
    short = ["--epochs", 2, "--fine-epochs", 60]  # fewer leave float16 too far off
    run_example("train_person.py", few_photos, "-o", folder, *short, *teacher)
    results = json.loads((folder / "results.json").read_text())
    photos = CCP(few_photos, "validation", "person")
    assert [*results] == ["person.keras", "person_float16.tflite", "person_int8.tflite"]
    for name, figures in results.items():
        again = kseg.training.evaluate(kseg.load(folder / name), photos)
        # Of 700 thousand pixels a few lie at one half, where the order of a sum decides.
        assert figures == pytest.approx(again, abs=1e-5)
    started = keras.saving.load_model(folder / "best.keras", compile=False)
    tuned = keras.saving.load_model(folder / "person.keras", compile=False)
    kernels = [net.get_layer("scores").get_weights()[0] for net in (started, tuned)]
    assert not np.array_equal(*kernels)


def test_a_teacher_says_half_of_what_is_learnt_where_it_is_right(script_of):
    script = script_of("train_person.py")
    keras.utils.set_random_seed(0)
    teacher = kseg.models.fpn((64, 64, 3), 1, activation="sigmoid")
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    masks = np.tile(np.uint8([0, 1, 255, 1]), (2, 64, 16))
    batches = [(images, masks)]
    _, alone, known = script["SoftMasks"](batches, None)[0]
    np.testing.assert_array_equal(alone[..., 0], masks == 1)
    np.testing.assert_array_equal(known, masks != 255)
    _, taught, _ = script["SoftMasks"](batches, teacher)[0]
    said = np.asarray(teacher(images)), np.asarray(teacher(images[:, :, ::-1]))
    said = (said[0] + said[1][:, :, ::-1]) / 2
    is_right = (said > 0.5) == (alone > 0.5)
    assert 0 < is_right.mean() < 1
    np.testing.assert_allclose(
        taught[is_right], (alone + said)[is_right] / 2, atol=1e-5
    )
    np.testing.assert_array_equal(taught[~is_right], alone[~is_right])


def test_train_person_video_begins_with_the_net_of_single_images(
    few_photos, tmp_path, run_example, script_of
):
    single = script_of("train_person.py")["small_net"]()
    single.save(tmp_path / "single.keras")
    folder = tmp_path / "out"
    start = ["--start", tmp_path / "single.keras"]
    script = run_example(
        "train_person_video.py", few_photos, "-o", folder, *start, "--epochs", 20
    )
    frame = np.random.default_rng(0).integers(0, 256, (256, 256, 3), "uint8")
    inputs = {"image": frame[None], "mask": np.ones((1, 256, 256, 1), "float32")}
    wide = kseg.models.video.mask_feedback(script["with_fourth_channel"](single))
    found = np.asarray(wide(inputs)["probabilities"])
    np.testing.assert_allclose(found, single(inputs["image"]), atol=1e-5)
    # Trained, it looks at the mask; the file does what Keras does, frame by frame.
    step = keras.saving.load_model(folder / "person_video.keras")
    stream = kseg.models.video.Stream(step, scene_cut=None)
    segmenter = kseg.mobile.VideoSegmenter(folder / "person_video_float16.tflite")
    for _ in range(3):
        stream(frame)
        answer = segmenter.segment(frame).confidence_masks
        np.testing.assert_allclose(answer, stream.scores[0], atol=0.01)
    segmenter.reset()
    assert np.abs(segmenter.segment(frame).confidence_masks - answer).max() > 1e-3


def test_clips_are_photos_that_move_with_their_masks(script):
    squares = np.zeros((6, 64, 64), "uint8")
    squares[:, 20:40, 24:44] = 1
    images = np.repeat(60 + 120.0 * squares[..., None], 3, axis=-1).astype("float32")
    squares[:, 0] = 255
    clips = script["Clips"](Photos([(images, squares)]), frames=4)
    seen, truth, known = clips[0]
    assert seen.shape == (6, 4, 64, 64, 3)
    assert truth.shape == (6, 4, 64, 64, 1)
    assert known.shape == (6, 4, 64, 64)
    still = [np.array_equal(one[0], one[3]) for one in truth]
    assert 0 < sum(still) < 6
    # Bright where the person is, in every frame, whatever its noise.
    sure = ((truth < 0.01) | (truth > 0.99))[..., 0]
    assert ((seen.mean(-1) > 120) == (truth[..., 0] > 0.5))[sure].mean() > 0.999
    assert np.ptp(seen[still.index(True), :, 30, 50, 0]) > 0
    assert known.min() == 0
    assert known.mean() > 0.9
    np.testing.assert_array_equal(clips[0][0], seen)
    clips.on_epoch_end()
    assert not np.array_equal(clips[0][0], seen)


def test_what_changes_without_a_reason_costs(script):
    truth = np.zeros((1, 2, 1, 3, 1), "float32")
    truth[0, 1, 0, 2] = 1
    found = np.full(truth.shape, 0.5, "float32")
    found[0, 1, 0, 1:] = 0.75
    loss = np.asarray(script["steady"](truth, found))
    errors = -np.log([[[0.5, 0.5, 0.5]], [[0.5, 0.25, 0.75]]])
    errors[1, 0, 1] += script["FLICKER_WEIGHT"] * 0.25**2
    np.testing.assert_allclose(loss[0], errors, rtol=1e-5)


class Photos(list):
    def on_epoch_end(self):
        pass


@pytest.fixture(scope="module")
def script_of():
    """Returns a function: name of an example -> what it defines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        yield lambda name: runpy.run_path(EXAMPLES / name)


@pytest.fixture(scope="module")
def script(script_of):
    return script_of("train_person_video.py")


def test_a_widened_net_computes_the_same(script_of):
    script = script_of("train_clothes.py")
    keras.utils.set_random_seed(0)
    small = kseg.models.fpn((64, 64, 3), 3, width_multiplier=script["SMALL"])
    image = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype("float32")
    small(image, training=True)  # statistics that are not those of a new net
    expected = np.asarray(small(image))
    found, noisy = (np.asarray(script["widened"](small, n)(image)) for n in (0, 0.05))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(noisy - expected).max() > 1e-3


def test_train_clothes_tells_the_iou_of_every_class(
    few_photos, tmp_path, run_example, capsys
):
    folder = tmp_path / "out"
    short = ["--epochs", 20, "--fine-epochs", 20]
    run_example("train_clothes.py", few_photos, "-o", folder, *short)
    results = json.loads((folder / "results.json").read_text())
    assert [*results] == [
        "clothes.keras",
        "clothes_float16.tflite",
        "clothes_int8.tflite",
    ]
    names = CCP(few_photos, "validation", "clothes").class_names
    assert kseg.load(folder / "clothes_float16.tflite").labels == names
    printed = capsys.readouterr().out
    assert all(f"  {name}: " in printed for name in names)
