import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms
from scipy import ndimage

from kseg.mobile.scenarios.portrait import portrait, portrait_file


class Segmenter:
    """Answers every photo with the same confidence."""

    def __init__(self, confidence, labels=None):
        self.confidence = np.asarray(confidence, np.float32)
        self.labels = labels
        self.seen = []

    def segment(self, image):
        self.seen.append(image)
        masks = self.confidence
        return SimpleNamespace(
            confidence_masks=masks[..., None] if masks.ndim == 2 else masks
        )


def scene(height=120, width=160):
    """Noise, an evenly red person in front of it, and the person's mask."""
    photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    y, x = np.mgrid[:height, :width]
    mask = np.hypot(y - height / 2, x - width / 2) < 0.3 * height
    photo[mask] = (200, 30, 20)
    return photo, mask


def roughness(image, where):
    """How much neighbouring pixels differ."""
    values = np.asarray(image.convert("L") if hasattr(image, "convert") else image, int)
    return abs(np.diff(values.reshape(*values.shape[:2], -1), axis=1))[
        where[:, 1:]
    ].mean()


def test_background_is_blurred_and_the_person_is_not():
    photo, mask = scene()
    segmenter = Segmenter(mask)
    result = portrait(photo, segmenter, strength=1)
    assert (result.mode, result.size) == ("RGB", (160, 120))
    inside = ndimage.binary_erosion(mask, iterations=6)
    outside = ~ndimage.binary_dilation(mask, iterations=6)
    assert (np.asarray(result)[inside] == photo[inside]).all()
    assert roughness(result, outside) < 0.1 * roughness(photo, outside)
    assert np.asarray(result)[outside][:, 0].mean() < 180  # nothing red around


def test_stronger_is_smoother():
    photo, mask = scene()
    outside = ~ndimage.binary_dilation(mask, iterations=6)
    rough = [
        roughness(portrait(photo, Segmenter(mask), strength=s), outside)
        for s in (0, 0.3, 0.6, 1)
    ]
    assert rough == sorted(rough, reverse=True)
    assert len(set(rough)) == 4


def test_strength_zero_returns_the_photo_and_asks_no_net():
    photo, mask = scene()
    segmenter = Segmenter(mask)
    assert (np.asarray(portrait(photo, segmenter, strength=0)) == photo).all()
    assert segmenter.seen == []


def test_person_everywhere_returns_the_photo():
    photo, _ = scene()
    assert (np.asarray(portrait(photo, Segmenter(np.ones((4, 5))))) == photo).all()


@pytest.mark.parametrize("confidence", [0.0, 0.49, "speck"])
def test_no_person_returns_the_photo_and_says_so(confidence):
    photo, _ = scene()
    if confidence == "speck":
        mask = np.zeros((120, 160))
        mask[3:6, 9:13] = 1
    else:
        mask = np.full((120, 160), confidence)
    with pytest.warns(UserWarning, match="no person found"):
        result = portrait(photo, Segmenter(mask))
    assert (np.asarray(result) == photo).all()


def test_threshold_says_what_is_a_person():
    photo, mask = scene()
    faint = Segmenter(0.3 * mask)
    with pytest.warns(UserWarning, match="no person found"):
        portrait(photo, faint)
    result = np.asarray(portrait(photo, faint, strength=1, threshold=0.15))
    inside = ndimage.binary_erosion(mask, iterations=6)
    assert (result[inside] == photo[inside]).all()
    assert (result != photo).any(-1).mean() > 0.5


def test_two_people_stay_sharp_and_specks_do_not():
    photo = np.random.default_rng(0).integers(0, 256, (100, 200, 3), np.uint8)
    mask = np.zeros((100, 200), bool)
    mask[20:80, 20:60] = mask[30:70, 140:170] = True
    speck = np.zeros_like(mask)
    speck[45:52, 98:106] = True
    result = np.asarray(portrait(photo, Segmenter(mask | speck), strength=1))
    for person in ((slice(30, 70), slice(30, 50)), (slice(40, 60), slice(148, 162))):
        assert (result[person] == photo[person]).all()
    assert result[speck].std() < 0.5 * photo[speck].std()


