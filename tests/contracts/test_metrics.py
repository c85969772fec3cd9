"""What every public metric keeps, on every backend."""

import functools
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
        {"metrics": METRICS, "absent": "zero", "class_names": ("wall", "door")},
    ],
    metrics.PixelAccuracy: [{}],
    metrics.MeanAccuracy: [{}],
    metrics.IoU: [{"class_names": ("wall", "door")}],
    metrics.MeanIoU: [{"absent": "one"}],
    metrics.FrequencyWeightedIoU: [{}],
    metrics.F1: [{"average": "weighted"}],
    metrics.AveragePrecision: [{}, {"iou_threshold": (0.1, 0.5)}],
    metrics.BoundaryF1: [{"tolerance": 1}],
    metrics.TrimapIoU: [{}],
    metrics.HausdorffDistance: [{"percentile": 95.0}],
    metrics.FlickerRate: [{}],
    metrics.PartIoU: [{}],
}
NO_METRICS = {metrics.CheckLabels}

# They look at the neighbours of a pixel, or at whole shapes; the others at each pixel
# alone.
NEIGHBOURS = {
    metrics.BoundaryF1,
    metrics.TrimapIoU,
    metrics.HausdorffDistance,
    metrics.FlickerRate,
    metrics.PartIoU,
}


def is_numpy(metric_class, arguments):
    """Whether it cannot be part of a compiled step."""
    return metric_class is metrics.HausdorffDistance or "iou_threshold" in arguments


def cases(which):
    return pytest.mark.parametrize(
        ("metric_class", "arguments"),
        [
            pytest.param(
                metric, arguments, id=f"{metric.__name__}-{'-'.join(arguments)}"
            )
            for metric, variants in CLASSES.items()
            for arguments in variants
            if which(metric, arguments)
        ],
    )


every_metric = cases(lambda *_: True)
# Without those that get all they do from `SegmentationMetrics`.
every_way_to_count = cases(
    lambda metric, _: "update_state" in vars(metric) or "_part" in vars(metric)
)
every_compiled_metric = cases(lambda *case: not is_numpy(*case))
every_numpy_metric = cases(is_numpy)
every_metric_of_ids = cases(lambda metric, _: metric is not metrics.AveragePrecision)
every_metric_of_single_pixels = cases(
    lambda metric, arguments: not (metric in NEIGHBOURS or is_numpy(metric, arguments))
)
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


@every_metric_of_ids
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


@every_metric
@every_num_classes
def test_a_collection_of_ignored_classes(metric_class, arguments, num_classes):
    masks, y_pred = random_batch(num_classes=num_classes)
    expected = metric_class(num_classes, **arguments)
    expected.update_state(masks, y_pred)
    several = np.where(masks == 255, np.resize([-1, 255, 1000], masks.shape), masks)
    for ignored in ({-1, 255, 1000}, [1000, 255, -1], np.array([255, -1, 1000])):
        actual = metric_class(num_classes, ignore_class=ignored, **arguments)
        actual.update_state(several, y_pred)
        assert_same(actual, expected)
        config = keras.saving.serialize_keras_object(actual)
        copy = keras.saving.deserialize_keras_object(config)
        assert copy.ignore_class == actual.ignore_class == (-1, 255, 1000)


@every_metric_of_single_pixels
@every_num_classes
def test_ignoring_equals_leaving_out(metric_class, arguments, num_classes):
    masks, y_pred = random_batch(num_classes=num_classes)
    expected = metric_class(num_classes, **arguments)
    expected.update_state(masks, y_pred)
    valid = masks != 255
    actual = metric_class(num_classes, ignore_class=None, **arguments)
    actual.update_state(masks[valid][None, None], y_pred[valid][None, None])
    assert_same(actual, expected)


@every_way_to_count
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


@every_metric_of_single_pixels
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


