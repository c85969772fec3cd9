"""Portrait mode: identities, the lens, and what must not bleed."""

import types
import warnings

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage


from kseg.mobile.scenarios.portrait import (
    blur_background,
    blur_beyond,
    disc,
    estimate_foreground,
    portrait,
    portrait_file,
    to_linear,
    to_srgb,
)


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
    with pytest.warns(UserWarning, match="No person was found"):
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


def test_soft_edges_lose_the_old_background():
    """Half-transparent red hair over green gets red over the blurred green."""
    alpha = np.zeros((40, 40), "float32")
    alpha[:, 15:25] = 0.5
    alpha[:, 25:] = 1
    light = np.zeros((40, 40, 3), "float32")
    light[..., 0], light[..., 1] = alpha, 1 - alpha
    colors = estimate_foreground(light, alpha, alpha == 0.5)
    # As it stands the pixel is half red and half green.
    assert colors[:, 0].mean() > 0.85
    assert colors[:, 1].mean() < 0.15


@pytest.mark.parametrize("radius", [0.5, 1.0, 2.7, 6.0])
def test_blur_is_the_normalised_convolution_with_a_disc(radius):
    rng = np.random.default_rng(1)
    light = rng.random((25, 31, 3)).astype("float32")
    alpha = (rng.random((25, 31)) < 0.3).astype("float32")
    kernel = disc(radius).astype("float64")
    weight = 1.0 - alpha

    def blur(values):
        return ndimage.convolve(values.astype("float64"), kernel, mode="constant")

    known = blur(weight) > 0.2  # Elsewhere the average of the background mixes in.
    result = blur_beyond(light, alpha, radius)
    for channel in range(3):
        expected = blur(light[..., channel] * weight)[known] / blur(weight)[known]
        np.testing.assert_allclose(result[known][:, channel], expected, atol=5e-3)


def test_large_blur_on_a_smaller_picture_is_the_same_blur():
    """A radius of 40 is computed on a fifth of the size."""
    rng = np.random.default_rng(2)
    light = rng.random((200, 260, 3)).astype("float32")
    result = blur_beyond(light, np.zeros((200, 260), "float32"), 40.0)
    kernel = disc(40.0)
    weight = ndimage.convolve(np.ones((200, 260)), kernel, mode="constant")
    for channel in range(3):
        expected = ndimage.convolve(light[..., channel], kernel, mode="constant")
        np.testing.assert_allclose(result[..., channel], expected / weight, atol=0.02)


@pytest.mark.parametrize("radius", [0.5, 3.0, 7.5])
def test_disc_has_the_area_of_a_circle_and_total_1(radius):
    kernel = disc(radius)
    assert kernel.sum() == pytest.approx(1.0, abs=1e-5)
    assert (kernel == kernel.T).all()
    assert 1 / kernel.max() == pytest.approx(np.pi * radius**2, rel=0.35 / radius)


def test_srgb_round_trip_is_exact():
    values = np.arange(256, dtype="uint8")
    assert (to_srgb(to_linear(values)) == values).all()
    # IEC 61966-2-1: sRGB 128 is 0.2158 of full light.
    assert to_linear(np.uint8(128)) == pytest.approx(0.2158, abs=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (37, 2), (50, 301)])
def test_any_size(size):
    image = np.random.default_rng(3).integers(0, 256, (*size, 3), "uint8")
    confidence = np.tile(np.linspace(0, 1, size[1]) > 0.4, (size[0], 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        result = portrait(image, segmenter(confidence), strength=1)
    assert result.size == size[::-1]
    assert result.mode == "RGB"


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_other_modes_become_rgb(mode, person):
    picture = Image.new(mode, (81, 60), 90 if mode != "RGBA" else (9, 9, 9, 255))
    assert portrait(picture, segmenter(person)).mode == "RGB"


def test_a_net_of_many_classes_needs_one_named_person(photo, person):
    maps = np.stack([1 - person, person * 0, person], -1)
    labels = ("background", "dog", "Person")
    several = np.array(portrait(photo, segmenter(maps, labels), strength=1))
    single = np.array(portrait(photo, segmenter(person), strength=1))
    assert (several == single).all()
    with pytest.raises(ValueError, match="must have a class named 'person'"):
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
    written = portrait_file(tmp_path / "in.png", tmp_path / "out.jpg")
    with Image.open(written) as picture:
        assert picture.size == (81, 60)
        assert picture.info["icc_profile"] == b"profile of a camera"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.png", "out.jpg"]


def test_file_of_no_picture_format_is_refused(photo, shipped, tmp_path):
    Image.fromarray(photo).save(tmp_path / "in.png")
    with pytest.raises(ValueError, match=r"`output` must end in the suffix"):
        portrait_file(tmp_path / "in.png", tmp_path / "out.xyz")
