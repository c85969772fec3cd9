"""Portrait mode: identities, the lens, and what must not bleed."""

import types
import warnings

import numpy as np
import pytest
from kseg.mobile.scenarios.lens import blur_background, convolve, disc, fill
from kseg.mobile.scenarios.portrait import portrait, portrait_file
from PIL import Image
from scipy import ndimage


def segmenter(confidence, labels=()):
    """A stand-in that gives the same confidence for every image."""
    confidence = np.asarray(confidence, "float32")
    if confidence.ndim == 2:
        confidence = confidence[..., None]
    result = types.SimpleNamespace(confidence_masks=confidence)
    return types.SimpleNamespace(segment=lambda image: result, labels=labels)


@pytest.fixture
def photo():
    """Noise, 60 x 81."""
    return np.random.default_rng(0).integers(0, 256, (60, 81, 3), "uint8")


@pytest.fixture
def person():
    """A block in the middle of 60 x 81 pixels."""
    mask = np.zeros((60, 81), "float32")
    mask[15:55, 25:60] = 1
    return mask


def test_strength_0_leaves_the_photo_as_it_is(photo, person):
    result = portrait(photo, segmenter(person), strength=0)
    assert (np.array(result) == photo).all()


def test_all_person_leaves_the_photo_as_it_is(photo):
    result = portrait(photo, segmenter(np.ones((60, 81))), strength=1)
    assert (np.array(result) == photo).all()


def test_no_person_says_so_and_leaves_the_photo_as_it_is(photo):
    with pytest.warns(UserWarning, match="no person found"):
        result = portrait(photo, segmenter(np.zeros((60, 81))))
    assert (np.array(result) == photo).all()


def test_the_person_stays_sharp_and_the_background_does_not(photo, person):
    result = np.array(portrait(photo, segmenter(person), strength=1))
    assert (result[25:45, 35:50] == photo[25:45, 35:50]).all()
    assert result[:, :10].std() < 0.5 * photo[:, :10].std()


def test_a_flat_background_stays_flat(person):
    image = np.full((60, 81, 3), (90, 120, 160), "uint8")
    image[person > 0] = (250, 10, 10)
    result = blur_background(image, person, 6.0).astype(int)
    assert np.abs(result - image).max() <= 1


def test_the_foreground_does_not_bleed_into_the_blur(person):
    blue_beside_red = np.zeros((60, 81, 3), "uint8")
    blue_beside_red[..., 2] = 255
    blue_beside_red[person > 0] = (255, 0, 0)
    result = blur_background(blue_beside_red, person, 9.0)
    assert result[person == 0][:, 0].max() == 0


@pytest.mark.parametrize("radius", [0.5, 1.0, 2.7, 6.0])
def test_convolution_with_a_disc_is_the_direct_one(radius):
    planes = np.random.default_rng(1).random((2, 25, 31)).astype("float32")
    result = convolve(planes, disc(radius))
    for plane, blurred in zip(planes, result, strict=True):
        expected = ndimage.convolve(plane, disc(radius), mode="constant")
        np.testing.assert_allclose(blurred, expected, atol=1e-5)


def test_fill_keeps_what_is_known_and_spreads_it():
    values = np.zeros((1, 16, 16), "float32")
    values[:, :, :4] = 3.0
    weights = np.zeros((16, 16), "float32")
    weights[:, :4] = 1.0
    filled = fill(values, weights)
    np.testing.assert_allclose(filled, 3.0, rtol=1e-5)


@pytest.mark.parametrize("radius", [0.5, 3.0, 7.5])
def test_disc_has_the_area_of_a_circle_and_total_1(radius):
    kernel = disc(radius)
    assert kernel.sum() == pytest.approx(1.0, abs=1e-5)
    assert (kernel == kernel.T).all()
    assert 1 / kernel.max() == pytest.approx(np.pi * radius**2, rel=0.35 / radius)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (37, 2), (50, 301)])
def test_any_size(size):
    image = np.random.default_rng(3).integers(0, 256, (*size, 3), "uint8")
    confidence = np.tile(np.linspace(0, 1, size[1]) > 0.4, (size[0], 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        result = portrait(image, segmenter(confidence), strength=1)
    assert result.size == size[::-1]
    assert result.mode == "RGB"


@pytest.mark.parametrize(
    ("mode", "expected"), [("L", "L"), ("RGBA", "RGBA"), ("P", "RGB"), ("RGB", "RGB")]
)
def test_mode_of_the_photo_is_kept(mode, expected, person):
    picture = Image.new(mode, (81, 60), 90 if len(mode) == 1 else "gray")
    result = portrait(picture, segmenter(person))
    assert (result.mode, result.size) == (expected, (81, 60))


def test_a_net_of_many_classes_needs_one_named_person(photo, person):
    maps = np.stack([1 - person, person * 0, person], -1)
    labels = ("background", "dog", "person")
    several = np.array(portrait(photo, segmenter(maps, labels), strength=1))
    single = np.array(portrait(photo, segmenter(person), strength=1))
    assert (several == single).all()
    with pytest.raises(ValueError, match="one labelled 'person'"):
        portrait(photo, segmenter(maps, ("background", "dog", "cat")))


@pytest.mark.parametrize("strength", [-0.1, 1.5])
def test_strength_out_of_range(photo, strength):
    with pytest.raises(ValueError, match=f"Received: strength={strength}"):
        portrait(photo, segmenter(np.ones((60, 81))), strength=strength)


@pytest.fixture
def shipped(monkeypatch, person):
    """Replaces the shipped net by the block in the middle."""
    from kseg.mobile import segmenter as module

    monkeypatch.setattr(module, "load", lambda name: segmenter(person))


def test_file_keeps_size_and_colour_profile(photo, shipped, tmp_path):
    Image.fromarray(photo).save(tmp_path / "in.png", icc_profile=b"profile of a camera")
    portrait_file(tmp_path / "in.png", tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as picture:
        assert picture.size == (81, 60)
        assert picture.info["icc_profile"] == b"profile of a camera"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.png", "out.jpg"]


def test_file_of_no_picture_format_is_refused(photo, shipped, tmp_path):
    Image.fromarray(photo).save(tmp_path / "in.png")
    with pytest.raises(ValueError, match=r"`output` must end in \.jpg"):
        portrait_file(tmp_path / "in.png", tmp_path / "out.xyz")
