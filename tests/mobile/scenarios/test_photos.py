import subprocess
import sys

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from kseg.mobile.scenarios.photos import as_color, like, write_photo
from kseg.mobile.scenarios.portrait import portrait


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


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_date_of_the_photo_stays_and_its_orientation_is_spent(
    suffix, shipped, tmp_path, scene
):
    photo, _ = scene()
    source, output = tmp_path / "photo.jpg", tmp_path / f"out{suffix}"
    image = Image.fromarray(photo)
    exif = image.getexif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.DateTime] = "2026:05:04 03:02:01"
    image.save(source, exif=exif)
    write_photo(source, output, portrait, strength=0.0)
    with Image.open(output) as written:
        assert written.size == image.size[::-1]
        assert written.getexif()[ExifTags.Base.DateTime] == "2026:05:04 03:02:01"
        assert ExifTags.Base.Orientation not in written.getexif()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".webp", ".tif"])
def test_file_is_written_in_the_format_of_its_name_with_its_profile(
    suffix, shipped, tmp_path, scene
):
    photo, _ = scene()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source, output = tmp_path / "photo.png", tmp_path / f"out{suffix}"
    image = Image.fromarray(photo)
    image.putalpha(200)
    image.save(source, icc_profile=profile)
    write_photo(source, output, portrait, strength=0.8)
    expected = portrait(source, strength=0.8)
    with Image.open(output) as written:
        assert written.format == Image.registered_extensions()[suffix.lower()]
        assert written.info["icc_profile"] == profile
        assert written.mode == ("RGB" if written.format == "JPEG" else "RGBA")
        error = np.asarray(written.convert("RGB"), int) - expected.convert("RGB")
    lossless = suffix in (".png", ".tif")
    assert abs(error).mean() < (1e-9 if lossless else 6)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["photo.png", output.name]
    )


def test_photo_may_be_replaced_in_place(shipped, tmp_path, scene):
    path = tmp_path / "photo.png"
    Image.fromarray(scene()[0]).save(path)
    expected = np.asarray(portrait(path))
    write_photo(path, path, portrait)
    assert (np.asarray(Image.open(path)) == expected).all()


def test_photo_without_a_person_is_written_unchanged(shipped, tmp_path):
    photo = np.random.default_rng(0).integers(0, 99, (40, 60, 3), np.uint8)
    source, output = tmp_path / "photo.png", tmp_path / "out.png"
    Image.fromarray(photo).save(source)
    with pytest.warns(UserWarning, match="no person found"):
        write_photo(source, output, portrait)
    assert (np.asarray(Image.open(output)) == photo).all()


@pytest.mark.parametrize("name", ["out", "out.txt", "out.psd"])
def test_formats_that_cannot_be_written_are_refused_at_once(name, tmp_path):
    with pytest.raises(ValueError, match=f"Received: output=.*{name}"):
        write_photo(tmp_path / "absent.png", tmp_path / name, portrait)


def test_a_failure_leaves_the_old_file(shipped, tmp_path):
    output = tmp_path / "out.png"
    output.write_bytes(b"old")
    with pytest.raises(FileNotFoundError, match="absent.png"):
        write_photo(tmp_path / "absent.png", output, portrait)
    assert output.read_bytes() == b"old"


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
