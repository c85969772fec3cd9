"""Accuracy, IoU and F1 against scikit-learn, published examples and `model.fit`."""

import keras
import numpy as np
import pytest

from kseg.losses import SparseCrossEntropy
from kseg.metrics import MeanIoU, PixelAccuracy, SegmentationMetrics
from kseg.metrics.segmentation import METRICS


def numbers(metric):
    return {
        key: float(keras.ops.convert_to_numpy(value))
        for key, value in metric.result().items()
    }


def evaluated(masks, ids, num_classes, **arguments):
    metric = SegmentationMetrics(num_classes, METRICS, **arguments)
    metric.update_state(np.array([[masks]]), np.array([[ids]]))
    return numbers(metric)


@pytest.mark.parametrize("num_classes", [2, 5, 21])
def test_equals_scikit_learn(num_classes):
    sklearn_metrics = pytest.importorskip(
        "sklearn.metrics", reason="the oracle is sklearn: pip install scikit-learn"
    )
    rng = np.random.default_rng(0)
    masks = rng.choice([*range(num_classes), 255], (3, 40, 30))
    y_pred = rng.random((3, 40, 30, num_classes)).astype("float32")
    metric = SegmentationMetrics(num_classes, METRICS)
    metric.update_state(masks, y_pred)
    results = numbers(metric)
    pair = masks[masks != 255], np.argmax(y_pred, axis=-1)[masks != 255]
    expected = {
        "pixel_accuracy": sklearn_metrics.accuracy_score(*pair),
        "mean_accuracy": sklearn_metrics.recall_score(*pair, average="macro"),
        "mean_iou": sklearn_metrics.jaccard_score(*pair, average="macro"),
        "frequency_weighted_iou": sklearn_metrics.jaccard_score(
            *pair, average="weighted"
        ),
        "mean_f1": sklearn_metrics.f1_score(*pair, average="macro"),
        "weighted_f1": sklearn_metrics.f1_score(*pair, average="weighted"),
        "micro_f1": sklearn_metrics.f1_score(*pair, average="micro"),
    }
    for name, score in (("iou", "jaccard_score"), ("f1", "f1_score")):
        per_class = getattr(sklearn_metrics, score)(*pair, average=None)
        expected |= {f"{name}_{c}": value for c, value in enumerate(per_class)}
    assert results == pytest.approx(expected, rel=1e-6)
    for single in (MeanIoU(num_classes), PixelAccuracy(num_classes)):
        single.update_state(masks, y_pred)
        value = float(keras.ops.convert_to_numpy(single.result()))
        assert value == results[single.name]


def test_ninety_percent_background_predicted_as_background():
    """Accuracy alone looks good: .90, while mean IoU is .45 and weighted IoU .81."""
    results = evaluated([0] * 90 + [1] * 10, [0] * 100, 2)
    assert results["pixel_accuracy"] == pytest.approx(0.9)
    assert results["mean_accuracy"] == pytest.approx(0.5)
    assert results["mean_iou"] == pytest.approx(0.45)
    assert results["frequency_weighted_iou"] == pytest.approx(0.81)
    assert results["iou_0"] == pytest.approx(0.9) and results["iou_1"] == 0


def test_f1_is_2_iou_over_1_plus_iou():
    rng = np.random.default_rng(0)
    results = evaluated(rng.integers(0, 3, 50), rng.integers(0, 3, 50), 3)
    for c in range(3):
        iou = results[f"iou_{c}"]
        assert results[f"f1_{c}"] == pytest.approx(2 * iou / (1 + iou), rel=1e-6)


@pytest.mark.parametrize(
    ("absent", "ratio", "mean"),
    [("nan", np.nan, 2 / 3), ("zero", 0.0, 4 / 9), ("one", 1.0, 7 / 9)],
)
def test_class_that_is_neither_true_nor_predicted(absent, ratio, mean):
    """Class 2 of 3; the IoU of the others is 2/3 each."""
    results = evaluated([0, 0, 1, 1, 1], [0, 0, 0, 1, 1], 3, absent=absent)
    assert results["iou_0"] == results["iou_1"] == pytest.approx(2 / 3)
    assert results["iou_2"] == pytest.approx(ratio, nan_ok=True)
    assert results["f1_2"] == pytest.approx(ratio, nan_ok=True)
    assert results["mean_iou"] == pytest.approx(mean)


