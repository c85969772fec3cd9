import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from kseg.mobile.scenarios.portrait import portrait


def roughness(image, where):
    """How much neighbouring pixels differ."""
    values = np.asarray(image.convert("L") if hasattr(image, "convert") else image, int)
    return abs(np.diff(values.reshape(*values.shape[:2], -1), axis=1))[
        where[:, 1:]
    ].mean()


def test_background_is_blurred_and_the_person_is_not(scene, segmenter_of):
    photo, mask = scene()
    segmenter = segmenter_of(mask)
    result = portrait(photo, segmenter, strength=1)
    assert (result.mode, result.size) == ("RGB", (160, 120))
    inside = ndimage.binary_erosion(mask, iterations=6)
    outside = ~ndimage.binary_dilation(mask, iterations=6)
    assert (np.asarray(result)[inside] == photo[inside]).all()
    assert roughness(result, outside) < 0.1 * roughness(photo, outside)
    assert np.asarray(result)[outside][:, 0].mean() < 180  # nothing red around


def test_stronger_is_smoother(scene, segmenter_of):
    photo, mask = scene()
    outside = ~ndimage.binary_dilation(mask, iterations=6)
    rough = [
        roughness(portrait(photo, segmenter_of(mask), strength=s), outside)
        for s in (0, 0.3, 0.6, 1)
    ]
    assert rough == sorted(rough, reverse=True)
    assert len(set(rough)) == 4


def test_strength_zero_returns_the_photo_and_asks_no_net(scene, segmenter_of):
    photo, mask = scene()
    segmenter = segmenter_of(mask)
    assert (np.asarray(portrait(photo, segmenter, strength=0)) == photo).all()
    assert segmenter.seen == []


def test_person_everywhere_returns_the_photo(scene, segmenter_of):
    photo, _ = scene()
    assert (np.asarray(portrait(photo, segmenter_of(np.ones((4, 5))))) == photo).all()


@pytest.mark.parametrize("confidence", [0.0, 0.49, "speck"])
def test_no_person_returns_the_photo_and_says_so(confidence, scene, segmenter_of):
    photo, _ = scene()
    if confidence == "speck":
        mask = np.zeros((120, 160))
        mask[3:6, 9:13] = 1
    else:
        mask = np.full((120, 160), confidence)
    with pytest.warns(UserWarning, match="no person found"):
        result = portrait(photo, segmenter_of(mask))
    assert (np.asarray(result) == photo).all()


def test_threshold_says_what_is_a_person(scene, segmenter_of):
    photo, mask = scene()
    faint = segmenter_of(0.3 * mask)
    with pytest.warns(UserWarning, match="no person found"):
        portrait(photo, faint)
    result = np.asarray(portrait(photo, faint, strength=1, threshold=0.15))
    inside = ndimage.binary_erosion(mask, iterations=6)
    assert (result[inside] == photo[inside]).all()
    assert (result != photo).any(-1).mean() > 0.5


def test_two_people_stay_sharp_and_specks_do_not(segmenter_of):
    photo = np.random.default_rng(0).integers(0, 256, (100, 200, 3), np.uint8)
    mask = np.zeros((100, 200), bool)
    mask[20:80, 20:60] = mask[30:70, 140:170] = True
    speck = np.zeros_like(mask)
    speck[45:52, 98:106] = True
    result = np.asarray(portrait(photo, segmenter_of(mask | speck), strength=1))
    for person in ((slice(30, 70), slice(30, 50)), (slice(40, 60), slice(148, 162))):
        assert (result[person] == photo[person]).all()
    assert result[speck].std() < 0.5 * photo[speck].std()


def test_of_several_classes_the_person_is_taken(scene, segmenter_of):
    photo, mask = scene()
    masks = np.stack([1 - mask, np.zeros(mask.shape), mask], -1)
    expected = np.asarray(portrait(photo, segmenter_of(mask)))
    for name in ("person", "Person"):
        segmenter = segmenter_of(masks, ("background", "cat", name))
        assert (np.asarray(portrait(photo, segmenter)) == expected).all()
    for unknown in (None, (), ("a", "b", "c")):
        with pytest.raises(ValueError, match=r"'person'.*Received: 3 classes, labels="):
            portrait(photo, segmenter_of(masks, unknown))


def test_segmenter_that_gives_no_confidence_is_refused(scene):
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
def test_pil_photos_of_every_mode_keep_size_and_kind(mode, result, scene, segmenter_of):
    photo, mask = scene(31, 45)
    image = Image.fromarray(photo).convert(mode)
    blurred = portrait(image, segmenter_of(mask))
    assert (blurred.mode, blurred.size) == (result, (45, 31))


def test_opacity_is_kept(scene, segmenter_of):
    photo, mask = scene(40, 50)
    opacity = np.random.default_rng(1).integers(0, 256, (40, 50, 1), np.uint8)
    rgba = np.concatenate([photo, opacity], -1)
    for image in (rgba, Image.fromarray(rgba)):
        blurred = portrait(image, segmenter_of(mask))
        assert (np.asarray(blurred)[..., 3:] == opacity).all()


@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 1)])
def test_grey_arrays_stay_grey(shape, scene, segmenter_of):
    grey = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    blurred = portrait(grey, segmenter_of(scene(30, 40)[1]))
    assert (blurred.mode, blurred.size) == ("L", (40, 30))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 7)])
def test_tiny_photos_work(size, segmenter_of):
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    confidence = np.zeros(size)
    confidence[0, 0] = 1
    assert portrait(photo, segmenter_of(confidence), strength=1).size == size[::-1]


def test_exif_orientation_is_applied(tmp_path, scene, segmenter_of):
    photo, mask = scene(60, 90)
    exif = Image.Exif()
    exif[274] = 6  # shown turned by 90 degrees clockwise
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path, exif=exif)
    upright = np.rot90(photo, -1)
    segmenter = segmenter_of(np.rot90(mask, -1))
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
def test_wrong_arguments_are_named(arguments, received, scene, segmenter_of):
    with pytest.raises(ValueError, match=f"Received: {received}"):
        portrait(scene()[0], segmenter_of(scene()[1]), **arguments)


def test_real_portraits_are_blurred_behind_the_matte_and_sharp_in_it(
    data_dir, segmenter_of
):
    folder = data_dir("p3m")
    for path in sorted((folder / "images").iterdir())[:4]:
        with Image.open(folder / "alpha" / f"{path.stem}.png") as image:
            alpha = np.asarray(image.convert("L")) / 255
        photo = np.asarray(Image.open(path).convert("RGB"))
        small = Image.fromarray(alpha.astype(np.float32)).resize((64, 64))
        confidence = np.clip(np.asarray(small), 0, 1)
        blurred = np.asarray(portrait(path, segmenter_of(confidence), strength=1))
        inside = ndimage.binary_erosion(alpha == 1, iterations=12)
        outside = ndimage.binary_erosion(alpha == 0, iterations=12)
        assert abs(blurred.astype(int) - photo)[inside].mean() < 0.2
        # Half a code is dither, where the background was smooth before.
        assert roughness(blurred, outside) < 0.6 * roughness(photo, outside) + 0.5


def test_shipped_net_is_taken_by_default(shipped, scene, segmenter_of):
    photo, mask = scene()
    expected = np.asarray(portrait(photo, segmenter_of(mask)))
    assert (np.asarray(portrait(photo)) == expected).all()
    assert shipped == ["person_float16"]


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


def test_no_warning_where_there_is_a_person(scene, segmenter_of):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        portrait(scene()[0], segmenter_of(scene()[1]))
