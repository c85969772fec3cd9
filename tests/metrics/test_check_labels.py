"""A run with bad labels ends with their names, whichever data holds them."""

import keras
import numpy as np
import pytest

from kseg.losses import SparseCrossEntropy
from kseg.metrics import CheckLabels, MeanIoU, SegmentationMetrics

IMAGES = np.random.default_rng(0).random((4, 5, 7, 1)).astype("float32")
GOOD = (IMAGES > 0.5).astype("int32")
BAD = np.where(IMAGES > 0.9, 7, GOOD)


@pytest.fixture(params=[SegmentationMetrics, MeanIoU])
def model(request):
    inputs = keras.Input((5, 7, 1))
    outputs = keras.layers.Conv2D(2, 1, activation="softmax")(inputs)
    model = keras.Model(inputs, outputs)
    # A loss that takes any number, so that the metric alone can find bad labels.
    model.compile("sgd", "mean_squared_error", metrics=[request.param(2)])
    return model


def names_the_label():
    return pytest.raises(ValueError, match="Received: y_true with the values 7 in")


@pytest.mark.parametrize("validation", [None, (IMAGES, GOOD)])
def test_bad_training_labels(model, validation):
    with names_the_label():
        model.fit(
            IMAGES,
            BAD,
            validation_data=validation,
            callbacks=[CheckLabels()],
            verbose=0,
        )


def test_bad_validation_labels(model):
    with names_the_label():
        model.fit(
            IMAGES,
            GOOD,
            validation_data=(IMAGES, BAD),
            callbacks=[CheckLabels()],
            verbose=0,
        )


def test_evaluate_raises_and_then_takes_good_labels(model):
    callback = CheckLabels()
    with names_the_label():
        model.evaluate(IMAGES, BAD, callbacks=[callback], verbose=0)
    model.evaluate(IMAGES, GOOD, callbacks=[callback], verbose=0)


def test_good_labels_train_on_after_a_failed_run(model):
    callback = CheckLabels()
    with names_the_label():
        model.fit(IMAGES, BAD, callbacks=[callback], verbose=0)
    history = model.fit(
        IMAGES,
        GOOD,
        epochs=2,
        validation_data=(IMAGES, GOOD),
        callbacks=[callback],
        verbose=0,
    ).history
    assert np.all(np.isfinite(history["val_mean_iou"]))


def test_finds_a_metric_outside_of_compile():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.head = keras.layers.Conv2D(2, 1, activation="softmax")
            self.iou = MeanIoU(2)

        def call(self, inputs):
            return self.head(inputs)

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            self.iou.update_state(y, y_pred)
            return self.get_metrics_result()

    net = Net()
    net.compile("sgd", "mean_squared_error")
    with names_the_label():
        net.fit(IMAGES, BAD, callbacks=[CheckLabels()], verbose=0)


def test_the_log_of_an_epoch_with_bad_labels_is_nan_without_the_callback(model):
    if keras.backend.backend() == "torch":
        pytest.skip("Keras runs steps uncompiled on the torch backend, so they raise")
    model.compile("sgd", SparseCrossEntropy(), metrics=[MeanIoU(2)])
    history = model.fit(IMAGES, BAD, verbose=0).history
    assert np.isnan(history["mean_iou"][0])
    assert np.isnan(history["loss"][0])
    assert all(np.all(np.isfinite(weight)) for weight in model.get_weights())