@every_numpy_metric
@every_num_classes
def test_numpy_metrics_say_so_in_a_compiled_step(metric_class, arguments, num_classes):
    masks, y_pred = random_batch(num_classes=num_classes)
    with pytest.raises(ValueError, match="computed with NumPy.*run_eagerly=True.*Rec"):
        update_compiled(metric_class(num_classes, **arguments), masks, y_pred)


@every_compiled_metric
@every_num_classes
def test_compiled_equals_eager(metric_class, arguments, num_classes):
    masks, y_pred = random_batch(num_classes=num_classes)
    weights = np.array([1.0, 0.0, 1.0, 1.0], "float32")
    eager, compiled = (metric_class(num_classes, **arguments) for _ in range(2))
    eager.update_state(masks, y_pred, weights)
    update_compiled(compiled, masks, y_pred, weights)
    assert_same(compiled, eager)


@every_compiled_metric
@pytest.mark.parametrize("from_logits", [False, True])
def test_compiled_for_any_size(metric_class, arguments, from_logits):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("Only TensorFlow compiles a step without sizes")
    import tensorflow as tf

    masks, y_pred = random_batch()
    eager, compiled = (
        metric_class(2, from_logits=from_logits, **arguments) for _ in range(2)
    )
    step = tf.function(
        compiled.update_state,
        input_signature=[
            tf.TensorSpec((None, None, None), "int32"),
            tf.TensorSpec((None, None, None, 2), "float32"),
        ],
    )
    step(masks, y_pred)
    eager.update_state(masks, y_pred)
    assert_same(compiled, eager)


@every_metric_of_single_pixels
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


@every_way_to_count
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


@every_compiled_metric
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


@every_metric_of_ids
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
    with pytest.raises(ValueError, match="NaN. Received: y_pred with .* in 1 pixels"):
        metric.check()


@every_metric
@every_num_classes
def test_infinite_scores_are_ordered(metric_class, arguments, num_classes):
    metric = metric_class(num_classes, from_logits=True, **arguments)
    y_pred = np.full((1, 2, 3, num_classes), -np.inf, "float32")
    y_pred[..., -1] = np.inf
    metric.update_state(np.array([[[0, 1, 0], [0, 0, 1]]]), y_pred)
    metric.check()
    assert metric.matrix().tolist() == [[0, 4], [0, 2]]
    for value in values(metric).values():
        assert not np.any(np.isnan(value))


@every_way_to_count
@every_num_classes
def test_ties_and_the_threshold_itself_are_background(
    metric_class, arguments, num_classes
):
    for from_logits, score in ((False, 0.5), (True, 0.0)):
        metric = metric_class(num_classes, from_logits=from_logits, **arguments)
        masks = np.array([[[0, 1, 0], [1, 0, 1]]])  # all of it in the trimap
        metric.update_state(masks, np.full((1, 2, 3, num_classes), score))
        assert metric.matrix().tolist() == [[3, 0], [3, 0]]


@every_way_to_count
@pytest.mark.parametrize("shape", [(4, 5, 7), (4, 5, 7, 3), (4, 5, 7, 1)])
def test_scores_of_another_number_of_classes_raise(metric_class, arguments, shape):
    with pytest.raises(ValueError, match=r"num_classes=2 .* Received: y_pred.shape"):
        metric_class(2, **arguments).update_state(
            np.zeros((4, 5, 7)), np.zeros(shape, "float32")
        )


@every_way_to_count
@pytest.mark.parametrize("shape", [(4, 5, 7, 2), (4, 7, 5), (4, 5), (1, 5, 7)])
def test_masks_of_another_shape_raise(metric_class, arguments, shape):
    with pytest.raises(
        ValueError, match="`y_true` must hold .* Received: y_true.shape"
    ):
        metric_class(2, **arguments).update_state(np.zeros(shape), random_batch()[1])


