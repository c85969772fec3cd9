"""Two samples into one: whose pixel it is, label and colour agree."""

import numpy as np
import pytest

from kseg.data.augment import ClassMix, CutMix, Mix


def sample(seed, height=40, width=60, classes=6):
    """A mask, and an image that tells sample and class of every pixel."""
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, classes, (height, width), "uint8")
    image = np.stack([mask * 20, np.full_like(mask, seed), mask + 100], -1)
    return image, mask


def assert_pixels_have_their_labels(image, mask):
    np.testing.assert_array_equal(image[..., 0], mask * 20)
    np.testing.assert_array_equal(image[..., 2], mask + 100)


@pytest.mark.parametrize("mix", [CutMix(), ClassMix()], ids=["cut", "class"])
def test_labels_follow_and_every_pixel_is_of_one_of_the_two(mix):
    own, other = sample(1), sample(2)
    for seed in range(20):
        image, mask = mix(own, other, np.random.default_rng(seed))
        assert image.dtype == "uint8" and mask.dtype == "uint8"
        assert_pixels_have_their_labels(image, mask)
        assert set(np.unique(image[..., 1])) <= {1, 2}
        again, _ = mix(own, other, np.random.default_rng(seed))
        np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(own[0], sample(1)[0])  # left as they were
    np.testing.assert_array_equal(other[1], sample(2)[1])


def test_cutmix_takes_one_box_of_the_drawn_area():
    own, other = sample(1, 100, 200), sample(2, 100, 200)
    shares = []
    for seed in range(300):
        image, _ = CutMix()(own, other, np.random.default_rng(seed))
        taken = image[..., 1] == 2
        rows, columns = taken.any(1), taken.any(0)
        assert taken.sum() == rows.sum() * columns.sum()
        for line in (rows, columns):
            assert np.abs(np.diff(line.astype(int))).sum() <= 2  # in one piece
        # lambda is the first number that is drawn.
        share = 1 - np.random.default_rng(seed).beta(1, 1)
        assert taken.mean() <= share + 0.02
        uncut = not (rows[0] or rows[-1] or columns[0] or columns[-1])
        if uncut and taken.any():
            assert abs(taken.mean() - share) < 0.02
        shares.append(taken.mean())
    # A side of s loses s/4 of itself on average: E[s²(1 - s/4)²], s² uniform.
    expected = 1 / 2 - 2 * (2 / 5) / 4 + (1 / 3) / 16
    assert abs(np.mean(shares) - expected) < 0.03


@pytest.mark.parametrize(("classes", "taken"), [(6, 3), (5, 2), (2, 1), (1, 0)])
def test_classmix_takes_half_of_the_classes_wholly(classes, taken):
    own, other = sample(1, classes=classes), sample(2, classes=classes)
    areas = []
    for seed in range(200):
        image, _ = ClassMix()(own, other, np.random.default_rng(seed))
        from_other = image[..., 1] == 2
        found = np.unique(other[1][from_other])
        assert len(found) == taken
        np.testing.assert_array_equal(from_other, np.isin(other[1], found))
        areas.append(from_other.mean())
    assert abs(np.mean(areas) - taken / classes) < 0.01  # every class as often


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_classmix_takes_no_ignored_pixel(dtype):
    own, (image, mask) = sample(1), sample(2)
    mask = mask.astype(dtype)
    mask[:, :20] = 255
    for seed in range(20):
        mixed, labels = ClassMix()(own, (image, mask), np.random.default_rng(seed))
        assert np.all(mixed[:, :20, 1] == 1)
        assert 255 not in labels
        assert len(np.unique(mask[mixed[..., 1] == 2])) == 3


@pytest.mark.parametrize("mix", [CutMix(), ClassMix()], ids=["cut", "class"])
def test_clips_are_mixed_frame_by_frame(mix):
    clips = [
        tuple(np.stack(part) for part in zip(*[sample(s)] * 3, strict=True))
        for s in (1, 2)
    ]
    image, mask = mix(*clips, np.random.default_rng(0))
    assert image.shape == (3, 40, 60, 3) and mask.shape == (3, 40, 60)
    assert_pixels_have_their_labels(image, mask)
    for frame in image[1:]:
        np.testing.assert_array_equal(frame, image[0])


def test_samples_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"one size.*\(40, 60, 3\).*\(41, 60\)"):
        CutMix()(sample(1), sample(2, height=41), np.random.default_rng(0))
    image, mask = np.stack([sample(1)[0]] * 2), sample(1)[1]
    with pytest.raises(ValueError, match="`sample` and `other` must"):
        ClassMix()((image, mask), (image, mask), np.random.default_rng(0))


@pytest.mark.parametrize(
    "make",
    [lambda: CutMix(1.5), lambda: CutMix(alpha=0), lambda: ClassMix(probability=-1)],
)
def test_arguments_out_of_range_are_named(make):
    with pytest.raises(ValueError, match=r"`\w+` must .* Received: \w+="):
        make()


def test_a_mix_of_the_users_own():
    class LeftHalf(Mix):
        def region(self, mask, rng):
            return np.indices(mask.shape)[1] < mask.shape[1] // 2

    image, mask = LeftHalf()(sample(1), sample(2), np.random.default_rng(0))
    assert np.all(image[:, :30, 1] == 2) and np.all(image[:, 30:, 1] == 1)
    assert_pixels_have_their_labels(image, mask)


def test_clips_with_the_mask_of_their_last_frame_alone_are_an_error():
    pair = np.zeros((3, 8, 8, 3), "uint8"), np.zeros((8, 8), "uint8")
    with pytest.raises(ValueError, match="clips with a mask for each frame"):
        CutMix(1.0)(pair, pair, np.random.default_rng(0))
