"""What every public metric keeps, on every backend."""

import inspect

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import ops

from kseg import metrics
from kseg.metrics.segmentation import METRICS

# Every public metric, in the variants that take different ways.
CLASSES = {
    metrics.ConfusionMatrix: [{}],
    metrics.SegmentationMetrics: [
        {},
        {"metrics": METRICS, "absent": "zero"},
        {"metrics": ("iou", "f1"), "class_names": ("wall", "door")},
    ],
    metrics.MeanIoU: [{}, {"absent": "one"}],
    metrics.PixelAccuracy: [{}],
}
NO_METRICS = {metrics.CheckLabels}

CASES = [
    pytest.param(metric, arguments, id=f"{metric.__name__}-{'-'.join(arguments)}")
    for metric, variants in CLASSES.items()
    for arguments in variants
]
every_metric = pytest.mark.parametrize(("metric_class", "arguments"), CASES)
every_num_classes = pytest.mark.parametrize("num_classes", [1, 2])


def random_batch(shape=(4, 5, 7), num_classes=2, seed=0):
    """Masks of 0, 1 and 255, and probabilities."""
    rng = np.random.default_rng(seed)
    masks = rng.choice([0, 1, 255], shape).astype("int32")
    y_pred = rng.random((*shape, 1)).astype("float32")
    if num_classes == 2:
        y_pred = np.concatenate([1 - y_pred, y_pred], axis=-1)
    return masks, y_pred


def values(metric):
    """All results of a metric as one dict of arrays."""
    result = metric.result()
    result = result if isinstance(result, dict) else {metric.name: result}
    return {key: ops.convert_to_numpy(value) for key, value in result.items()}


def assert_same(metric, other):
    assert np.array_equal(metric.matrix(), other.matrix())
    expected = values(other)
    assert expected.keys() == values(metric).keys()
    for key, value in values(metric).items():
        np.testing.assert_array_equal(value, expected[key])


def update_compiled(metric, *batch):
    """Updates the state as a compiled train step does."""
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            tf.function(metric.update_state)(*map(tf.constant, batch))
        case "jax":
            import jax

            variables = [variable.value for variable in metric.variables]
            state = jax.jit(metric.stateless_update_state)(variables, *batch)
            for variable, value in zip(metric.variables, state, strict=True):
                variable.assign(value)
        case _:
            pytest.skip("Keras runs steps uncompiled on the torch backend")


def test_table_holds_every_public_metric():
    public = {getattr(metrics, name) for name in metrics.__all__}
    assert public == {*CLASSES, *NO_METRICS}
    assert public == {
        value for value in vars(metrics).values() if inspect.isclass(value)
    }
    for metric in CLASSES:
        assert issubclass(metric, keras.metrics.Metric)
        registered = keras.saving.get_registered_name(metric)
        assert registered == f"kseg.metrics>{metric.__name__}"
        assert keras.saving.get_registered_object(registered) is metric


@every_metric
@every_num_classes
def test_results_do_not_depend_on_the_batching(metric_class, arguments, num_classes):
    masks, y_pred = random_batch(num_classes=num_classes)
    whole, single = (metric_class(num_classes, **arguments) for _ in range(2))
    parts = [metric_class(num_classes, **arguments) for _ in range(2)]
    whole.update_state(masks, y_pred)
    for index in range(len(masks)):
        batch = masks[index : index + 1], y_pred[index : index + 1]
        single.update_state(*batch)
        parts[index % 2].update_state(*batch)
    assert whole.matrix().sum() == np.sum(masks != 255)
    assert_same(single, whole)
    parts[0].merge_state(parts[1:])
    assert_same(parts[0], whole)
    whole.reset_state()
    assert_same(whole, metric_class(num_classes, **arguments))


@every_metric
@every_num_classes
def test_forms_of_masks_and_predictions_do_not_matter(
    metric_class, arguments, num_classes
):
    masks, y_pred = random_batch(num_classes=num_classes)
    expected = metric_class(num_classes, **arguments)
    expected.update_state(masks, y_pred)
    ids = (y_pred[..., -1] > 0.5).astype("int64")
    for truth in (masks[..., None], masks.astype("uint8"), masks.astype("float32")):
        for prediction in (y_pred, ids, ops.cast(ids, "uint8"), ids.astype("bool")):
            actual = metric_class(num_classes, **arguments)
            actual.update_state(truth, prediction)
            assert_same(actual, expected)


