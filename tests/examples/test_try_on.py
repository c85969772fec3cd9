"""The example of virtual try-on: with the net that ships, another, and with a mask."""

import json
import re

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from kseg.data.datasets import CCP


@pytest.fixture
def photo(tmp_path):
    """A photo of a red garment before grey, and its mask."""
    mask = np.zeros((90, 120), bool)
    mask[20:70, 30:90] = True
    pixels = np.full((90, 120, 3), 120, np.uint8)
    pixels[mask] = (200, 40, 40)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png", mask


def net_for_red(path, names):
    """Saves a net whose second class is what is red, and the names beside it."""
    image = keras.Input((96, 96, 3), name="image")
    scores = layers.Conv2D(2, 1, activation="softmax")
    net = keras.Model(image, scores(image))
    kernel = np.zeros((1, 1, 3, 2), "float32")
    kernel[0, 0, :, 1] = (0.2, -0.1, -0.1)
    scores.set_weights([kernel, np.array([0, -6], "float32")])
    net.save(path)
    (path.parent / "config.json").write_text(json.dumps({"classes": names}))


def check_garment(output, mask):
    with Image.open(output / "photo_garment.png") as garment:
        assert garment.mode == "RGBA"
        opacity = np.asarray(garment)[..., 3]
    # The box of the mask and its margin of 3, a twentieth of 60 columns.
    assert opacity.shape == (50 + 6, 60 + 6)
    assert (opacity[3:-3, 3:-3] == 255).mean() > 0.95
    assert (output / "photo_looks.jpg").is_file()


def test_a_mask_does_in_place_of_a_net(run_example, photo, tmp_path, capsys):
    path, mask = photo
    Image.fromarray(mask).save(tmp_path / "top.png")
    output = tmp_path / "out"
    run_example("try_on.py", path, "--mask", tmp_path / "top.png", "-o", output)
    check_garment(output, mask)
    assert "the top is at (27, 17, 93, 73)" in capsys.readouterr().out


def test_any_net_with_such_a_class_does(run_example, photo, tmp_path):
    path, mask = photo
    net, output = tmp_path / "net.keras", tmp_path / "out"
    net_for_red(net, ["background", "Dress"])
    arguments = [path, "--net", net, "-o", output]
    run_example("try_on.py", *arguments, "--garment", "dress")
    check_garment(output, mask)
    with pytest.raises(SystemExit, match="2"):
        run_example("try_on.py", *arguments, "--garment", "hat")


def test_the_net_that_ships_finds_a_dress_and_says_where_nothing_is(
    run_example, data_dir, tmp_path, capsys
):
    ccp = CCP(data_dir("ccp"), "validation", "clothes")
    (sample,) = ccp.take(["0865"])
    path, output = tmp_path / "photo.png", tmp_path / "out"
    Image.fromarray(sample.image).save(path)
    run_example("try_on.py", path, "--garment", "dress", "-o", output)
    printed = capsys.readouterr().out
    left, top, right, bottom = map(
        int, re.findall(r"\d+", printed.partition("(")[2])[:4]
    )
    found = np.zeros(sample.mask.shape, bool)
    with Image.open(output / "photo_garment.png") as garment:
        found[top:bottom, left:right] = np.asarray(garment)[..., 3] > 127
    dress = sample.mask == ccp.class_names.index("dress")
    assert (found & dress).sum() / (found | dress).sum() > 0.6
    Image.new("RGB", (90, 120), "white").save(path)
    with pytest.raises(SystemExit, match="1"):
        run_example("try_on.py", path)
    assert "no top found in" in capsys.readouterr().err
