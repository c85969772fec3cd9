"""The example that replaces the background of a video, on some frames of a dancer."""

import re

import numpy as np
import pytest
from PIL import Image

from kseg.data.video import Video


def test_replaces_the_background_and_measures_the_flicker(
    run_example, data_dir, tmp_path, capsys
):
    folder = tmp_path / "frames"
    folder.mkdir()
    source = data_dir("davis2016") / "JPEGImages" / "dance-twirl"
    for path in sorted(source.iterdir())[20:26]:
        Image.open(path).resize((320, 180)).save(folder / f"{path.stem}.png")
    output = tmp_path / "out.mp4"
    run_example("replace_background_video.py", folder, "-o", output)
    printed = capsys.readouterr().out
    assert f"6 frames in {output}" in printed
    rates = [float(rate) for rate in re.findall(r"([\d.]+)% of the pixels", printed)]
    assert len(rates) == 2
    assert rates[1] < rates[0]
    frames = list(Video(output))
    assert len(frames) == 6
    # The corners are far from the dancer, and green by default.
    corner = frames[0][:20, :20].astype(int)
    assert abs(np.median(corner, (0, 1)) - (0, 177, 64)).max() < 6


def test_a_wrong_strength_is_named_and_nothing_is_written(run_example, tmp_path):
    folder, output = tmp_path / "frames", tmp_path / "out.mp4"
    folder.mkdir()
    Image.new("RGB", (32, 24)).save(folder / "0.png")
    with pytest.raises(ValueError, match="Received: blur=2"):
        run_example("replace_background_video.py", folder, "-o", output, "--blur", 2)
    assert not output.exists()