@every_metric
@every_num_classes
def test_another_ignored_class_and_none(metric_class, arguments, num_classes):
    masks, y_pred = random_batch(num_classes=num_classes)
    expected = metric_class(num_classes, **arguments)
    expected.update_state(masks, y_pred)
    for ignored in (-1, 254, 1000):
        actual = metric_class(num_classes, ignore_class=ignored, **arguments)
        actual.update_state(np.where(masks == 255, ignored, masks), y_pred)
        assert_same(actual, expected)
    valid = masks != 255
    actual = metric_class(num_classes, ignore_class=None, **arguments)
    actual.update_state(masks[valid][None, None], y_pred[valid][None, None])
    assert_same(actual, expected)


@every_metric
@every_num_classes
@pytest.mark.parametrize("shape", [(4,), (4, 4, 4), (4, 4, 4, 1)])
def test_weight_0_equals_ignoring_where_batch_equals_width(
    metric_class, arguments, num_classes, shape
):
    masks, y_pred = random_batch((4, 4, 4), num_classes)
    weights = np.random.default_rng(1).choice([0.0, 1.0, 0.5], shape)
    per_pixel = weights.reshape((4, 1, 1) if shape == (4,) else (4, 4, 4))
    expected = metric_class(num_classes, **arguments)
    expected.update_state(np.where(per_pixel == 0, 255, masks), y_pred)
    actual = metric_class(num_classes, **arguments)
    actual.update_state(masks, y_pred, weights)
    assert_same(actual, expected)


@every_metric
@every_num_classes
def test_keras_mask_equals_ignoring(metric_class, arguments, num_classes):
    """A padded sequence of points: `Masking` marks the points that are not there."""
    masks = np.array([[0, 1, 1], [1, 0, 0]])
    features = np.array([[[1.0], [2], [0]], [[3], [0], [0]]], "float32")
    scores = keras.layers.Masking()(features)
    scores = keras.layers.Dense(num_classes, activation="sigmoid")(scores)
    expected = metric_class(num_classes, **arguments)
    expected.update_state(
        np.where(features[..., 0] == 0, 255, masks), ops.convert_to_numpy(scores)
    )
    actual = metric_class(num_classes, **arguments)
    actual.update_state(masks, scores)
    assert_same(actual, expected)


@every_metric
@every_num_classes
def test_compiled_equals_eager(metric_class, arguments, num_classes):
    masks, y_pred = random_batch(num_classes=num_classes)
    weights = np.array([1.0, 0.0, 1.0, 1.0], "float32")
    eager, compiled = (metric_class(num_classes, **arguments) for _ in range(2))
    eager.update_state(masks, y_pred, weights)
    update_compiled(compiled, masks, y_pred, weights)
    assert_same(compiled, eager)


@every_metric
@every_num_classes
@pytest.mark.parametrize("pixels", [(35,), (5, 1, 7)])
def test_any_number_of_axes_between_batch_and_classes(
    metric_class, arguments, num_classes, pixels
):
    """Points and clips."""
    masks, y_pred = random_batch(num_classes=num_classes)
    expected, actual = (metric_class(num_classes, **arguments) for _ in range(2))
    expected.update_state(masks, y_pred)
    actual.update_state(
        masks.reshape(4, *pixels), y_pred.reshape(4, *pixels, num_classes)
    )
    assert_same(actual, expected)


ignores_casting_nan = np.errstate(invalid="ignore")


