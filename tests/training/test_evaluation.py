"""Figures at the photos' own size against a confusion matrix of scikit-learn."""

import types

import keras
import numpy as np
import pytest

from kseg import data, mobile, training
from kseg.training.evaluation import category_mask

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


def nearest_grey_net(size, activation="softmax"):
    """Scores that grow with the nearness to each class's grey: 0, 100, 200."""
    inputs = keras.Input((*size, 3))
    grey = keras.layers.Conv2D(3, 1, activation=activation, name="scores")
    model = keras.Model(inputs, grey(inputs))
    # Nearest of 0, 100, 200 by linear scores: 2·c·x − c².
    centers = np.array([0.0, 100.0, 200.0])
    kernel = np.repeat((2 * centers / 3)[None], 3, 0)[None, None]
    grey.set_weights([kernel, -(centers**2)])
    return model


def test_figures_equal_scikit_learns_over_all_photos(dataset):
    sklearn = pytest.importorskip("sklearn.metrics", reason="pip install scikit-learn")
    rng = np.random.default_rng(6)
    predictions = {s.image.shape: rng.integers(0, 3, s.mask.shape) for s in dataset}

    def segment(image, *, output_confidence_masks):
        assert not output_confidence_masks  # a float per class and pixel, for nothing
        return types.SimpleNamespace(category_mask=predictions[image.shape])

    result = training.evaluate(types.SimpleNamespace(segment=segment), dataset)
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


@pytest.mark.parametrize("activation", ["softmax", None])
@pytest.mark.parametrize("size", [(16, 24), (None, None)])
def test_a_keras_model_is_evaluated_at_the_photos_size(size, activation):
    flat = [
        data.Sample(np.full((*s, 3), 100, "uint8"), np.full(s, 1, "uint8"), str(i))
        for i, s in enumerate(SIZES)
    ]
    result = training.evaluate(nearest_grey_net(size, activation), Memory(flat))
    assert result["pixel_accuracy"] == 1.0


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_the_foreground_begins_at_half_the_probability_not_at_half_the_logit(
    threshold_net, activation
):
    # The logit of grey 121 is 0.125, between both thresholds.
    image = np.full((6, 4, 3), 121, "uint8")
    image[:3] = 119
    net = threshold_net(activation, (6, 4))
    np.testing.assert_array_equal(
        category_mask(net, image), np.repeat([[0], [1]], 3, 0) * np.ones((1, 4))
    )


@pytest.mark.parametrize("activation", ["softmax", None])
def test_masks_of_a_keras_model_are_those_of_the_image_segmenter(activation):
    image = np.random.default_rng(0).integers(0, 256, (70, 110, 3), "uint8")
    net = nearest_grey_net((None, None), activation)
    np.testing.assert_array_equal(
        category_mask(net, image), mobile.ImageSegmenter(net)(image).category_mask
    )


def test_a_net_of_any_size_sees_at_most_512_pixels_a_side(monkeypatch):
    net = nearest_grey_net((None, None))
    predict, seen = net.predict_on_batch, []

    def record(batch):
        seen.append(batch.shape)
        return predict(batch)

    monkeypatch.setattr(net, "predict_on_batch", record)
    assert category_mask(net, np.zeros((100, 2000, 3), "uint8")).shape == (100, 2000)
    assert seen == [(1, 32, 512, 3)]


def test_other_classes_are_an_error_before_the_first_photo(threshold_net):
    class Unread(Memory):
        def __iter__(self):
            raise AssertionError("a photo was read")

    message = r"`segmenter` must have 3 output channels.*car.*Received: .* of 1"
    with pytest.raises(ValueError, match=message):
        training.evaluate(threshold_net(), Unread())
    segmenter = mobile.ImageSegmenter(threshold_net())
    with pytest.raises(ValueError, match=message):
        training.evaluate(segmenter, Unread())


def test_names_and_paths_are_a_type_error_that_says_how_to_open_them(
    dataset, threshold_net, tmp_path
):
    with pytest.raises(TypeError, match=r"kseg\.load.*Received: segmenter='person'"):
        training.evaluate("person", dataset)
    with pytest.raises(TypeError, match=r"open_dataset.*Received: dataset="):
        training.evaluate(threshold_net(), tmp_path)
