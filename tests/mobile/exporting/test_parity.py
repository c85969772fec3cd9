"""The numbers of a comparison, against hand counts and scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.metrics import jaccard_score

from kseg.mobile.exporting.parity import ExportError, ParityError, compare

# Four pixels of two classes; margins 0.8, 0.02, 0.2 and 0.04 around the 0.05.
REFERENCE = np.array([[[0.9, 0.1], [0.51, 0.49]], [[0.4, 0.6], [0.48, 0.52]]])


def test_only_decided_pixels_count_for_the_agreement():
    # One decided pixel keeps its class, one loses it; of the rest one flips.
    exported = np.array([[[0.8, 0.2], [0.49, 0.51]], [[0.7, 0.3], [0.48, 0.52]]])
    parity = compare([(REFERENCE, exported)])
    assert parity.images == 1
    assert parity.agreement == 0.5
    assert parity.decided == 0.5
    assert parity.undecided_agreement == 0.5
    assert parity.max_error == pytest.approx(0.3)
    assert parity.mean_error == pytest.approx((0.1 + 0.02 + 0.3 + 0.0) / 4)


def test_one_class_is_decided_away_from_one_half_on_both_sides():
    # |2p - 1| is 0.04, 0.06, 0.06 and 1: three of four are decided.
    reference = np.array([[[0.52], [0.47], [0.53], [0.0]]])
    exported = np.array([[[0.49], [0.6], [0.53], [0.0]]])
    parity = compare([(reference, exported)])
    assert parity.decided == 0.75
    assert parity.agreement == pytest.approx(2 / 3)
    assert parity.undecided_agreement == 0


def test_iou_over_several_images_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    pairs = [
        tuple(random.dirichlet(np.ones(4), (5, 7)).astype("float32") for _ in "ab")
        for _ in range(3)
    ]
    parity = compare(pairs)
    ids = [np.concatenate([p[k].argmax(-1).ravel() for p in pairs]) for k in (0, 1)]
    expected = jaccard_score(*ids, average=None)
    np.testing.assert_allclose(parity.iou, expected)
    assert parity.mean_iou == pytest.approx(expected.mean())


def test_classes_that_occur_nowhere_are_left_out():
    certain = np.eye(3)[[0, 0, 1]][None]
    parity = compare([(certain, certain)])
    assert math.isnan(parity.iou[2])
    assert parity.mean_iou == 1
    assert math.isnan(parity.undecided_agreement)


def test_class_ids_are_compared_without_errors_of_probabilities():
    parity = compare([(REFERENCE, np.array([[[0], [1]], [[1], [1]]], "int32"))])
    assert (parity.max_error, parity.mean_error) == (None, None)
    assert parity.agreement == 1
    parity.check("float32")
    absurd = compare([(REFERENCE, np.full((2, 2), 9, "int32"))])
    assert absurd.agreement == 0


@pytest.mark.parametrize(
    ("precision", "error", "passes"),
    [
        ("float32", 0.0009, True),
        ("float32", 0.0011, False),
        ("float16", 0.009, True),
        ("float16", 0.011, False),
        ("full_int8", 0.2, True),
        ("float32", np.nan, False),
        ("full_int8", np.nan, False),
    ],
)
def test_the_limits_of_each_precision(precision, error, passes):
    reference = np.tile([0.9, 0.1], (4, 4, 1))
    reference[0, 0] = (0.3, 0.7)
    parity = compare([(reference, reference + [-error, error])])
    if passes:
        parity.check(precision)
    else:
        with pytest.raises(ParityError, match=precision) as caught:
            parity.check(precision)
        assert caught.value.parity is parity
        assert isinstance(caught.value, ExportError)


def test_integers_may_lose_three_percent_of_the_decided_pixels():
    reference = np.tile([0.9, 0.1], (10, 10, 1))
    for lost, passes in ((3, True), (4, False)):
        exported = reference.copy()
        exported[0, :lost] = (0.1, 0.9)
        parity = compare([(reference, exported)])
        assert parity.agreement == 1 - lost / 100
        if passes:
            parity.check("full_int8")
        else:
            with pytest.raises(ParityError, match="only 96.00%"):
                parity.check("full_int8")


def test_nan_of_keras_itself_does_not_pass():
    broken = np.full((2, 2, 2), np.nan)
    with pytest.raises(ParityError, match="nan"):
        compare([(broken, REFERENCE)]).check("float32")


def test_model_and_file_against_the_truth_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    pairs = [
        tuple(random.dirichlet(np.ones(4), (5, 7)).astype("float32") for _ in "ab")
        for _ in range(3)
    ]
    masks = [random.integers(0, 3, (5, 7)), None, random.integers(0, 3, (5, 7))]
    masks[0][:2] = 255
    truth = compare(pairs, masks).truth
    known = np.concatenate([masks[0][2:].ravel(), masks[2].ravel()])
    for k, iou in ((0, truth.model_iou), (1, truth.file_iou)):
        ids = np.concatenate(
            [pairs[0][k][2:].argmax(-1).ravel(), pairs[2][k].argmax(-1).ravel()]
        )
        expected = jaccard_score(known, ids, labels=range(4), average=None)
        np.testing.assert_allclose(iou, expected)
    assert truth.images == 2
    assert truth.file_mean_iou == pytest.approx(np.mean(truth.file_iou))
    assert truth.model_mean_iou == pytest.approx(np.mean(truth.model_iou))


def test_without_masks_there_is_no_truth():
    assert compare([(REFERENCE, REFERENCE)]).truth is None
    assert compare([(REFERENCE, REFERENCE)], [None]).truth is None
    ignored = compare([(REFERENCE, REFERENCE)], [np.full((2, 2), 255)]).truth
    assert math.isnan(ignored.file_mean_iou)


def test_the_foreground_of_one_class_is_the_masks_second():
    reference = np.array([[[0.9], [0.2]], [[0.6], [0.1]]])
    truth = compare([(reference, reference)], [np.array([[1, 0], [0, 0]])]).truth
    assert truth.file_iou == (2 / 3, 1 / 2)  # by hand: background, foreground
