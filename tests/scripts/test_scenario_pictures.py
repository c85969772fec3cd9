"""The script that makes the README's pictures of the scenarios."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "scripts" / "scenario_pictures.py"
PICTURES = {"portrait", "background", "tryon", "makeup", "people"}


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(SCRIPT))


def test_pictures_are_small_whatever_they_show(script, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (560, 560, 3), np.uint8)
    for name, pixels in (("noise", noise), ("plain", np.full_like(noise, 90))):
        script["save"](Image.fromarray(pixels), tmp_path / f"{name}.jpg")
        assert (tmp_path / f"{name}.jpg").stat().st_size <= 150_000
        with Image.open(tmp_path / f"{name}.jpg") as written:
            assert written.size == (560, 560)


def test_matte_of_a_polygon_has_its_area_and_place(script):
    corners = np.array([(2.0, 3.0), (8.5, 3.0), (8.5, 6.25), (2.0, 6.25)])
    matte = script["polygon"](corners, np.zeros((10, 12, 3), np.uint8))
    assert matte.shape == (10, 12)
    # Its outline, an eighth of a pixel, is drawn on each side or not.
    assert matte.sum() == pytest.approx(6.5 * 3.25, abs=0.125 * (6.5 + 3.25) + 0.1)
    assert (matte[4:6, 3:8] == 1).all()
    assert matte[:3].max() == matte[:, :2].max() == matte[7:].max() == 0


@pytest.mark.slow
def test_all_pictures_are_made(data_dir, tmp_path, monkeypatch):
    arguments = [data_dir("ccp"), data_dir("p3m"), "-o", tmp_path]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert {path.stem for path in tmp_path.iterdir()} == PICTURES
    for path in tmp_path.iterdir():
        with Image.open(path) as picture:
            assert min(picture.size) > 200
        assert path.stat().st_size <= 150_000
