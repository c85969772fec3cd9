"""Boundary F1 and trimap IoU against scikit-image, SciPy and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import ops
from scipy import ndimage

from kseg.metrics import BoundaryF1, MeanIoU, TrimapIoU

CROSS = ndimage.generate_binary_structure(2, 1)


def number(metric):
    return float(ops.convert_to_numpy(metric.result()))


def updated(metric, masks, ids):
    metric.update_state(np.array(masks), np.array(ids))
    return metric


def brute_force_f1(masks, ids, label, tolerance):
    """Boundary by boundary, pixel by pixel, as the docstring defines it."""
    points = [[], []]
    for index, (mask, predicted) in enumerate(zip(masks, ids, strict=True)):
        for side, image in enumerate((mask, predicted)):
            for y, x in np.argwhere((image == label) & (mask != 255)):
                for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                    inside = 0 <= v < mask.shape[0] and 0 <= u < mask.shape[1]
                    if inside and mask[v, u] != 255 and image[v, u] != label:
                        points[side].append((index, y, x))
                        break

    def share_near(here, there):
        near = [
            any(
                a[0] == b[0] and max(abs(a[1] - b[1]), abs(a[2] - b[2])) <= tolerance
                for b in there
            )
            for a in here
        ]
        return np.mean(near) if near else 0.0

    recall, precision = share_near(*points), share_near(*points[::-1])
    if not points[0] and not points[1]:
        return np.nan
    if recall + precision == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def equals_brute_force(max_examples):
    shape = (2, 6, 5)

    @settings(max_examples=max_examples, deadline=None, derandomize=True)
    @given(
        arrays("int32", shape, elements=st.sampled_from([0, 0, 0, 1, 1, 2, 255])),
        arrays("int32", shape, elements=st.sampled_from([0, 0, 0, 1, 1, 2])),
        st.sampled_from([0, 1, 2]),
    )
    def check(masks, ids, tolerance):
        metric = updated(BoundaryF1(3, tolerance), masks, ids)
        expected = [brute_force_f1(masks, ids, c, tolerance) for c in range(3)]
        np.testing.assert_allclose(metric.per_class(), expected, rtol=1e-6)

    check()


def test_any_boundaries_equal_brute_force():
    equals_brute_force(max_examples=60)


@pytest.mark.slow
def test_any_boundaries_equal_brute_force_many():
    equals_brute_force(max_examples=5000)


def test_boundary_two_pixels_off():
    """A square moved by two columns: its boundary is near from tolerance 2 on."""
    mask = np.zeros((1, 12, 16), int)
    mask[0, 3:9, 4:10] = 1
    moved = np.roll(mask, 2, axis=2)
    assert number(updated(BoundaryF1(1, 2), mask, moved)) == 1
    assert 0 < number(updated(BoundaryF1(1, 1), mask, moved)) < 1
    assert number(updated(BoundaryF1(1, 0), mask, mask)) == 1


def test_the_frame_of_the_image_and_ignored_pixels_are_no_boundary():
    mask = np.ones((1, 5, 6), int)
    assert np.isnan(number(updated(BoundaryF1(1), mask, mask)))
    mask[0, 2, 3] = 255
    assert np.isnan(number(updated(BoundaryF1(1), mask, np.ones_like(mask))))


@pytest.mark.parametrize(("absent", "value"), [("nan", 0), ("zero", 0), ("one", 1 / 3)])
def test_class_without_boundary(absent, value):
    """Classes 0 and 1 lie apart from their prediction; class 2 is nowhere."""
    mask, ids = np.zeros((2, 1, 1, 9), int)
    mask[..., :2], ids[..., -2:] = 1, 1
    metric = updated(BoundaryF1(3, 0, absent=absent), mask, ids)
    assert number(metric) == pytest.approx(value)


def test_empty_prediction_has_f1_of_0():
    mask = np.zeros((1, 5, 6), int)
    mask[0, 2, 3] = 1
    assert number(updated(BoundaryF1(1), mask, np.zeros_like(mask))) == 0


@pytest.mark.parametrize("tolerance", [-1, 0.5])
def test_bad_tolerance_raises(tolerance):
    with pytest.raises(ValueError, match="`tolerance` must .* Received: tolerance="):
        BoundaryF1(2, tolerance)


@pytest.mark.parametrize("width", [1, 3, 7])
def test_trimap_equals_scikit_image_and_scikit_learn(width):
    segmentation = pytest.importorskip(
        "skimage.segmentation", reason="the oracle is skimage: pip install scikit-image"
    )
    oracle = pytest.importorskip(
        "sklearn.metrics", reason="the oracle is sklearn: pip install scikit-learn"
    )
    rng = np.random.default_rng(0)
    masks = rng.choice([0, 1, 2, 255], (3, 8, 10), p=[0.4, 0.3, 0.2, 0.1])
    masks = masks.repeat(5, 1).repeat(5, 2)
    ids = rng.integers(0, 3, masks.shape)
    band = np.stack(
        [
            ndimage.binary_dilation(
                segmentation.find_boundaries(mask, connectivity=1),
                np.ones((width, width)),
            )
            for mask in masks
        ]
    )
    inside = band & (masks != 255)
    assert 0 < inside.sum() < np.sum(masks != 255) or width == 7
    metric = updated(TrimapIoU(3, width), masks, ids)
    expected = oracle.confusion_matrix(masks[inside], ids[inside], labels=range(3))
    assert np.array_equal(metric.matrix(), expected)
    iou = oracle.jaccard_score(masks[inside], ids[inside], average="macro")
    assert number(metric) == pytest.approx(iou, rel=1e-6)


def test_trimap_that_covers_the_image_is_mean_iou():
    rng = np.random.default_rng(0)
    masks, ids = rng.integers(0, 3, (2, 2, 6, 7))
    assert number(updated(TrimapIoU(3, 31), masks, ids)) == number(
        updated(MeanIoU(3), masks, ids)
    )


def test_trimap_of_one_class_alone_is_empty():
    masks = np.ones((1, 5, 6), int)
    metric = updated(TrimapIoU(2), masks, masks)
    assert np.isnan(number(metric)) and metric.matrix().sum() == 0


def test_borders_between_kinds_of_ignored_pixels_are_no_trimap():
    masks = np.array([[[0, 0, 0, 0, 255, 255, 254, 254]]])
    metric = TrimapIoU(2, 3, ignore_class=(254, 255))
    metric.update_state(masks, np.zeros_like(masks))
    assert metric.matrix()[0, 0] == 2  # of the border 0 | 255
    masks = np.array([[[0, 0, 0, 254, 255, 255]]])
    metric = TrimapIoU(2, 1, ignore_class=(254, 255))
    metric.update_state(masks, np.zeros_like(masks))
    assert metric.matrix()[0, 0] == 1


def test_a_bad_label_far_from_any_border_is_noticed():
    with pytest.raises(ValueError, match="Received: y_true with the values 7 in 30"):
        updated(TrimapIoU(2), np.full((1, 5, 6), 7), np.zeros((1, 5, 6), int))


@pytest.mark.parametrize(("width", "fix"), [(4, "such as 5"), (0, ""), (2.5, "")])
def test_bad_width_raises(width, fix):
    with pytest.raises(ValueError, match=f"`width` must .*{fix}.* Received: width="):
        TrimapIoU(2, width)


@pytest.mark.parametrize("metric_class", [BoundaryF1, TrimapIoU])
def test_points_have_no_borders(metric_class):
    with pytest.raises(ValueError, match="height and a width.* Received: y_true.shape"):
        updated(metric_class(2), np.zeros((2, 9), int), np.zeros((2, 9), int))


@pytest.mark.parametrize("metric_class", [BoundaryF1, TrimapIoU])
def test_frames_of_a_clip_are_images(metric_class):
    rng = np.random.default_rng(0)
    masks, ids = rng.integers(0, 2, (2, 6, 5, 7))
    clips = [one.reshape(2, 3, 5, 7) for one in (masks, ids)]
    expected = number(updated(metric_class(2), masks, ids))
    assert number(updated(metric_class(2), *clips)) == expected
