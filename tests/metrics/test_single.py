"""Each metric on its own against SegmentationMetrics, peers and old results."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from kseg import metrics

REFERENCE = Path(__file__).parents[2].parent / "shared" / "reference"


def number(value):
    return float(ops.convert_to_numpy(value))


def updated(metric, *batch):
    metric.update_state(*batch)
    return metric


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    masks = rng.choice([0, 1, 2, 3, 255], (3, 8, 11))
    return masks, rng.random((3, 8, 11, 5)).astype("float32")


@pytest.mark.parametrize(
    ("single", "name"),
    [
        (metrics.PixelAccuracy(5), "pixel_accuracy"),
        (metrics.MeanAccuracy(5), "mean_accuracy"),
        (metrics.MeanIoU(5), "mean_iou"),
        (metrics.FrequencyWeightedIoU(5), "frequency_weighted_iou"),
        (metrics.F1(5), "mean_f1"),
        (metrics.F1(5, "weighted"), "weighted_f1"),
        (metrics.F1(5, "micro"), "micro_f1"),
    ],
)
def test_equals_the_entry_of_segmentation_metrics(batch, single, name):
    expected = updated(metrics.SegmentationMetrics(5, name), *batch).result()
    result = updated(single, *batch).result()
    assert number(result) == number(expected[name])


@pytest.mark.parametrize(
    ("single", "name"), [(metrics.IoU(5), "iou"), (metrics.F1(5, None), "f1")]
)
def test_per_class_equals_the_entries_of_segmentation_metrics(batch, single, name):
    expected = updated(metrics.SegmentationMetrics(5, (name,)), *batch).result()
    result = updated(single, *batch).result()
    assert list(result) == [f"{name}_{c}" for c in range(5)]
    for key, value in result.items():
        assert number(value) == pytest.approx(number(expected[key]), nan_ok=True)


def test_names_in_the_log_are_those_of_the_metrics():
    """Keras would number the second metric of a name that it makes itself."""
    names = [metrics.MeanIoU(2).name, metrics.MeanIoU(2).name, metrics.F1(2).name]
    assert names == ["mean_iou", "mean_iou", "f1"]
    assert metrics.MeanIoU(2, name="valley").name == "valley"


def test_f1_of_unknown_average_raises():
    with pytest.raises(ValueError, match="`average` must .* Received: average='mean'"):
        metrics.F1(2, "mean")


@pytest.mark.parametrize(
    ("average", "key"),
    [("macro", "macro"), ("micro", "micro"), ("weighted", "weighted"), (None, "none")],
)
def test_f1_equals_tensorflow_addons(average, key):
    """Outputs of tensorflow-addons 0.23.0 under TensorFlow 2.15.1."""
    folder = Path(os.environ.get("KSEG_TEST_REFERENCE", REFERENCE))
    path = folder / "tfa_0_23_vectors.npz"
    if not path.exists():
        pytest.skip(f"needs {path} (KSEG_TEST_REFERENCE)")
    vectors = np.load(path)
    masks = vectors["f1_true"].argmax(-1)[:, None, None]
    metric = updated(metrics.F1(4, average), masks, vectors["f1_pred"][:, None, None])
    result = metric.result()
    values = list(result.values()) if average is None else [result]
    expected = np.ravel(vectors[f"f1_{key}"])
    np.testing.assert_allclose([number(v) for v in values], expected, rtol=1e-6)


def test_iou_equals_torchmetrics(batch):
    torch = pytest.importorskip("torch", reason="the oracle is torch: make oracles")
    classification = pytest.importorskip(
        "torchmetrics.classification", reason="the oracle is torchmetrics: make oracles"
    )
    masks, scores = batch
    pair = torch.tensor(scores.argmax(-1)), torch.tensor(masks)
    for average, name in ((None, "iou"), ("macro", "mean_iou")):
        peer = classification.MulticlassJaccardIndex(
            5, average=average or "none", ignore_index=255
        )
        peer.update(*pair)
        expected = np.ravel(peer.compute().numpy())
        metric = updated(metrics.SegmentationMetrics(5, name), masks, scores)
        values = [number(value) for value in metric.result().values()]
        np.testing.assert_allclose(values, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_one_pixel_of_a_batch_of_one(dtype):
    """1x1, right or wrong, in every dtype that a net may return."""
    for label, expected in ((1, 1.0), (0, 0.0)):
        scores = ops.cast([[[[0.25, 0.75]]]], dtype)
        metric = updated(metrics.MeanIoU(2), [[[label]]], scores)
        assert number(metric.result()) == expected


def test_absent_class_and_all_ignored_pixels():
    metric = metrics.IoU(3, class_names=("sky", "road", "car"))
    metric.update_state([[[255, 255]]], np.array([[[0, 1]]]))
    assert np.isnan([number(v) for v in metric.result().values()]).all()
    metric.update_state([[[0, 1]]], np.array([[[0, 1]]]))
    assert number(metric.result()["iou_road"]) == 1
    assert np.isnan(number(metric.result()["iou_car"]))


def test_logits_and_probabilities_of_one_class_agree(batch):
    masks = np.where(batch[0] == 255, 255, batch[0] % 2)
    logits = 20 * batch[1][..., :1] - 10
    expected = updated(metrics.MeanIoU(1), masks, ops.sigmoid(logits)).result()
    result = updated(metrics.MeanIoU(1, from_logits=True), masks, logits).result()
    assert number(result) == number(expected)


@pytest.mark.parametrize("ignore_class", ["255", 2.5, (1, None)])
def test_ignored_classes_that_are_no_ids_raise(ignore_class):
    with pytest.raises(ValueError, match="`ignore_class` must .* Received: ignore_cl"):
        metrics.MeanIoU(2, ignore_class=ignore_class)


def test_monitored_by_a_callback_it_goes_up():
    inputs = keras.Input((3, 4, 1))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 1, activation="softmax")(inputs))
    model.compile("sgd", "mean_squared_error", metrics=[metrics.F1(2)])
    stop = keras.callbacks.EarlyStopping("f1", patience=1)
    images = np.zeros((2, 3, 4, 1), "float32")
    model.fit(images, images.astype("int32"), callbacks=[stop], verbose=0)
    assert stop.monitor_op(2, 1) and not stop.monitor_op(1, 2)
