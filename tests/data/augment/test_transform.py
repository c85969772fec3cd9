"""Rows of transforms: choices come from the generator alone, and always as many."""

import functools

import numpy as np
import pytest

from kseg.data import augment
from kseg.data.augment import Compose, RandomCrop, Transform

RANDOM = [
    getattr(augment, name) for name in augment.__all__ if name.startswith("Random")
]
RANDOM.remove(augment.RandomBackground)
RANDOM.append(functools.partial(augment.RandomBackground, "noise"))
# What looks where a class is does something else without a mask.
WITHOUT_MASK = [t for t in RANDOM[:-1] if t is not augment.RandomClassCrop]


def sample(height=50, width=70):
    rng = np.random.default_rng(5)
    image = rng.integers(0, 256, (height, width, 3), "uint8")
    mask = (np.arange(width) // 10 + np.zeros((height, 1), int)).astype("uint8")
    return image, mask


@pytest.mark.parametrize("transform", RANDOM)
def test_the_same_generator_gives_the_same_bytes(transform):
    first, second = (
        transform()(*sample(), np.random.default_rng(7), (33, 44)) for _ in range(2)
    )
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize("transform", RANDOM)
def test_choices_do_not_change_how_much_is_drawn(transform):
    states = set()
    for seed in range(20):
        rng = np.random.default_rng(0)
        rng.random(seed)  # another part of the stream: other choices
        before = rng.bit_generator.state["state"]["state"]
        transform().sample(rng, (50, 70), (33, 44))
        after = np.random.default_rng(0).bit_generator
        draws = 0
        while after.state["state"]["state"] != before:
            after.advance(1)
        while (
            after.state["state"]["state"] != rng.bit_generator.state["state"]["state"]
        ):
            after.advance(1)
            draws += 1
            assert draws < 50
        states.add(draws)
    assert len(states) == 1


@pytest.mark.parametrize("transform", RANDOM)
def test_global_generators_are_left_alone(transform):
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    transform()(*sample(), np.random.default_rng(0), (8, 8))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("transform", WITHOUT_MASK)
def test_image_alone_and_with_a_mask_are_the_same(transform):
    image, mask = sample()
    alone, none = transform()(image, None, np.random.default_rng(0), (16, 16))
    with_mask, _ = transform()(image, mask, np.random.default_rng(0), (16, 16))
    assert none is None
    np.testing.assert_array_equal(alone, with_mask)


ROW = Compose(
    [
        augment.RandomClassCrop(),
        augment.RandomPerspective(),
        augment.RandomElastic(3.0),
        augment.RandomHue(),
        augment.RandomNoise(1.0),
    ]
)


@pytest.mark.parametrize("masks", ["each", "last", "none"])
def test_the_frames_of_a_clip_get_the_same(masks):
    """Equal frames stay equal, and equal what one photo becomes."""
    image, mask = sample()
    expected, kept = ROW(image, mask, np.random.default_rng(2), (33, 44))
    truth = {"each": np.stack([mask] * 4), "last": mask, "none": None}[masks]
    clip, clip_mask = ROW(
        np.stack([image] * 4), truth, np.random.default_rng(2), (33, 44)
    )
    assert clip.shape == (4, 33, 44, 3)
    if masks == "none":
        assert clip_mask is None
    else:
        np.testing.assert_array_equal(
            clip_mask, np.stack([kept] * 4) if masks == "each" else kept
        )
        np.testing.assert_array_equal(clip, np.stack([expected] * 4))
    np.testing.assert_array_equal(clip[0], clip[3])


def test_the_frames_of_a_clip_are_those_of_its_plan():
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (3, 50, 70, 3), "uint8")
    masks = rng.integers(0, 4, (3, 50, 70), "uint8")
    frames, kept = ROW(clip, masks, np.random.default_rng(2), (33, 44))
    plan = ROW.sample(np.random.default_rng(2), (50, 70), (33, 44), masks[-1])
    for i in range(3):
        np.testing.assert_array_equal(frames[i], plan.image(clip[i]))
        np.testing.assert_array_equal(kept[i], plan.mask(masks[i]))


def test_a_clip_with_another_number_of_masks_is_refused():
    image, mask = sample()
    with pytest.raises(ValueError, match=r"as many frames.*\(4, 50, 70, 3\)"):
        ROW(
            np.stack([image] * 4),
            np.stack([mask] * 3),
            np.random.default_rng(0),
            (8, 8),
        )


def test_an_empty_row_resizes():
    image, mask = Compose()(*sample(), np.random.default_rng(0), (25, 35))
    assert image.shape == (25, 35, 3)
    np.testing.assert_array_equal(mask, sample()[1][1::2, 1::2])


def test_rows_nest():
    flat = Compose([RandomCrop(), augment.RandomFlip(), augment.RandomHue()])
    nested = Compose([RandomCrop(), Compose([augment.RandomFlip()])])
    nested = Compose([nested, augment.RandomHue()])
    for a, b in zip(
        flat(*sample(), np.random.default_rng(0), (8, 8)),
        nested(*sample(), np.random.default_rng(0), (8, 8)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_a_transform_of_the_users_own():
    class Darken(Transform):
        def extend(self, plan, rng, size):
            return plan.then(lambda image: image // 2)

    image, mask = Compose([Darken()])(*sample(), np.random.default_rng(0), (50, 70))
    np.testing.assert_array_equal(image, sample()[0] // 2)
    np.testing.assert_array_equal(mask, sample()[1])


def test_what_is_no_transform_is_refused():
    with pytest.raises(
        TypeError, match="`transforms` must be .* Received: transforms="
    ):
        Compose([RandomCrop])
