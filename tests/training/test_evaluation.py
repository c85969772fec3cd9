"""Figures at the photos' own size against a confusion matrix of scikit-learn."""

import types

import keras
import numpy as np
import pytest

from kseg import data, training

SIZES = [(20, 30), (31, 17), (8, 8)]


class Memory(list):
    """Samples that are in memory."""

    class_names = ("sky", "road", "car")
    num_classes = 3
    ignore_class = 255


@pytest.fixture
def dataset():
    rng = np.random.default_rng(5)
    samples = []
    for index, size in enumerate(SIZES):
        mask = rng.choice(np.array([0, 1, 2, 255], "uint8"), size)
        image = np.repeat(mask[..., None] % 255 * 100, 3, -1).astype("uint8")
        samples.append(data.Sample(image, mask, str(index)))
    return Memory(samples)


def test_figures_equal_scikit_learns_over_all_photos(dataset):
    sklearn = pytest.importorskip("sklearn.metrics", reason="pip install scikit-learn")
    rng = np.random.default_rng(6)
    predictions = {s.image.shape: rng.integers(0, 3, s.mask.shape) for s in dataset}
    segmenter = types.SimpleNamespace(
        segment=lambda image: types.SimpleNamespace(
            category_mask=predictions[image.shape]
        )
    )
    result = training.evaluate(segmenter, dataset)
    truth = np.concatenate([s.mask.ravel() for s in dataset])
    guess = np.concatenate([predictions[s.image.shape].ravel() for s in dataset])
    valid = truth != 255
    iou = sklearn.jaccard_score(truth[valid], guess[valid], average=None)
    np.testing.assert_allclose(
        [result["iou_sky"], result["iou_road"], result["iou_car"]], iou, rtol=1e-6
    )
    assert result["mean_iou"] == pytest.approx(iou.mean(), rel=1e-6)
    accuracy = (truth == guess)[valid].mean()
    assert result["pixel_accuracy"] == pytest.approx(accuracy, rel=1e-6)


@pytest.mark.parametrize("size", [(16, 24), (None, None)])
def test_a_keras_model_is_evaluated_at_the_photos_size(dataset, size):
    # Scores that grow with the distance from each class's grey: 0, 100, 200.
    inputs = keras.Input((*size, 3))
    grey = keras.layers.Conv2D(
        3, 1, activation="softmax", name="scores", trainable=False
    )
    model = keras.Model(inputs, grey(inputs))
    # Nearest of 0, 100, 200 by linear scores: 2·c·x − c².
    centers = np.array([0.0, 100.0, 200.0])
    kernel = np.repeat((2 * centers / 3)[None], 3, 0)[None, None]
    grey.set_weights([kernel, -(centers**2)])
    flat = [
        data.Sample(np.full((*s, 3), 100, "uint8"), np.full(s, 1, "uint8"), str(i))
        for i, s in enumerate(SIZES)
    ]
    result = training.evaluate(model, Memory(flat))
    assert result["pixel_accuracy"] == 1.0
