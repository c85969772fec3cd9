"""Hausdorff distance against SciPy's directed_hausdorff and all pairs of pixels."""

import math

import keras
import numpy as np
import pytest
from keras import ops
from scipy import ndimage, spatial

from kseg.metrics import HausdorffDistance


def distance(true, predicted, num_classes=1, **arguments):
    metric = HausdorffDistance(num_classes, **arguments)
    metric.update_state(np.array(true)[None], np.array(predicted)[None])
    return float(ops.convert_to_numpy(metric.result()))


def blobs(seed, shape=(13, 17)):
    rng = np.random.default_rng(seed)
    return [(rng.random(shape) < 0.2).astype(int) for _ in range(2)]


def edge(mask):
    """Pixels with a neighbour outside, one by one; outside of the image is empty."""
    padded = np.pad(mask, 1)
    neighbours = [np.roll(padded, s, a) for a in range(mask.ndim) for s in (1, -1)]
    inner = np.min(neighbours, axis=0)[(slice(1, -1),) * mask.ndim]
    return mask * (1 - inner)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("spacing", [1.0, (0.5, 3.0)])
@pytest.mark.parametrize("on", ["boundary", "region"])
def test_equals_scipy(seed, spacing, on):
    masks = blobs(seed)
    if seed % 2:  # whole regions, whose boundaries are a part of them
        masks = [ndimage.binary_dilation(m, np.ones((3, 4))).astype(int) for m in masks]
    points = [
        np.argwhere(edge(m) if on == "boundary" else m) * np.array(spacing)
        for m in masks
    ]
    expected = max(
        spatial.distance.directed_hausdorff(*points)[0],
        spatial.distance.directed_hausdorff(*points[::-1])[0],
    )
    assert distance(*masks, spacing=spacing, on=on) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("percentile", [0, 50, 95])
def test_percentile_equals_all_pairs(percentile):
    masks = blobs(3)
    pairs = spatial.distance.cdist(*(np.argwhere(edge(m)) for m in masks))
    expected = max(
        np.percentile(pairs.min(0), percentile), np.percentile(pairs.min(1), percentile)
    )
    result = distance(*masks, percentile=percentile)
    assert result == pytest.approx(expected, rel=1e-6)


def test_volume_with_a_spacing_for_each_axis():
    masks = blobs(4, (4, 6, 5))
    points = [np.argwhere(edge(m)) * [5.0, 1.0, 2.0] for m in masks]
    pairs = spatial.distance.cdist(*points)
    expected = max(pairs.min(0).max(), pairs.min(1).max())
    result = distance(*masks, spacing=(5.0, 1.0, 2.0))
    assert result == pytest.approx(expected, rel=1e-6)


def test_nested_squares_differ_on_boundary_and_region():
    outer, inner = np.zeros((2, 9, 11), int)
    outer[1:8, 1:8], inner[4, 4] = 1, 1
    ring = outer.copy()
    ring[2:7, 2:7] = 0
    assert distance(outer, ring, on="boundary") == 0
    assert distance(outer, ring, on="region") == pytest.approx(3.0)
    assert distance(outer, inner) == pytest.approx(math.hypot(3, 3), rel=1e-6)


EMPTY, FULL = np.zeros((4, 5), int), np.ones((4, 5), int)


def test_both_masks_empty_is_0():
    assert distance(EMPTY, EMPTY) == 0
    assert math.isnan(distance(EMPTY, EMPTY, absent="nan"))


def test_one_mask_empty_is_infinite():
    assert distance(EMPTY, FULL) == math.inf
    assert distance(FULL, EMPTY) == math.inf


def test_equal_masks_and_single_pixels():
    assert distance(FULL, FULL) == 0
    assert distance([[1]], [[1]]) == 0
    assert distance([[1]], [[0]]) == math.inf


def test_mean_over_images_and_then_over_classes():
    """Foregrounds 3, 1 and 0 apart; backgrounds 1, 1 and 0."""
    masks = [[[1, 0, 0, 0]], [[1, 0, 0, 0]], [[1, 0, 0, 0]]]
    ids = [[[1, 0, 0, 1]], [[1, 1, 0, 0]], [[1, 0, 0, 0]]]
    metric = HausdorffDistance(2)
    metric.update_state(masks, np.array(ids))
    assert metric.per_class() == pytest.approx([2 / 3, 4 / 3])
    assert float(ops.convert_to_numpy(metric.result())) == pytest.approx(1)
    foreground = HausdorffDistance(2, include_background=False)
    foreground.update_state(masks, np.array(ids))
    assert float(ops.convert_to_numpy(foreground.result())) == pytest.approx(4 / 3)


def test_class_that_is_absent_in_an_image():
    """Class 2 is absent from the first image, and 2 pixels off in the second."""
    masks = np.array([[[0, 1, 0, 0]], [[0, 2, 0, 0]]])
    ids = np.array([[[0, 1, 0, 0]], [[0, 0, 0, 2]]])
    for absent, expected in (("zero", 1.0), ("nan", 2.0)):
        metric = HausdorffDistance(3, absent=absent)
        metric.update_state(masks, ids)
        assert metric.per_class()[2] == pytest.approx(expected)


def test_ignored_pixels_belong_to_neither_mask():
    assert distance([[1, 0, 0, 255]], [[1, 0, 0, 1]]) == 0
    ignored = np.full((4, 5), 255)
    assert math.isnan(distance(ignored, FULL))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"percentile": 101}, "Received: percentile=101"),
        ({"spacing": 0}, "Received: spacing=0"),
        ({"spacing": (1, -1)}, r"Received: spacing=\(1, -1\)"),
        ({"on": "surface"}, "Received: on='surface'"),
        ({"absent": "one"}, "Received: absent='one'"),
    ],
)
def test_bad_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        HausdorffDistance(1, **arguments)


def test_merging_another_spacing_raises():
    with pytest.raises(ValueError, match="spacing=1.0. Received: spacing=2.0"):
        HausdorffDistance(1).merge_state([HausdorffDistance(1, spacing=2.0)])


def test_compile_says_what_to_do():
    inputs = keras.Input((3, 4, 1))
    outputs = keras.layers.Conv2D(1, 1, activation="sigmoid")(inputs)
    model = keras.Model(inputs, outputs)
    images = np.random.default_rng(0).normal(size=(3, 3, 4, 1)).astype("float32")
    masks = np.ones((3, 3, 4), "int32")
    if keras.backend.backend() != "torch":
        model.compile("sgd", "mean_squared_error", metrics=[HausdorffDistance(1)])
        with pytest.raises(
            ValueError, match="HausdorffDistance is computed with NumPy"
        ):
            model.fit(images, masks, verbose=0)
    if keras.backend.backend() == "jax":
        return  # Keras traces the metric here even with run_eagerly=True
    model.compile(
        "sgd", "mean_squared_error", metrics=[HausdorffDistance(1)], run_eagerly=True
    )
    expected = HausdorffDistance(1)
    expected.update_state(masks, model.predict(images, verbose=0))
    results = model.evaluate(images, masks, batch_size=2, verbose=0, return_dict=True)
    value = float(ops.convert_to_numpy(expected.result()))
    assert results["hausdorff_distance"] == pytest.approx(value)
