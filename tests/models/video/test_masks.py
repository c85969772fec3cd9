"""Masks and moved scores of a stream, against Pillow, Keras and SciPy."""

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import map_coordinates

from kseg.models.video.masks import MaskMaker, warp


def resized(scores, size):
    """Each class by Pillow, whose bilinear filter is antialiased."""
    maps = [Image.fromarray(scores[..., c]) for c in range(scores.shape[-1])]
    return np.stack(
        [np.asarray(m.resize(size[::-1], Image.Resampling.BILINEAR)) for m in maps], -1
    )


def margins(scores):
    top = np.sort(scores, -1)
    return top[..., -1] - top[..., -2]


@pytest.mark.parametrize(
    "source,size",
    [
        ((12, 16), (30, 37)),
        ((12, 16), (12, 16)),
        ((30, 37), (12, 9)),
        ((12, 16), (7, 40)),
        ((1, 1), (5, 3)),
        ((9, 5), (1, 1)),
    ],
    ids=str,
)
def test_classes_of_resized_scores(source, size):
    scores = np.random.default_rng(0).random((*source, 5), "float32")
    mask = MaskMaker(scores.shape, size, False)(scores)
    assert mask.shape == size
    assert mask.dtype == np.uint8
    expected = resized(scores, size)
    clear = margins(expected) > 1e-5
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(mask[clear], expected.argmax(-1)[clear])


def test_classes_of_scores_that_keras_resizes():
    scores = np.random.default_rng(1).random((1, 10, 14, 4), "float32")
    resize = keras.layers.Resizing(33, 41)
    expected = keras.ops.convert_to_numpy(resize(scores))[0]
    clear = margins(expected) > 1e-5
    mask = MaskMaker((10, 14, 4), (33, 41), False)(scores[0])
    np.testing.assert_array_equal(mask[clear], expected.argmax(-1)[clear])


def test_logits_become_probabilities_before_they_are_resized():
    # A tenth of the way from the one to the other the mean of the logits is for class 1.
    logits = np.array([[[9.0, 0.0], [0.0, 90.0]]], "float32")
    assert MaskMaker((1, 2, 2), (1, 5), False)(logits)[0, 1] == 1
    mask = MaskMaker((1, 2, 2), (1, 5), True)(logits)
    shares = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    np.testing.assert_array_equal(mask, resized(shares, (1, 5)).argmax(-1))
    assert mask[0, 1] == 0


@pytest.mark.parametrize("is_logits,level", [(False, 0.5), (True, 0.0)])
def test_one_class_is_there_above_a_half(is_logits, level):
    scores = np.array([[[level - 0.1], [level], [level + 0.1]]], "float32")
    mask = MaskMaker((1, 3, 1), (1, 3), is_logits)(scores)
    np.testing.assert_array_equal(mask, [[0, 0, 1]])


def test_more_than_256_classes_are_int32():
    scores = np.zeros((2, 2, 300), "float32")
    scores[..., 299] = 1
    mask = MaskMaker(scores.shape, (2, 2), False)(scores)
    assert mask.dtype == np.int32
    assert (mask == 299).all()


def test_moved_scores():
    rng = np.random.default_rng(2)
    scores = rng.random((9, 13, 3), "float32")
    flow = rng.normal(0, 4, (9, 13, 2)).astype("float32")  # also out of the frame
    rows, columns = np.mgrid[:9, :13].astype("float64")
    points = [rows + flow[..., 1], columns + flow[..., 0]]
    expected = [
        map_coordinates(
            scores[..., c].astype("float64"), points, order=1, mode="nearest"
        )
        for c in range(3)
    ]
    np.testing.assert_allclose(warp(scores, flow), np.stack(expected, -1), atol=2e-6)


def test_scores_of_one_pixel_stay():
    scores = np.ones((1, 1, 2), "float32")
    np.testing.assert_array_equal(warp(scores, np.full((1, 1, 2), 7.5)), scores)