def test_of_several_classes_the_person_is_taken():
    photo, mask = scene()
    masks = np.stack([1 - mask, np.zeros(mask.shape), mask], -1)
    expected = np.asarray(portrait(photo, Segmenter(mask)))
    for name in ("person", "Person"):
        segmenter = Segmenter(masks, ("background", "cat", name))
        assert (np.asarray(portrait(photo, segmenter)) == expected).all()
    for unknown in (None, (), ("a", "b", "c")):
        with pytest.raises(ValueError, match=r"'person'.*Received: 3 classes, labels="):
            portrait(photo, Segmenter(masks, unknown))


def test_segmenter_that_gives_no_confidence_is_refused():
    segmenter = SimpleNamespace(
        segment=lambda _: SimpleNamespace(confidence_masks=None)
    )
    with pytest.raises(ValueError, match=r"confidence_masks of shape \(\)"):
        portrait(scene()[0], segmenter)


@pytest.mark.parametrize(
    ("mode", "result"),
    [
        ("RGB", "RGB"),
        ("L", "L"),
        ("RGBA", "RGBA"),
        ("LA", "RGBA"),
        ("P", "RGB"),
        ("CMYK", "RGB"),
        ("1", "L"),
    ],
)
def test_pil_photos_of_every_mode_keep_size_and_kind(mode, result):
    photo, mask = scene(31, 45)
    image = Image.fromarray(photo).convert(mode)
    blurred = portrait(image, Segmenter(mask))
    assert (blurred.mode, blurred.size) == (result, (45, 31))


def test_opacity_is_kept():
    photo, mask = scene(40, 50)
    opacity = np.random.default_rng(1).integers(0, 256, (40, 50, 1), np.uint8)
    rgba = np.concatenate([photo, opacity], -1)
    for image in (rgba, Image.fromarray(rgba)):
        blurred = portrait(image, Segmenter(mask))
        assert (np.asarray(blurred)[..., 3:] == opacity).all()


@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 1)])
def test_grey_arrays_stay_grey(shape):
    grey = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    blurred = portrait(grey, Segmenter(scene(30, 40)[1]))
    assert (blurred.mode, blurred.size) == ("L", (40, 30))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 7)])
def test_tiny_photos_work(size):
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    confidence = np.zeros(size)
    confidence[0, 0] = 1
    assert portrait(photo, Segmenter(confidence), strength=1).size == size[::-1]


def test_exif_orientation_is_applied(tmp_path):
    photo, mask = scene(60, 90)
    exif = Image.Exif()
    exif[274] = 6  # shown turned by 90 degrees clockwise
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path, exif=exif)
    upright = np.rot90(photo, -1)
    segmenter = Segmenter(np.rot90(mask, -1))
    expected = np.asarray(portrait(np.ascontiguousarray(upright), segmenter))
    for image in (path, str(path), Image.open(path)):
        blurred = portrait(image, segmenter)
        assert blurred.size == (60, 90)
        assert (np.asarray(blurred) == expected).all()
        assert (segmenter.seen[-1] == upright).all()
    image.close()


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"strength": -0.1}, "strength=-0.1"),
        ({"strength": 1.1}, "strength=1.1"),
        ({"strength": float("nan")}, "strength=nan"),
        ({"threshold": 0}, "threshold=0"),
        ({"threshold": 1}, "threshold=1"),
    ],
)
def test_wrong_arguments_are_named(arguments, received):
    with pytest.raises(ValueError, match=f"Received: {received}"):
        portrait(scene()[0], Segmenter(scene()[1]), **arguments)


def test_real_portraits_are_blurred_behind_the_matte_and_sharp_in_it(data_dir):
    folder = data_dir("p3m")
    for path in sorted((folder / "images").iterdir())[:4]:
        with Image.open(folder / "alpha" / f"{path.stem}.png") as image:
            alpha = np.asarray(image.convert("L")) / 255
        photo = np.asarray(Image.open(path).convert("RGB"))
        small = Image.fromarray(alpha.astype(np.float32)).resize((64, 64))
        confidence = np.clip(np.asarray(small), 0, 1)
        blurred = np.asarray(portrait(path, Segmenter(confidence), strength=1))
        inside = ndimage.binary_erosion(alpha == 1, iterations=12)
        outside = ndimage.binary_erosion(alpha == 0, iterations=12)
        assert abs(blurred.astype(int) - photo)[inside].mean() < 0.2
        # Half a code is dither, where the background was smooth before.
        assert roughness(blurred, outside) < 0.6 * roughness(photo, outside) + 0.5


