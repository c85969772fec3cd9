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
        assert figures == kseg.training.evaluate(kseg.load(folder / name), photos)
    started = keras.saving.load_model(folder / "best.keras", compile=False)
    tuned = keras.saving.load_model(folder / "person.keras", compile=False)
    kernels = [net.get_layer("scores").get_weights()[0] for net in (started, tuned)]
    assert not np.array_equal(*kernels)


def test_a_teacher_says_half_of_what_is_learnt():
    script = runpy.run_path(EXAMPLES / "train_person.py")
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
    np.testing.assert_allclose(taught, (alone + said) / 2, atol=1e-5)


def test_train_person_video_begins_with_the_net_of_single_images(
    few_photos, tmp_path, run_example
):
    keras.utils.set_random_seed(0)
    single = kseg.models.fpn((256, 256, 3), 1, activation="sigmoid")
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


def test_train_clothes_tells_the_iou_of_every_class(
    few_photos, tmp_path, run_example, capsys
):
    folder = tmp_path / "out"
    run_example("train_clothes.py", few_photos, "-o", folder, "--epochs", 30)
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
