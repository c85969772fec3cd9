"""The example that paints street scenes, with a net that sees road everywhere."""

import json
import re
import shutil

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from kseg.data.datasets import CamVid
from kseg.data.video import Video

ROAD = 3


@pytest.fixture
def net(tmp_path):
    image = keras.Input((48, 64, 3), name="image")
    scores = layers.Conv2D(11, 1, activation="softmax")
    model = keras.Model(image, scores(image))
    bias = np.zeros(11, "float32")
    bias[ROAD] = 5
    scores.set_weights([np.zeros((1, 1, 3, 11), "float32"), bias])
    model.save(tmp_path / "net.keras")
    return tmp_path / "net.keras"


@pytest.fixture
def camvid(data_dir, tmp_path):
    """Three frames of the validation video."""
    source = data_dir("camvid")
    for folder in ("val", "valannot"):
        (tmp_path / "camvid" / folder).mkdir(parents=True)
        for path in sorted((source / folder).iterdir())[:3]:
            shutil.copy(path, tmp_path / "camvid" / folder)
    return tmp_path / "camvid"


def test_paints_frames_and_tells_how_good_the_masks_are(
    run_example, net, camvid, tmp_path, capsys
):
    names = CamVid(camvid, "validation").class_names
    (tmp_path / "config.json").write_text(json.dumps({"classes": names}))
    output = tmp_path / "out.mp4"
    run_example("driving_video.py", camvid, "--net", net, "-o", output)

    truth = np.stack([sample.mask for sample in CamVid(camvid, "validation")])
    truth = truth[truth != 255]
    # Of the classes that are there the IoU of road is its share, that of others 0.
    iou = (truth == ROAD).mean() / len(np.unique(truth))
    printed = capsys.readouterr().out
    found = re.search(
        r"3 frames in .*mean IoU ([\d.]+), flicker rate ([\d.]+)", printed
    )
    assert float(found[1]) == pytest.approx(iou, abs=5e-4)
    assert float(found[2]) == 0
    frames = list(Video(output))
    assert len(frames) == 3
    height, width = frames[0].shape[:2]
    assert height == 360
    assert width > 480 + 150
    assert frames[0][5:, -5:].min() > 240  # the legend's ground


def test_frames_without_truth_and_names_are_painted_too(run_example, net, tmp_path):
    folder, output = tmp_path / "frames", tmp_path / "out.mp4"
    folder.mkdir()
    for index in range(4):
        Image.new("RGB", (64, 48), (90, 90, 90)).save(folder / f"{index}.png")
    arguments = [folder, "--net", net, "-o", output, "--frames", 2]
    run_example("driving_video.py", *arguments)
    assert len(list(Video(output))) == 2


def test_a_missing_net_is_named(run_example, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        run_example("driving_video.py", tmp_path, "--net", tmp_path / "absent.keras")
    assert "absent.keras" in capsys.readouterr().err
