"""The example that trains nets for video runs, and goes on where it was stopped."""

import json
import runpy
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from kseg import models
from kseg.data.datasets import CamVid
from kseg.models.video import Stream

SCRIPT = Path(__file__).parents[2] / "examples" / "train_video.py"


@pytest.mark.slow
def test_trains_what_it_adds_and_leaves_the_image_net(data_dir, tmp_path, monkeypatch):
    camvid = data_dir("camvid")
    for folder in ("train", "trainannot"):
        (tmp_path / "camvid" / folder).mkdir(parents=True)
        for path in sorted((camvid / folder).iterdir())[:4]:
            shutil.copy(path, tmp_path / "camvid" / folder)
    keras.utils.set_random_seed(0)
    base = models.unet((48, 64, 3), 11, filters=(4, 4, 4, 4), batch_norm=True)
    base.save(tmp_path / "net.keras")
    folders = ["net.keras", "camvid", "-o", "nets"]
    arguments = [*folders, "--filters", "4", "--epochs", "1"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    runpy.run_path(str(SCRIPT), run_name="__main__")

    files = [tmp_path / "nets/unet" / f"{n}.keras" for n in ("low_latency", "netwarp")]
    low_latency, netwarp = (keras.saving.load_model(file) for file in files)
    parts = [low_latency.get_layer(name) for name in ("low", "high", "head")]
    frozen = by_name([weight for part in parts for weight in part.weights])
    before = by_name(base.weights)
    assert frozen.keys() == before.keys()
    for name, weight in frozen.items():
        np.testing.assert_array_equal(weight.numpy(), before[name].numpy())
    # Biases begin with zeros, the scheduler's with -2.
    for part, layer in (
        ("propagation", "conv"),
        ("adapter", "scores"),
        ("scheduler", "deviation"),
    ):
        _, bias = low_latency.get_layer(part).get_layer(layer).get_weights()
        assert np.isfinite(bias).all()
        assert (bias != (-2 if part == "scheduler" else 0)).any()
    w1, w2 = netwarp.get_layer("mix").get_weights()
    assert (w1 != 1).any() and (w2 != 0).any()

    names = json.loads((tmp_path / "nets/unet/config.json").read_text())["classes"]
    assert names == list(CamVid(tmp_path / "camvid").class_names)
    frame = np.zeros((48, 64, 3), "uint8")
    for net in (low_latency, netwarp):
        stream = Stream(net, flow=lambda x, _: np.zeros((*x.shape[:2], 2), "float32"))
        assert stream(frame).shape == (48, 64)
    # The second time nothing is left to do.
    times = [file.stat().st_mtime_ns for file in files]
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert [file.stat().st_mtime_ns for file in files] == times


def by_name(weights):
    """Weights by their layer's name and their own, without the model's."""
    return {"/".join(weight.path.split("/")[-2:]): weight for weight in weights}
