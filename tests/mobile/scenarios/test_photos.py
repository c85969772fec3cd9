import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageCms

from kseg.mobile.scenarios.photos import as_color, like, write_photo


@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ("red", (255, 0, 0)),
        ("#00b140", (0, 177, 64)),
        ("#fff", (255, 255, 255)),
        ((1, 2, 3), (1, 2, 3)),
        ([255, 0, 255], (255, 0, 255)),
        (np.array([9, 8, 7], np.int64), (9, 8, 7)),
    ],
)
def test_colors_are_read(color, expected):
    assert as_color(color).dtype == np.uint8
    assert tuple(as_color(color)) == expected


@pytest.mark.parametrize("color", ["", "no", (1, 2), (-1, 0, 0), 7, (0.1, 0.2, 0.3)])
def test_what_is_no_color_is_named(color):
    with pytest.raises(ValueError, match="`hair` must be the name of a colour"):
        as_color(color, "hair")


def test_grey_photo_made_colored_loses_its_grey_profile():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    grey = Image.new("L", (4, 3), 90)
    grey.info["icc_profile"] = profile
    colored = np.full((3, 4, 3), (1, 2, 3), np.uint8)
    assert like(grey, colored).mode == "RGB"
    assert "icc_profile" not in like(grey, colored).info
    same = like(grey, np.full((3, 4, 3), 90, np.uint8))
    assert (same.mode, same.info["icc_profile"]) == ("L", profile)


def test_nothing_is_made_for_a_file_that_cannot_be_written(tmp_path):
    made = []
    with pytest.raises(ValueError, match="Received: output=.*out.txt"):
        write_photo("photo.png", tmp_path / "out.txt", made.append)
    assert made == []


@pytest.mark.parametrize("scenario", ["background", "tryon", "makeup"])
def test_scenarios_of_photos_import_neither_keras_nor_tensorflow(scenario):
    code = (
        f"import sys, kseg; kseg.mobile.{scenario};"
        "print({'keras', 'tensorflow', 'matplotlib', 'cv2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
