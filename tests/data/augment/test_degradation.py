"""Blur against scipy, noise against its own statistics, JPEG against what it loses."""

import numpy as np
import pytest
import scipy.ndimage
import scipy.special

from kseg.data.augment import RandomGaussianBlur, RandomJpeg, RandomNoise

ALL = [RandomGaussianBlur, RandomJpeg, RandomNoise]


def apply(transform, image, seed=0):
    return transform(image, None, np.random.default_rng(seed), image.shape[:2])[0]


def noise(height=60, width=80):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), "uint8")


@pytest.mark.parametrize("source", [(60, 80), (1, 9), (7, 1)])
@pytest.mark.parametrize("sigma", [0.3, 0.7, 1.5, 3.0])
def test_blur_is_scipys_gaussian(sigma, source):
    image = noise(*source)
    seen = apply(RandomGaussianBlur(1.0, (sigma, sigma)), image).astype(float)
    reach = int(np.ceil(3 * sigma))
    expected = scipy.ndimage.gaussian_filter(
        image.astype(float), sigma, axes=(0, 1), mode="nearest", radius=reach
    )
    assert np.abs(seen - expected).max() <= 0.5 + 1e-3


def test_blur_of_no_width_changes_nothing():
    seen = apply(RandomGaussianBlur(1.0, (0.0, 0.0)), noise())
    np.testing.assert_array_equal(seen, noise())


def test_noise_is_normal_and_every_value_has_its_own():
    gray = np.full((256, 256, 3), 128, "uint8")
    seen = apply(RandomNoise(1.0, (20.0, 20.0)), gray).astype(float) - 128
    # Shares within one, two and three deviations; half a step for the rounding.
    for k in (1, 2, 3):
        share = (np.abs(seen) < 20 * k).mean()
        expected = scipy.special.erf((20 * k - 0.5) / 20 / np.sqrt(2))
        assert abs(share - expected) < 0.004
    rows, columns = seen[..., 0][1:, :], seen[..., 0][:, 1:]
    assert abs(np.corrcoef(rows.ravel(), seen[:-1, :, 0].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(columns.ravel(), seen[:, :-1, 0].ravel())[0, 1]) < 0.02
    assert not np.array_equal(
        apply(RandomNoise(1.0, (20.0, 20.0)), gray, seed=1), seen + 128
    )


@pytest.mark.parametrize("sigma", [2.0, 12.0])
def test_noise_has_its_standard_deviation_and_no_mean(sigma):
    gray = np.full((128, 128, 3), 128, "uint8")
    difference = apply(RandomNoise(1.0, (sigma, sigma)), gray).astype(float) - 128
    rounding = 1 / 12
    assert abs(difference.std() / np.sqrt(sigma**2 + rounding) - 1) < 0.02
    assert abs(difference.mean()) < 4 * sigma / np.sqrt(difference.size)
    channels = np.corrcoef(difference.reshape(-1, 3).T)
    assert np.abs(channels - np.eye(3)).max() < 0.05


@pytest.mark.parametrize("value", [0, 255])
def test_noise_does_not_wrap_around(value):
    flat = np.full((32, 32, 3), value, "uint8")
    seen = apply(RandomNoise(1.0, (20, 20)), flat).astype(int)
    assert np.abs(seen - value).max() < 120


def test_jpeg_loses_more_at_lower_quality():
    image = scipy.ndimage.gaussian_filter(noise(), (2, 2, 0))
    errors = [
        np.abs(apply(RandomJpeg(1.0, (q, q)), image).astype(int) - image).mean()
        for q in (10, 50, 95)
    ]
    assert errors[0] > errors[1] > errors[2] > 0


@pytest.mark.parametrize("transform", ALL)
def test_they_act_as_often_as_they_are_told(transform):
    rng = np.random.default_rng(0)
    sampled = [transform(0.3).sample(rng, (4, 4), (4, 4)) for _ in range(500)]
    assert abs(np.mean([bool(plan.steps) for plan in sampled]) - 0.3) < 0.06


@pytest.mark.parametrize("transform", ALL)
def test_a_plan_does_the_same_to_every_frame(transform):
    plan = transform(1.0).sample(np.random.default_rng(0), (60, 80), (60, 80))
    np.testing.assert_array_equal(plan.image(noise()), plan.image(noise()))


@pytest.mark.parametrize("transform", ALL)
def test_a_single_pixel_is_no_obstacle(transform):
    image = np.full((1, 1, 3), 255, "uint8")
    assert apply(transform(1.0), image).shape == (1, 1, 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomJpeg(quality=(0, 50)),
        lambda: RandomJpeg(quality=(50, 101)),
        lambda: RandomNoise(sigma=(-1, 2)),
        lambda: RandomGaussianBlur(sigma=(2, 1)),
        lambda: RandomGaussianBlur(probability=2),
    ],
)
def test_arguments_out_of_range_are_named(make):
    with pytest.raises(ValueError, match=r"`\w+` must .* Received: \w+="):
        make()
