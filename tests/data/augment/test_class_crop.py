"""Crops that look for classes: they find them, as often as they are told."""

import numpy as np
import pytest

from kseg.data.augment import (
    Compose,
    Plan,
    RandomClassCrop,
    RandomCrop,
    RandomElastic,
    RandomFlip,
    RandomRotation,
)

# Three quarters are class 0, nearly a quarter class 1, and five pixels class 2.
MASK = np.zeros((120, 160), "uint8")
MASK[:, 120:] = 1
MASK[100:105, 7] = 2


def plans(crop, mask=MASK, count=300, size=(32, 32)):
    rng = np.random.default_rng(0)
    return [crop.extend(Plan.of(*mask.shape, mask), rng, size) for _ in range(count)]


def share_that_shows(crop, class_id, mask=MASK):
    """Counted in the windows at full size."""
    shown = [
        (
            plan.resize(round(plan.height), round(plan.width)).mask(mask) == class_id
        ).any()
        for plan in plans(crop, mask)
    ]
    return np.mean(shown)


def test_a_class_that_is_aimed_at_is_always_in_the_window():
    crop = RandomClassCrop((0.1, 0.5), class_weights=(0, 0, 1))
    assert share_that_shows(crop, 2) == 1
    assert share_that_shows(RandomCrop((0.1, 0.5)), 2) < 0.3


def test_classes_are_drawn_alike_or_by_their_weights():
    # A window of two pixels shows hardly more than the pixel that it was put on.
    tiny = {"scale": (1 / 60, 1 / 60), "aspect": 1.0}
    for weights, shares in [
        (None, (1, 1, 1)),
        ((1, 2, 5), (1, 2, 5)),
        ((1, 0, 1), (1, 0, 1)),
    ]:
        crop = RandomClassCrop(class_weights=weights, **tiny)
        for class_id, share in enumerate(np.array(shares) / sum(shares)):
            if class_id == 0:
                continue  # also around the others
            assert abs(share_that_shows(crop, class_id) - share) < 0.09


def test_its_pixel_is_anywhere_in_the_window_and_any_of_the_class():
    mask = np.zeros((400, 400), "uint8")
    mask[200, 200] = 1
    crop = RandomClassCrop((0.25, 0.25), aspect=1.0, class_weights=(0, 1))
    places = np.array(
        [
            ((200.5 - p.matrix[1, 2]) / p.height, (200.5 - p.matrix[0, 2]) / p.width)
            for p in plans(crop, mask)
        ]
    )
    assert places.min() >= 0 and places.max() <= 1
    np.testing.assert_allclose(places.mean(0), 0.5, atol=0.05)
    np.testing.assert_allclose(places.std(0), 12**-0.5, atol=0.03)


def test_windows_have_the_sizes_of_a_random_crop_and_lie_inside():
    for aimed in plans(RandomClassCrop((0.2, 0.9))):
        assert aimed.matrix[1, 2] >= 0 and aimed.matrix[0, 2] >= 0
        assert aimed.matrix[1, 2] + aimed.height <= 120 + 1e-9
        assert aimed.matrix[0, 2] + aimed.width <= 160 + 1e-9
    first = RandomClassCrop().extend(
        Plan.of(120, 160, MASK), np.random.default_rng(4), (32, 32)
    )
    plain = RandomCrop().extend(Plan.of(120, 160), np.random.default_rng(4), (32, 32))
    assert (first.height, first.width) == (plain.height, plain.width)


def test_it_finds_the_class_in_a_picture_that_was_moved_before():
    row = Compose(
        [
            RandomFlip(1.0, 1.0),
            RandomRotation(10),
            RandomClassCrop((0.2, 0.4), class_weights=(0, 0, 1)),
        ]
    )
    assert share_that_shows(row, 2) > 0.95  # turned out of the picture at times


def test_larger_than_the_photo_shows_the_pixel():
    crop = RandomClassCrop((1.5, 2.0), class_weights=(0, 0, 1))
    assert share_that_shows(crop, 2) == 1


@pytest.mark.parametrize("mask", [None, np.full((120, 160), 255, "uint8")])
def test_without_a_class_to_find_it_is_a_random_crop(mask):
    seen, expected = (
        crop.extend(Plan.of(120, 160, mask), np.random.default_rng(0), (32, 32))
        for crop in (RandomClassCrop(), RandomCrop())
    )
    np.testing.assert_array_equal(seen.matrix, expected.matrix)
    nothing = RandomClassCrop(class_weights=(0, 0, 0, 1))
    plan = nothing.extend(Plan.of(120, 160, MASK), np.random.default_rng(0), (32, 32))
    np.testing.assert_array_equal(plan.matrix, expected.matrix)


def test_ignored_pixels_are_not_aimed_at():
    mask = np.where(MASK == 2, 255, MASK).astype("int32")
    crop = RandomClassCrop((1 / 60, 1 / 60), aspect=1.0)
    assert share_that_shows(crop, 255, mask) < 0.02


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"class_weights": ()}, "class_weights"),
        ({"class_weights": (0, 0)}, "class_weights"),
        ({"class_weights": (1, -1)}, "class_weights"),
        ({"probability": 1.5}, "probability"),
        ({"scale": (0, 1)}, "scale"),
    ],
)
def test_arguments_that_make_no_sense_are_named(arguments, name):
    with pytest.raises(ValueError, match=f"`{name}` must .* Received: {name}="):
        RandomClassCrop(**arguments)


def test_a_class_without_a_weight_and_a_bent_picture_are_refused():
    with pytest.raises(ValueError, match=r"`class_weights` must .*2 weights.*2\]"):
        plans(RandomClassCrop(class_weights=(1, 1)))
    with pytest.raises(ValueError, match="must stand before `RandomElastic`"):
        plans(Compose([RandomElastic(), RandomClassCrop()]))
