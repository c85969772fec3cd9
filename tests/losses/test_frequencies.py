"""Class weights of a data set against scikit-learn and hand-counted values."""

import types

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from kseg.data import datasets
from kseg.losses import SparseCrossEntropy, class_weights


class Masks(list):
    """A data set of masks in memory."""

    ignore_class = 255

    def __init__(self, masks, num_classes=3):
        super().__init__(types.SimpleNamespace(mask=np.array(mask)) for mask in masks)
        self.class_names = tuple(f"class {i}" for i in range(num_classes))


# 6, 3 and 1 valid pixels; class 2 is in the second image only, of 4 valid pixels.
MASKS = Masks([[[0, 0, 0], [0, 1, 1]], [[0, 0, 1], [2, 255, 255]]])


def test_median_frequency_counts_only_images_that_show_the_class():
    """Frequencies 6/10, 3/10 and 1/4; the median is 3/10."""
    np.testing.assert_allclose(class_weights(MASKS), (0.5, 1, 1.2), rtol=1e-12)


def test_inverse_is_scikit_learn_balanced():
    labels = np.concatenate([s.mask[s.mask != 255] for s in MASKS])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(class_weights(MASKS, "inverse"), expected, rtol=1e-12)


def test_enet():
    expected = 1 / np.log(1.02 + np.array([0.6, 0.3, 0.1]))
    np.testing.assert_allclose(class_weights(MASKS, method="enet"), expected)


def test_effective_number_counts_images():
    """Classes 0 and 1 are in two images, class 2 in one: (1 - b ** 2) / (1 - b)."""
    for beta in (0.5, 0.9999):
        actual = class_weights(MASKS, "effective_number", beta=beta)
        assert actual[2] / actual[0] == pytest.approx(1 + beta)
        assert actual[0] == actual[1]
        assert np.mean(actual) == pytest.approx(1)


@pytest.mark.parametrize(
    "method", ["median_frequency", "inverse", "enet", "effective_number"]
)
def test_class_that_occurs_nowhere_has_weight_0(method):
    weights = class_weights(Masks(s.mask for s in MASKS), method)
    more = class_weights(Masks((s.mask for s in MASKS), num_classes=4), method)
    assert len(more) == 4 and more[3] == 0
    ratio = np.array(more[:3]) / weights
    np.testing.assert_allclose(ratio, ratio[0])


def test_of_camvid_fits_the_loss(data_dir):
    """By definition half of the classes are above 1: the rare ones."""
    dataset = datasets.open_dataset(data_dir("camvid"), split="train")[::40]
    weights = class_weights(dataset)
    by_name = dict(zip(dataset.class_names, weights, strict=True))
    assert 0 < by_name["Road"] < 1 < by_name["Bicyclist"]
    assert SparseCrossEntropy(class_weights=weights).class_weights == weights


@pytest.mark.parametrize(
    ("dataset", "arguments", "message"),
    [
        (MASKS, {"method": "median"}, "`method` must be one of .*method='median'"),
        (MASKS, {"beta": 1.0}, "`beta` must be between 0 and 1. Received: beta=1.0"),
        (Masks([[[0, 7]], [[-1, 1]]]), {}, "Received: sample 0 with the values 7"),
        (Masks([[[255]]]), {}, "a pixel that is not ignored. Received: dataset="),
        (Masks([]), {}, "a pixel that is not ignored. Received: dataset="),
    ],
)
def test_bad_arguments_raise(dataset, arguments, message):
    with pytest.raises(ValueError, match=message):
        class_weights(dataset, **arguments)
