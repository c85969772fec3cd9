"""The confusion matrix against scikit-learn, and its rule for 0/255 masks."""

import keras
import numpy as np
import pytest

from kseg.metrics import ConfusionMatrix, MeanIoU
from kseg.metrics.confusion import ENOUGH_PIXELS

SIDE = int(ENOUGH_PIXELS**0.5)


@pytest.fixture
def sklearn_metrics():
    return pytest.importorskip(
        "sklearn.metrics", reason="the oracle is sklearn: pip install scikit-learn"
    )


@pytest.mark.parametrize("num_classes", [2, 5, 21])
def test_equals_scikit_learn(sklearn_metrics, num_classes):
    rng = np.random.default_rng(0)
    masks = rng.choice([*range(num_classes), 255], (3, 40, 30))
    y_pred = rng.random((3, 40, 30, num_classes)).astype("float32")
    metric = ConfusionMatrix(num_classes)
    metric.update_state(masks, y_pred)
    expected = sklearn_metrics.confusion_matrix(
        masks[masks != 255],
        np.argmax(y_pred, axis=-1)[masks != 255],
        labels=range(num_classes),
    )
    assert metric.matrix().dtype == "int64"
    assert np.array_equal(metric.matrix(), expected)
    assert np.array_equal(keras.ops.convert_to_numpy(metric.result()), expected)


def test_rows_are_true_and_columns_predicted():
    metric = ConfusionMatrix(3)
    metric.update_state([[[0, 0, 2]]], np.array([[[1, 1, 0]]]))
    assert metric.matrix().tolist() == [[0, 2, 0], [0, 0, 0], [1, 0, 0]]


def test_carry_at_the_border_of_the_words():
    """2**24 - 1 pixels and one more, twice: the low word is full in between."""
    metric = ConfusionMatrix(2)
    pixel = np.zeros((1, 1, 1), "int32")
    metric.update_state(pixel, pixel)
    for _ in range(24):
        metric.merge_state([metric])
    assert metric.matrix()[0, 0] == 2**24
    metric.update_state(pixel, pixel)
    for _ in range(8):
        metric.merge_state([metric])
    assert metric.matrix().tolist() == [[(2**24 + 1) * 2**8, 0], [0, 0]]
    metric.update_state(np.zeros((1, 512, 512)), np.zeros((1, 512, 512), "int32"))
    assert metric.matrix()[0, 0] == (2**24 + 1) * 2**8 + 512**2


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64:UserWarning")
def test_keras_drops_the_bad_labels_that_this_names():
    """Why `keras.metrics.MeanIoU` is not enough."""
    masks, predicted = np.array([[[0, 1, 7]]]), np.array([[[0, 1, 0]]])
    keras_metric = keras.metrics.MeanIoU(2)
    keras_metric.update_state(masks, predicted)
    result = float(keras.ops.convert_to_numpy(keras_metric.result()))
    assert result == pytest.approx(1)
    with pytest.raises(ValueError, match="Received: y_true with the values 7 in 1 pix"):
        MeanIoU(2).update_state(masks, predicted)


@pytest.mark.parametrize("num_classes", [1, 2])
def test_masks_of_0_and_255_without_an_ignored_class_get_a_hint(num_classes):
    metric = ConfusionMatrix(num_classes, ignore_class=None)
    with pytest.raises(ValueError, match="0/255 mask. Divide it by 255"):
        metric.update_state([[[0, 255]]], np.array([[[0, 1]]]))


@pytest.mark.parametrize(
    ("labels", "num_classes", "ignore_class", "raises"),
    [
        ([0, 255], 1, 255, True),
        ([0, 255], 2, 255, True),
        ([255], 1, 255, True),
        ([0], 1, 255, False),
        ([0, 1, 255], 1, 255, False),
        ([0, 255], 3, 255, False),
        ([0, 9], 1, 9, False),
    ],
)
def test_check_finds_masks_of_0_and_255(labels, num_classes, ignore_class, raises):
    masks = np.resize(np.array(labels, "uint8"), (1, SIDE, SIDE))
    metric = ConfusionMatrix(num_classes, ignore_class)
    metric.update_state(masks, np.zeros(masks.shape, "uint8"))
    if raises:
        with pytest.raises(ValueError, match="0/255 mask. Divide .* Received: y_true"):
            metric.check()
    else:
        metric.check()


def test_few_pixels_without_foreground_prove_nothing():
    """A crop of background with the border that augmentation fills is no mistake."""
    masks = np.full((1, SIDE, SIDE - 1), 255, "uint8")
    metric = ConfusionMatrix(1)
    metric.update_state(masks, np.zeros(masks.shape, "uint8"))
    metric.check()


def test_background_with_weight_0_is_no_mask_of_0_and_255():
    masks = np.zeros((2, SIDE, SIDE), "uint8")
    metric = ConfusionMatrix(1)
    metric.update_state(masks, masks, sample_weight=np.array([0.0, 1.0]))
    metric.check()


def test_merging_another_number_of_classes_raises():
    with pytest.raises(ValueError, match="num_classes=2. Received: num_classes=3"):
        ConfusionMatrix(2).merge_state([ConfusionMatrix(3)])
