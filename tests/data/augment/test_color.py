"""Colour against PIL's enhancers, scikit-image's YIQ and plain NumPy."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from kseg.data.augment import (
    Compose,
    Plan,
    RandomBrightness,
    RandomContrast,
    RandomGrayscale,
    RandomHue,
    RandomSaturation,
    RandomWhiteBalance,
)
from kseg.data.augment.color import ColorMatrix

RANDOM = [
    RandomBrightness,
    RandomContrast,
    RandomGrayscale,
    RandomHue,
    RandomSaturation,
    RandomWhiteBalance,
]


def photo(low=0, high=256):
    return np.random.default_rng(0).integers(low, high, (20, 30, 3), "uint8")


def apply(transform, image, seed=0):
    image, _ = transform(image, None, np.random.default_rng(seed), image.shape[:2])
    return image.astype(int)


def gain(factor, seed=0):
    """The multiplier that a transform of one multiplier draws."""
    return 1 + np.random.default_rng(seed).uniform(-factor, factor)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("transform", "enhance"),
    [
        (RandomBrightness(0.9), ImageEnhance.Brightness),
        (RandomSaturation(0.9), ImageEnhance.Color),
    ],
)
def test_brightness_and_saturation_equal_pils_enhancers(transform, enhance, seed):
    expected = enhance(Image.fromarray(photo())).enhance(gain(0.9, seed))
    # PIL rounds the grey it blends with, and cuts off where kseg rounds.
    difference = apply(transform, photo(), seed) - np.asarray(expected).astype(int)
    assert np.abs(difference).max() <= 2


def test_contrast_turns_about_middle_grey():
    expected = 127.5 + (photo() - 127.5) * gain(0.9)
    seen = apply(RandomContrast(0.9), photo())
    assert np.abs(seen - expected.clip(0, 255)).max() <= 0.5 + 1e-4


def test_white_balance_multiplies_the_channels():
    gains = 1 + np.random.default_rng(0).uniform(-0.5, 0.5, 3)
    seen = apply(RandomWhiteBalance(0.5), photo())
    assert np.abs(seen - (photo() * gains).clip(0, 255)).max() <= 0.5 + 1e-4


def test_grayscale_equals_pils():
    expected = np.asarray(Image.fromarray(photo()).convert("L")).astype(int)
    seen = apply(RandomGrayscale(1.0), photo())
    assert np.abs(seen - expected[..., None]).max() <= 1


def test_hue_equals_a_turn_in_scikit_images_yiq():
    color = pytest.importorskip("skimage.color", reason="needs scikit-image")
    image = photo(100, 156)  # no colour is turned out of gamut
    angle = 2 * np.pi * np.random.default_rng(3).uniform(-0.4, 0.4)
    yiq = color.rgb2yiq(image)
    i, q = yiq[..., 1].copy(), yiq[..., 2].copy()
    yiq[..., 1] = np.cos(angle) * i - np.sin(angle) * q
    yiq[..., 2] = np.sin(angle) * i + np.cos(angle) * q
    expected = color.yiq2rgb(yiq) * 255
    assert np.abs(apply(RandomHue(0.4), image, 3) - expected).max() <= 1
    assert np.abs(expected - image).max() > 20


def test_hue_keeps_greys():
    gray = np.repeat(photo()[..., :1], 3, -1)
    np.testing.assert_array_equal(apply(RandomHue(0.5), gray), gray)


@pytest.mark.parametrize("transform", RANDOM)
def test_strength_zero_changes_nothing(transform):
    np.testing.assert_array_equal(apply(transform(0), photo()), photo())


def test_steps_in_a_row_are_rounded_and_clipped_once():
    half, double = (ColorMatrix(g * np.eye(3, 4)) for g in (0.01, 100.0))
    plan = Plan.of(20, 30).then(half).then(double)
    assert len(plan.steps) == 1
    np.testing.assert_array_equal(plan.image(photo()), photo())
    plan = Plan.of(20, 30).then(double).then(lambda picture: picture).then(half)
    assert len(plan.steps) == 3
    assert np.ptp(plan.image(photo())) <= 3  # clipped in between


def test_merged_steps_equal_the_steps_one_by_one():
    rng = np.random.default_rng(0)
    matrices = [rng.normal(0, 0.5, (3, 4)) * [1, 1, 1, 40] for _ in range(4)]
    plan, values = Plan.of(20, 30), photo().astype(float)
    for matrix in matrices:
        plan = plan.then(ColorMatrix(matrix))
        values = values @ matrix[:, :3].T + matrix[:, 3]
    seen = plan.image(photo()).astype(float)
    assert np.abs(seen - values.clip(0, 255)).max() <= 0.5 + 1e-3


def test_colour_leaves_the_mask_alone():
    mask = np.arange(600).reshape(20, 30).astype("int32")
    recipe = Compose([transform() for transform in RANDOM])
    _, kept = recipe(photo(), mask, np.random.default_rng(0), (20, 30))
    np.testing.assert_array_equal(kept, mask)


@pytest.mark.parametrize("transform", RANDOM)
@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_arguments_out_of_range_are_named(transform, value):
    with pytest.raises(ValueError, match=rf"must be from 0 to 1.*={value}"):
        transform(value)
