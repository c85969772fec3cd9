"""The examples that train the nets that ship, on a few photos for an epoch."""

import json

import keras
import numpy as np
import pytest

import kseg
from kseg.data.datasets import CCP

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("taught", [False, True], ids=["alone", "with a teacher"])
def test_train_person_writes_files_and_their_figures(
    few_photos, tmp_path, run_example, taught
):
    teacher = ["--teacher", tmp_path / "large.keras"] if taught else []
    if taught:
        kseg.models.fpn((256, 256, 3), 1, activation="sigmoid").save(teacher[1])
    folder = tmp_path / "out"
    short = ["--epochs", 1, "--fine-epochs", 2]
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


def test_train_clothes_tells_the_iou_of_every_class(
    few_photos, tmp_path, run_example, capsys
):
    folder = tmp_path / "out"
    run_example("train_clothes.py", few_photos, "-o", folder, "--epochs", 1)
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
