"""The example of portrait mode, on a photo that ships and on one of nobody."""

import numpy as np
from PIL import Image

from kseg.mobile import portrait
from kseg.mobile.images import PHOTOS


def test_writes_a_portrait_and_its_steps_or_says_that_nobody_is_there(
    run_example, tmp_path, capsys
):
    nobody = tmp_path / "nobody.png"
    Image.new("RGB", (90, 120), (90, 120, 150)).save(nobody)
    photo, output = PHOTOS / "ccp_0001.jpg", tmp_path / "out"
    run_example("portrait_photo.py", photo, nobody, "-o", output, "--strength", 0.8)
    printed = capsys.readouterr().out
    assert "nobody.png: nobody found" in printed
    assert "ccp_0001.jpg: " in printed
    names = ["ccp_0001_portrait.jpg", "ccp_0001_steps.jpg"]
    assert sorted(path.name for path in output.iterdir()) == names
    expected = np.asarray(portrait(photo, strength=0.8), int)
    with Image.open(output / names[0]) as written:
        assert abs(np.asarray(written) - expected).mean() < 2  # of JPEG
    with Image.open(output / names[1]) as steps:
        assert steps.width > 5 * 300