@every_metric
@every_num_classes
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 7, 38], r"\. Received: .*values 7, 38 in 70 pixels"),
        (
            [-129, -128, 1023, 1024],
            "-128, 1023, some below -128, some above 1023 in 140",
        ),
        (
            [0, -1, -300, 2000],
            "values -1, some below -128, some above 1023 in 105 pixels",
        ),
        ([0.0, 0.5, 1.0, 255.5], "nearest neighbour.*values fractions in 70 pixels"),
        ([0.0, np.nan], "Received: .*values fractions in 70 pixels"),
    ],
)
@ignores_casting_nan
def test_bad_labels_raise_when_called_eagerly_and_are_not_counted(
    metric_class, arguments, num_classes, labels, message
):
    masks, y_pred = random_batch(num_classes=num_classes)
    metric = metric_class(num_classes, **arguments)
    metric.update_state(masks, y_pred)
    before = metric.matrix()
    bad = np.resize(np.array(labels, "float32"), masks.shape)
    with pytest.raises(
        ValueError, match=f"from 0 to 1, or ignore_class=255.*{message}"
    ):
        metric.update_state(bad, y_pred)
    assert np.array_equal(metric.matrix(), before)
    metric.check()


@every_metric
@every_num_classes
@ignores_casting_nan
def test_bad_labels_in_a_compiled_step_give_nan_and_check_raises(
    metric_class, arguments, num_classes
):
    masks, y_pred = random_batch(num_classes=num_classes)
    metric = metric_class(num_classes, **arguments)
    bad = np.resize(np.array([0, 7, 38, -300, 2000, 0.5, np.nan]), masks.shape)
    update_compiled(metric, bad.astype("float32"), y_pred)
    update_compiled(metric, masks.astype("float32"), y_pred)
    for value in values(metric).values():
        assert np.all(np.isnan(value))
    message = "7, 38, some below -128, some above 1023, fractions in 120 pixels"
    merged = metric_class(num_classes, **arguments)
    merged.merge_state([metric])
    for one in (metric, merged):
        with pytest.raises(ValueError, match=f"y_true with the values {message}"):
            one.check()
    metric.reset_state()
    metric.update_state(masks, y_pred)
    metric.check()
    expected = metric_class(num_classes, **arguments)
    expected.update_state(masks, y_pred)
    assert_same(metric, expected)


@every_metric
def test_bad_predicted_ids_raise(metric_class, arguments):
    masks, _ = random_batch()
    metric = metric_class(2, **arguments)
    for bad in (2, -1, 255):
        with pytest.raises(ValueError, match="`y_pred` of metric .* in 1 pixels"):
            metric.update_state(np.ones((1, 2, 3), "int32"), _one(bad))
    # Not where the truth is ignored.
    metric.update_state(np.full((1, 2, 3), 255), _one(2))
    assert metric.matrix().sum() == 0


def _one(value):
    ids = np.zeros((1, 2, 3), "int32")
    ids[0, 1, 2] = value
    return ids


@every_metric
@every_num_classes
def test_nan_scores_give_nan_and_check_raises(metric_class, arguments, num_classes):
    masks, y_pred = np.ones((1, 2, 3), "int32"), np.ones((1, 2, 3, num_classes))
    metric = metric_class(num_classes, **arguments)
    y_pred[0, 1, 2, -1] = np.nan
    metric.update_state(np.full_like(masks, 255), y_pred)
    metric.check()  # ignored pixels may be anything
    metric.update_state(masks, y_pred)
    for value in values(metric).values():
        assert np.all(np.isnan(value))
    with pytest.raises(ValueError, match="must not be NaN. Received: .* in 1 pixels"):
        metric.check()


@every_metric
@every_num_classes
def test_infinite_scores_are_ordered(metric_class, arguments, num_classes):
    metric = metric_class(num_classes, **arguments)
    y_pred = np.full((1, 2, 3, num_classes), -np.inf, "float32")
    y_pred[..., -1] = np.inf
    metric.update_state(np.ones((1, 2, 3)), y_pred)
    metric.check()
    assert metric.matrix().tolist() == [[0, 0], [0, 6]]


@every_metric
@every_num_classes
def test_ties_and_the_threshold_itself_are_background(
    metric_class, arguments, num_classes
):
    for from_logits, score in ((False, 0.5), (True, 0.0)):
        metric = metric_class(num_classes, from_logits=from_logits, **arguments)
        metric.update_state(np.zeros((1, 2, 3)), np.full((1, 2, 3, num_classes), score))
        assert metric.matrix().tolist() == [[6, 0], [0, 0]]


