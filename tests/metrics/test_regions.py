"""Matching of regions against a brute-force count over sets of pixels."""

import numpy as np
import pytest

from kseg.metrics import regions


@pytest.mark.parametrize("seed", range(20))
def test_ious_and_means_equal_sets_of_pixels(seed):
    rng = np.random.default_rng(seed)
    true, found = rng.integers(0, 4, (2, 5, 6))
    scores = rng.random((5, 6)).astype("float32")

    def sets(numbers):
        return [
            set(map(tuple, np.argwhere(numbers == n)))
            for n in np.unique(numbers[numbers > 0])
        ]

    expected = [[len(a & b) / len(a | b) for b in sets(found)] for a in sets(true)]
    np.testing.assert_allclose(regions.ious(true, found), expected, rtol=1e-12)
    means = [np.mean([scores[p] for p in pixels]) for pixels in sets(found)]
    np.testing.assert_allclose(regions.means(scores, found), means, rtol=1e-6)


def test_nothing_true_or_found():
    nothing, something = np.zeros((2, 3), int), np.ones((2, 3), int)
    assert regions.ious(nothing, nothing).shape == (0, 0)
    assert regions.ious(something, nothing).shape == (1, 0)
    assert regions.ious(nothing, something).shape == (0, 1)
    assert regions.means(np.ones((2, 3)), nothing).shape == (0,)
    assert regions.match(np.zeros((0, 2)), np.array([0.5, 0.6]), 0.5).tolist() == [
        False,
        False,
    ]


def test_the_surer_region_chooses_first():
    ious = np.array([[0.6, 0.7], [0.5, 0.0]])
    assert regions.match(ious, np.array([0.9, 0.8]), 0.5).tolist() == [True, False]
    assert regions.match(ious, np.array([0.8, 0.9]), 0.5).tolist() == [True, True]


def test_instances_number_the_pixels_of_a_mask():
    mask = np.array([[True, True, False, True]])
    numbers = regions.split(mask, np.array([[9, 9, 9, 2]]))
    assert (numbers > 0).tolist() == mask.tolist()
    assert numbers[0, 0] == numbers[0, 1] != numbers[0, 3]
