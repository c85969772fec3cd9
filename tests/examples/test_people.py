"""Portraits and groups that examples/people.py makes of photos of one person."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

PEOPLE = runpy.run_path(Path(__file__).parents[2] / "examples" / "people.py")
BACKGROUND, PERSON = 40, 200


def photo(height=100, width=80, left=30, right=50, level=PERSON):
    """A figure from row 20 to row 90 with a narrow head, brighter than what is behind."""
    mask = np.zeros((height, width), "uint8")
    mask[20:90, left:right] = 1
    mask[20:34, left : left + 4] = mask[20:34, right - 4 : right] = 0
    image = np.where(mask[..., None] == 1, level, BACKGROUND).astype("uint8")
    return image.repeat(3, axis=-1), mask


@pytest.mark.parametrize("seed", range(5))
def test_head_and_shoulders_are_around_the_head(seed):
    image, mask = photo()
    rng = np.random.default_rng(seed)
    cut, cut_mask = PEOPLE["head_and_shoulders"](image, mask, rng)
    assert cut.shape[:2] == cut_mask.shape
    assert 12 <= len(cut) == cut.shape[1] <= 35
    np.testing.assert_array_equal(cut[..., 0] == PERSON, cut_mask == 1)
    # The row of the head's top has all of the head, and nothing is above.
    top = np.nonzero(cut_mask.any(axis=1))[0][0]
    assert cut_mask[top].sum() == 12
    assert cut_mask.sum() > 20


def test_head_at_the_edge_of_the_photo():
    image, mask = photo(left=60, right=80)
    cuts = [
        PEOPLE["head_and_shoulders"](image, mask, np.random.default_rng(seed))
        for seed in range(10)
    ]
    for cut, cut_mask in cuts:
        np.testing.assert_array_equal(cut[..., 0] == PERSON, cut_mask == 1)
    assert any(cut.shape[1] < len(cut) for cut, _ in cuts)


@pytest.mark.parametrize("pixels", [0, 1])
def test_head_of_nobody_and_of_a_speck(pixels):
    image, mask = np.zeros((30, 20, 3), "uint8"), np.zeros((30, 20), "uint8")
    mask[7, 19] = pixels
    rng = np.random.default_rng(0)
    cut, cut_mask = PEOPLE["head_and_shoulders"](image, mask, rng)
    assert cut.shape[:2] == cut_mask.shape
    assert cut_mask.sum() == pixels
    assert min(cut_mask.shape) >= 1


def test_people_beside_each_other_keep_their_masks():
    first, other = (
        photo(left=45, right=78),
        photo(width=60, left=2, right=30, level=120),
    )
    other[1][0] = 255
    is_hidden = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        image, mask = PEOPLE["beside"](*first, *other, rng)
        assert image.shape[:2] == mask.shape
        assert len(mask) == 100
        assert 80 + 60 - 0.6 * 60 <= mask.shape[1] <= 80 + 60
        # The added person is whole, and the first one goes on behind.
        added, before = (image[..., 0] == level for level in (120, PERSON))
        assert added.sum() == (other[1] == 1).sum()
        np.testing.assert_array_equal(mask == 1, added | before)
        np.testing.assert_array_equal(before[:, :80], (first[1] == 1) & ~added[:, :80])
        np.testing.assert_array_equal(mask[0] == 255, np.arange(mask.shape[1]) >= 80)
        is_hidden.append(before.sum() < (first[1] == 1).sum())
    assert 0 < sum(is_hidden) < 8


def test_the_added_photo_gets_the_height_of_the_first():
    image, mask = PEOPLE["beside"](*photo(), *photo(50, 60), np.random.default_rng(0))
    assert image.shape[:2] == mask.shape
    assert mask.shape[0] == 100
    assert 80 + 120 - 0.6 * 80 <= mask.shape[1] <= 80 + 120


def test_portraits_and_groups_are_made_now_and_then():
    samples = [SimpleNamespace(image=i, mask=m) for i, m in (photo(), photo(left=20))]
    people = PEOPLE["People"](samples)
    people.far = people.close = lambda image, mask, rng, size: (image, mask)
    image, mask = photo()
    shapes = [
        people(image, mask, np.random.default_rng(seed), (64, 64))[1].shape
        for seed in range(400)
    ]
    is_close = np.array([height < 100 for height, _ in shapes])
    is_group = np.array(
        [width > (80, height)[height < 100] for height, width in shapes]
    )
    # Four standard deviations of 400 draws.
    assert is_close.mean() == pytest.approx(0.4, abs=0.1)
    assert is_group.mean() == pytest.approx(0.35, abs=0.1)
    assert (is_close & is_group).mean() == pytest.approx(0.14, abs=0.07)


def test_people_come_before_other_backgrounds_at_the_size_of_a_batch():
    samples = [SimpleNamespace(image=i, mask=m) for i, m in (photo(), photo(left=20))]
    people = PEOPLE["People"](samples)
    image, mask = photo()
    made = []
    for seed in (0, 0, *range(1, 24)):
        made.append(people(image, mask, np.random.default_rng(seed), (64, 64)))
    for found, found_mask in made:
        assert (found.shape, found_mask.shape) == ((64, 64, 3), (64, 64))
    np.testing.assert_array_equal(made[0][0], made[1][0])
    np.testing.assert_array_equal(made[0][1], made[1][1])
    assert [people.far.transforms[0].probability] * 2 == [0.3, 0.3]
    assert people.close.transforms[0] is people.far.transforms[0]
