"""The example that trains on rooms, evaluates on others, and paints them."""

import json
import runpy
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "examples" / "points_rooms.py"


@pytest.mark.slow
@pytest.mark.parametrize("net", ["pointnet", "a_cnn"])
def test_trains_evaluates_every_point_and_paints(net, data_dir, tmp_path, monkeypatch):
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    for name in ("learn0", "learn2", "test3", "test8", "test11"):
        shutil.copy(data_dir("kinect-scenes") / f"{name}.npz", scenes)
    options = {"--net": net, "--epochs": 2, "--num-points": 256, "--width": 1 / 16}
    arguments = [str(word) for pair in options.items() for word in pair]
    run = tmp_path / "run"
    monkeypatch.setattr(
        sys, "argv", [str(SCRIPT), str(scenes), "-o", str(run), *arguments]
    )
    runpy.run_path(str(SCRIPT), run_name="__main__")

    found = json.loads((run / "summary.json").read_text())
    assert (found["scenes"], found["points"]) == (3, 3 * 16384)
    # "rest", which no scene has, is one of them if it is predicted.
    ious = [value for name, value in found.items() if name.startswith("iou_")]
    assert len(ious) >= 2 and found["mean_iou"] == pytest.approx(
        np.mean(ious), abs=1e-4
    )
    assert 0 < found["pixel_accuracy"] <= 1
    with Image.open(run / "scenes.jpg") as picture:
        assert min(picture.size) > 100
    model = keras.saving.load_model(run / "last.keras")
    assert model.input_shape == (None, 256, 9)

    # The second time nothing is left to train.
    weights = model.get_weights()
    runpy.run_path(str(SCRIPT), run_name="__main__")
    again = json.loads((run / "summary.json").read_text())
    assert again["mean_iou"] == found["mean_iou"]
    for old, new in zip(
        weights, keras.saving.load_model(run / "last.keras").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(new, old)