@every_way_to_count
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
    masks, ids = np.array([[[0, 0, 1, 1, 1]] * 2, [[0, 1, 0, 1, 1], [0, 1, 1, 1, 1]]])
    metric.update_state(masks[None], np.eye(2)[ids][None])
    expected = np.array([[2, 2], [1, 5]])
    for _ in range(40):
        metric.merge_state([metric])
        expected = 2 * expected
        assert np.array_equal(metric.matrix(), expected)
    metric.update_state([[[0, 1], [0, 1]]], np.eye(2)[[[[0, 0], [0, 1]]]])
    expected = expected + [[2, 0], [1, 1]]
    assert expected.max() > 2**40
    assert np.array_equal(metric.matrix(), expected)
    for value in values(metric).values():
        assert np.all(np.isfinite(value)) and np.all(value > 0)


# Whole sizes, edges and single pixels; a new shape would be traced anew.
SHAPES = [(1, 1, 1), (1, 2, 3), (2, 3, 4), (3, 1, 5), (1, 7, 2), (2, 4, 4)]
TRUTH_DTYPES = ["uint8", "int32", "int64", "float16", "bfloat16", "float32"]
if keras.backend.backend() == "jax":
    TRUTH_DTYPES.remove("int64")  # JAX has none
SCORE_DTYPES = ["float16", "bfloat16", "float32"]
IGNORED = [None, 255, (255, 254), (1, 255)]


@functools.cache  # Making one takes most of the time.
def metric_of(num_classes, ignored):
    return metrics.SegmentationMetrics(num_classes, METRICS, ignore_class=ignored)


def counts_like_numpy(max_examples):
    @settings(max_examples=max_examples, deadline=None, derandomize=True)
    @given(st.data())
    def check(data):
        shape = data.draw(st.sampled_from(SHAPES))
        num_classes = data.draw(st.sampled_from([1, 2, 5]))
        ignored = data.draw(st.sampled_from(IGNORED))
        size = max(num_classes, 2)
        labels = [*range(size), *np.ravel(ignored if ignored is not None else [])]
        masks = data.draw(arrays("int32", shape, elements=st.sampled_from(labels)))
        # Whole eighths, so that no dtype rounds them and there are ties.
        eighths = data.draw(
            arrays("int32", (*shape, num_classes), elements=st.integers(0, 8))
        )
        weights = data.draw(arrays("float32", shape, elements=st.sampled_from([0, 1])))
        metric = metric_of(num_classes, ignored)
        metric.reset_state()
        metric.update_state(
            ops.cast(masks, data.draw(st.sampled_from(TRUTH_DTYPES))),
            ops.cast(eighths / 8, data.draw(st.sampled_from(SCORE_DTYPES))),
            weights,
        )
        ids = eighths.argmax(-1) if num_classes > 1 else eighths[..., 0] > 4
        expected = np.zeros((size, size), "int64")
        is_ignored = np.isin(masks, [] if ignored is None else ignored)
        counted = ~is_ignored & (weights > 0)
        np.add.at(expected, (masks[counted], ids[counted].astype(int)), 1)
        assert np.array_equal(metric.matrix(), expected)
        check_identities(values(metric), expected)

    check()


def check_identities(results, matrix):
    for value in results.values():
        assert np.isnan(value) or 0 <= value <= 1
    if matrix.sum():
        accuracy = np.trace(matrix) / matrix.sum()
        assert results["pixel_accuracy"] == pytest.approx(accuracy, rel=1e-6)
        assert results["micro_f1"] == results["pixel_accuracy"]
    for c in range(len(matrix)):
        iou, f1 = results[f"iou_{c}"], results[f"f1_{c}"]
        expected = pytest.approx(2 * iou / (1 + iou), rel=1e-6, nan_ok=True)
        assert f1 == expected


def test_any_masks_are_counted_like_numpy():
    counts_like_numpy(max_examples=200)


@pytest.mark.slow
def test_any_masks_are_counted_like_numpy_many():
    counts_like_numpy(max_examples=30_000)