@pytest.fixture
def shipped(monkeypatch):
    """Stands in for the net that ships: it sees the red person of `scene`."""

    class Red:
        def segment(self, image):
            mask = (image == (200, 30, 20)).all(-1)
            return SimpleNamespace(confidence_masks=mask[..., None].astype(np.float32))

    names = []
    monkeypatch.setattr(
        "kseg.mobile.segmenter.load", lambda n: names.append(n) or Red()
    )
    return names


def test_shipped_net_is_taken_by_default(shipped):
    photo, mask = scene()
    expected = np.asarray(portrait(photo, Segmenter(mask)))
    assert (np.asarray(portrait(photo)) == expected).all()
    assert shipped == ["person_float16"]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_date_of_the_photo_stays_and_its_orientation_is_spent(
    suffix, shipped, tmp_path
):
    photo, _ = scene()
    source, output = tmp_path / "photo.jpg", tmp_path / f"out{suffix}"
    image = Image.fromarray(photo)
    exif = image.getexif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.DateTime] = "2026:05:04 03:02:01"
    image.save(source, exif=exif)
    portrait_file(source, output, strength=0.0)
    with Image.open(output) as written:
        assert written.size == image.size[::-1]
        assert written.getexif()[ExifTags.Base.DateTime] == "2026:05:04 03:02:01"
        assert ExifTags.Base.Orientation not in written.getexif()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".webp", ".tif"])
def test_file_is_written_in_the_format_of_its_name_with_its_profile(
    suffix, shipped, tmp_path
):
    photo, _ = scene()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source, output = tmp_path / "photo.png", tmp_path / f"out{suffix}"
    image = Image.fromarray(photo)
    image.putalpha(200)
    image.save(source, icc_profile=profile)
    portrait_file(source, output, strength=0.8)
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


def test_photo_may_be_replaced_in_place(shipped, tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(scene()[0]).save(path)
    expected = np.asarray(portrait(path))
    portrait_file(path, path)
    assert (np.asarray(Image.open(path)) == expected).all()


def test_photo_without_a_person_is_written_unchanged(shipped, tmp_path):
    photo = np.random.default_rng(0).integers(0, 99, (40, 60, 3), np.uint8)
    source, output = tmp_path / "photo.png", tmp_path / "out.png"
    Image.fromarray(photo).save(source)
    with pytest.warns(UserWarning, match="no person found"):
        portrait_file(source, output)
    assert (np.asarray(Image.open(output)) == photo).all()


@pytest.mark.parametrize("name", ["out", "out.txt", "out.psd"])
def test_formats_that_cannot_be_written_are_refused_at_once(name, tmp_path):
    with pytest.raises(ValueError, match=f"Received: output=.*{name}"):
        portrait_file(tmp_path / "absent.png", tmp_path / name)


def test_a_failure_leaves_the_old_file(shipped, tmp_path):
    output = tmp_path / "out.png"
    output.write_bytes(b"old")
    with pytest.raises(FileNotFoundError, match="absent.png"):
        portrait_file(tmp_path / "absent.png", output)
    assert output.read_bytes() == b"old"


def test_portrait_mode_imports_neither_keras_nor_tensorflow():
    code = (
        "import sys, numpy as np; from types import SimpleNamespace as S;"
        "from kseg.mobile.scenarios.portrait import portrait;"
        "portrait(np.zeros((9, 9, 3), np.uint8),"
        "S(segment=lambda i: S(confidence_masks=np.eye(9)[..., None])));"
        "print({'keras', 'tensorflow', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_no_warning_where_there_is_a_person():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        portrait(scene()[0], Segmenter(scene()[1]))