@every_metric
@pytest.mark.parametrize("shape", [(4, 5, 7), (4, 5, 7, 3), (4, 5, 7, 1)])
def test_scores_of_another_number_of_classes_raise(metric_class, arguments, shape):
    with pytest.raises(ValueError, match=r"num_classes=2 .* Received: y_pred.shape"):
        metric_class(2, **arguments).update_state(
            np.zeros((4, 5, 7)), np.zeros(shape, "float32")
        )


@every_metric
@pytest.mark.parametrize("shape", [(4, 5, 7, 2), (4, 7, 5), (4, 5), (1, 5, 7)])
def test_masks_of_another_shape_raise(metric_class, arguments, shape):
    with pytest.raises(ValueError, match="one class id per pixel.*Received: y_true.sh"):
        metric_class(2, **arguments).update_state(np.zeros(shape), random_batch()[1])


@every_metric
@pytest.mark.parametrize("shape", [(5,), (4, 7), (4, 7, 5)])
def test_weights_of_another_shape_raise(metric_class, arguments, shape):
    with pytest.raises(ValueError, match=r"`sample_weight` must .* Received: sample_w"):
        metric_class(2, **arguments).update_state(*random_batch(), np.ones(shape))


@every_metric
def test_number_of_classes_must_be_positive(metric_class, arguments):
    with pytest.raises(ValueError, match="`num_classes` must .* Received: num_class"):
        metric_class(0, **arguments)


@every_metric
@every_num_classes
def test_config_round_trip(metric_class, arguments, num_classes):
    metric = metric_class(num_classes, ignore_class=7, from_logits=True, **arguments)
    config = keras.saving.serialize_keras_object(metric)
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is metric_class
    assert keras.saving.serialize_keras_object(copy) == config
    assert set(metric.get_config()) == set(inspect.signature(metric_class).parameters)
    masks, y_pred = random_batch(num_classes=num_classes)
    for one in (metric, copy):
        one.update_state(np.where(masks == 255, 7, masks), y_pred)
    assert_same(copy, metric)


@every_metric
def test_counts_are_exact_beyond_2_to_the_31(metric_class, arguments):
    """Doubles its own state 40 times, which no test could do with pixels."""
    metric = metric_class(2, **arguments)
    metric.update_state([[[0, 0, 1, 1, 1]]], np.array([[[0, 1, 0, 1, 1]]]))
    expected = np.array([[1, 1], [1, 2]])
    for _ in range(40):
        metric.merge_state([metric])
        expected = 2 * expected
        assert np.array_equal(metric.matrix(), expected)
    metric.update_state([[[0, 1]]], np.array([[[0, 0]]]))
    expected = expected + [[1, 0], [1, 0]]
    assert expected.max() > 2**40
    assert np.array_equal(metric.matrix(), expected)
    for value in values(metric).values():
        assert np.all(np.isfinite(value)) and np.all(value > 0)


def counts_like_numpy(max_examples):
    shape = (2, 3, 4)

    @settings(max_examples=max_examples, deadline=None, derandomize=True)
    @given(
        arrays("int32", shape, elements=st.sampled_from([0, 1, 2, 255])),
        arrays("int32", shape, elements=st.integers(0, 2)),
        arrays("float32", shape, elements=st.sampled_from([0.0, 1.0])),
    )
    def check(masks, predicted, weights):
        metric = metrics.SegmentationMetrics(3, METRICS)
        metric.update_state(masks, predicted, weights)
        expected = np.zeros((3, 3), "int64")
        counted = (masks != 255) & (weights > 0)
        np.add.at(expected, (masks[counted], predicted[counted]), 1)
        assert np.array_equal(metric.matrix(), expected)
        for value in values(metric).values():
            assert np.isnan(value) or 0 <= value <= 1

    check()


def test_any_masks_are_counted_like_numpy():
    counts_like_numpy(max_examples=100)


@pytest.mark.slow
def test_any_masks_are_counted_like_numpy_many():
    counts_like_numpy(max_examples=5000)
