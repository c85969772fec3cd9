"""What the random choices of place may be, and that the pair moves together."""

import numpy as np
import pytest

from kseg.data.augment import (
    Plan,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomShear,
)

TRANSFORMS = [RandomCrop(), RandomFlip(), RandomRotation(), RandomShear()]


def windows(crop, source, size, count=300):
    """Top, left, height and width of many windows of a crop."""
    rng = np.random.default_rng(0)
    plans = [crop.extend(Plan.of(*source), rng, size) for _ in range(count)]
    return np.array(
        [[p.matrix[1, 2], p.matrix[0, 2], p.height, p.width] for p in plans]
    ).T


@pytest.mark.parametrize("size", [(64, 64), (32, 96)])
@pytest.mark.parametrize("source", [(600, 400), (400, 600), (1000, 3), (1, 1)])
def test_crops_lie_inside_the_photo(source, size):
    top, left, height, width = windows(RandomCrop((0.25, 1.0)), source, size)
    assert top.min() >= 0
    assert left.min() >= 0
    assert (top + height).max() <= source[0] * (1 + 1e-9)
    assert (left + width).max() <= source[1] * (1 + 1e-9)
    assert width.min() > 0


def test_crop_heights_and_places_fill_their_ranges():
    top, left, height, width = windows(RandomCrop((0.25, 1.0)), (600, 600), (64, 64))
    assert height.min() < 0.28 * 600
    assert height.max() > 0.97 * 600
    place = top / (600 - height)
    assert place.min() < 0.03
    assert place.max() > 0.97
    assert abs(place.mean() - 0.5) < 0.05


def test_crop_aspect_lies_between_the_photo_and_the_input():
    crop = RandomCrop((0.5, 0.5), aspect=1.0)
    _, _, height, width = windows(crop, (600, 400), (64, 64))
    ratio = width / height
    assert ratio.min() >= 400 / 600 - 1e-9
    assert ratio.max() <= 1 + 1e-9
    assert ratio.max() - ratio.min() > 0.3


def test_crop_upward_prefers_the_top():
    crop = RandomCrop((0.5, 0.5), upward=3.0)
    top, _, _, _ = windows(crop, (600, 600), (64, 64))
    assert abs(top.mean() / 300 - 1 / 4) < 0.05  # the mean of u**3


def test_crop_above_one_shows_the_whole_photo_inside():
    top, left, height, width = windows(RandomCrop((1.5, 2.0)), (60, 40), (64, 64))
    assert top.max() <= 0
    assert left.max() <= 1e-9
    assert (top + height).min() >= 60
    assert (left + width).min() >= 40 - 1e-9


def test_flip_does_so_with_its_probabilities():
    flip = RandomFlip(horizontal=0.3, vertical=0.8)
    rng = np.random.default_rng(0)
    matrices = [flip.extend(Plan.of(4, 6), rng, None).matrix for _ in range(500)]
    signs = np.array([[m[0, 0], m[1, 1]] for m in matrices])
    assert abs((signs[:, 0] < 0).mean() - 0.3) < 0.06
    assert abs((signs[:, 1] < 0).mean() - 0.8) < 0.06


def test_rotation_keeps_lengths_and_stays_within_its_angle():
    rotation = RandomRotation(15)
    rng = np.random.default_rng(0)
    matrices = [rotation.extend(Plan.of(4, 6), rng, None).matrix for _ in range(300)]
    angles = [np.rad2deg(np.arctan2(m[1, 0], m[0, 0])) for m in matrices]
    assert max(angles) > 14
    assert min(angles) < -14
    assert max(np.abs(angles)) <= 15
    for matrix in matrices:
        np.testing.assert_allclose(
            matrix[:2, :2] @ matrix[:2, :2].T, np.eye(2), 0, 1e-9
        )
        np.testing.assert_allclose(matrix @ [3, 2, 1], [3, 2, 1], 0, 1e-9)


@pytest.mark.parametrize("transform", [RandomRotation(0), RandomShear(0)])
def test_angle_zero_is_no_resampling(transform):
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), "uint8")
    out, _ = transform(image, None, np.random.default_rng(1), (20, 30))
    np.testing.assert_array_equal(out, image)


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda t: type(t).__name__)
@pytest.mark.parametrize("source", [(1, 1), (1, 300), (2, 3), (57, 33)])
def test_any_size_comes_out_at_the_size_asked_for(transform, source):
    image = np.full((*source, 3), 77, "uint8")
    mask = np.full(source, 3, "uint8")
    for seed in range(5):
        rng = np.random.default_rng(seed)
        out, kept = transform(image, mask, rng, (12, 20))
        assert out.shape == (12, 20, 3)
        assert out.dtype == "uint8"
        assert kept.shape == (12, 20)
        assert set(np.unique(kept)) <= {3, 255}
        assert np.all(out[kept == 3] == 77)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomCrop(scale=(0.5, 0.2)),
        lambda: RandomCrop(scale=(0, 1)),
        lambda: RandomCrop(scale=0.5),
        lambda: RandomCrop(aspect=0.9),
        lambda: RandomCrop(upward=0),
        lambda: RandomFlip(horizontal=1.1),
        lambda: RandomFlip(vertical=-0.1),
        lambda: RandomRotation(-1),
        lambda: RandomShear(90),
    ],
)
def test_arguments_out_of_range_are_named(make):
    with pytest.raises(ValueError, match=r"`\w+` must .* Received: \w+="):
        make()