@pytest.mark.parametrize(
    ("absent", "mean"), [("nan", 3 / 4), ("zero", 1 / 2), ("one", 5 / 6)]
)
def test_class_that_is_predicted_but_never_true(absent, mean):
    """Class 2 has IoU 0 whatever `absent` says, but no accuracy: 0/0."""
    results = evaluated([0, 0, 1, 1], [0, 0, 1, 2], 3, absent=absent)
    assert results["iou_2"] == results["f1_2"] == 0
    assert results["mean_iou"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert results["mean_accuracy"] == pytest.approx(mean)
    assert results["frequency_weighted_iou"] == pytest.approx((1 + 1 / 2) / 2)


@pytest.mark.parametrize("absent", ["nan", "zero", "one"])
def test_no_valid_pixel(absent):
    expected = {"nan": np.nan, "zero": 0.0, "one": 1.0}[absent]
    for results in (
        evaluated([255, 255], [0, 1], 2, absent=absent),
        numbers(SegmentationMetrics(2, METRICS, absent=absent)),
    ):
        for value in results.values():
            assert value == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("absent", ["nan", "zero", "one"])
def test_ignored_class_that_is_one_of_the_classes_is_no_part_of_the_means(absent):
    """Background 0 ignored, though predicted in one valid pixel."""
    results = evaluated(
        [0, 0, 1, 1, 2, 2], [1, 0, 1, 0, 2, 2], 3, ignore_class=0, absent=absent
    )
    assert np.isnan(results["iou_0"]) and np.isnan(results["f1_0"])
    assert results["mean_iou"] == pytest.approx((1 / 2 + 1) / 2)
    assert results["mean_accuracy"] == pytest.approx((1 / 2 + 1) / 2)
    assert results["pixel_accuracy"] == pytest.approx(3 / 4)


def test_keys_hold_the_names_of_the_classes():
    metric = SegmentationMetrics(1, ("iou",), class_names=("background", "person"))
    metric.update_state([[[0, 1]]], np.array([[[0, 1]]]))
    assert numbers(metric) == {"iou_background": 1, "iou_person": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metrics": ("accuracy",)}, r"Received: metrics=\('accuracy',\)"),
        ({"metrics": ()}, r"Received: metrics=\(\)"),
        ({"absent": None}, "Received: absent=None"),
        ({"class_names": ("person",)}, r"be 2 different names. Received: .*'person'"),
        ({"class_names": ("a", "a")}, r"be 2 different names. Received: .*'a', 'a'"),
    ],
)
def test_bad_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        SegmentationMetrics(2, **arguments)
    if arguments.keys() == {"absent"}:
        with pytest.raises(ValueError, match=message):
            MeanIoU(2, **arguments)


@pytest.mark.parametrize("num_classes", [1, 3])
def test_fit_logs_every_entry_and_the_model_comes_back_from_a_file(
    num_classes, tmp_path
):
    """Equal to a metric that is fed with the predictions, short last batch included."""
    rng = np.random.default_rng(0)
    images = rng.random((5, 6, 9, 2)).astype("float32")
    masks = rng.choice([0, 1, 255] if num_classes == 1 else [0, 1, 2, 255], (5, 6, 9))
    inputs = keras.Input((None, None, 2))
    activation = "sigmoid" if num_classes == 1 else "softmax"
    outputs = keras.layers.Conv2D(num_classes, 1, activation=activation)(inputs)
    model = keras.Model(inputs, outputs)
    model.compile(
        keras.optimizers.SGD(0.1),
        SparseCrossEntropy(),
        metrics=[SegmentationMetrics(num_classes, METRICS), PixelAccuracy(num_classes)],
    )
    stop = keras.callbacks.EarlyStopping("val_pixel_accuracy", patience=9)
    history = model.fit(
        images,
        masks,
        batch_size=2,
        validation_data=(images, masks),
        callbacks=[stop],
        verbose=2,
    ).history
    expected = SegmentationMetrics(num_classes, METRICS)
    expected.update_state(masks, model.predict(images, verbose=0))
    for name, value in numbers(expected).items():
        assert history[f"val_{name}"] == pytest.approx([value], rel=1e-6)
        assert 0 <= history[name][0] <= 1
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    results = copy.evaluate(images, masks, batch_size=2, verbose=0, return_dict=True)
    for name, value in numbers(expected).items():
        assert results[name] == pytest.approx(value, rel=1e-6)
