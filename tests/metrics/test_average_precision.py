"""Average precision of pixels against scikit-learn, of regions against hand counts."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import ops
from scipy import special

from kseg.metrics import AveragePrecision

oracle = pytest.importorskip(
    "sklearn.metrics", reason="the oracle is sklearn: pip install scikit-learn"
)


def probabilities(logits):
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    return (exponents / exponents.sum(-1, keepdims=True)).astype("float32")


def sharp_batch(sharpness, shape=(2, 60, 80), num_classes=4):
    """Labels and logits of a net that is the surer the higher `sharpness`."""
    rng = np.random.default_rng(0)
    masks = rng.integers(0, num_classes, shape)
    logits = rng.normal(size=(*shape, num_classes)) * sharpness
    logits += sharpness * np.eye(num_classes)[masks]
    masks[rng.random(shape) < 0.1] = 255
    return masks, logits.astype("float32")


def scikit_learn(masks, scores):
    valid = masks != 255
    return [
        oracle.average_precision_score(masks[valid] == c, scores[valid][:, c])
        for c in range(scores.shape[-1])
    ]


@pytest.mark.parametrize("sharpness", [0.3, 2.0, 10.0])
def test_pixels_agree_with_scikit_learn_within_a_thousandth(sharpness):
    masks, logits = sharp_batch(sharpness)
    scores = probabilities(logits)
    expected = scikit_learn(masks, scores)
    metric = AveragePrecision(4)
    metric.update_state(masks, scores)
    np.testing.assert_allclose(metric.per_class(), expected, atol=1e-3, rtol=0)
    result = float(ops.convert_to_numpy(metric.result()))
    assert result == pytest.approx(np.mean(metric.per_class()), rel=1e-6)


@pytest.mark.parametrize("sharpness", [0.3, 2.0, 10.0])
def test_logits_agree_with_scikit_learn_where_probabilities_round_to_1(sharpness):
    masks, logits = sharp_batch(sharpness)
    others = [np.delete(logits.astype("float64"), c, -1) for c in range(4)]
    rest = np.stack([special.logsumexp(other, -1) for other in others], -1)
    expected = scikit_learn(masks, logits - rest)
    metric = AveragePrecision(4, from_logits=True)
    metric.update_state(masks, logits)
    np.testing.assert_allclose(metric.per_class(), expected, atol=1e-3, rtol=0)


def test_one_class_agrees_with_scikit_learn():
    masks, logits = sharp_batch(2.0, num_classes=2)
    logit = logits[..., 1:] - logits[..., :1]
    valid = masks != 255
    expected = oracle.average_precision_score(masks[valid], logit[valid][:, 0])
    for from_logits, scores in ((True, logit), (False, ops.sigmoid(logit))):
        metric = AveragePrecision(1, from_logits=from_logits)
        metric.update_state(masks, scores)
        assert metric.per_class() == pytest.approx([expected], abs=1e-3)


def equals_scikit_learn(max_examples):
    """Scores of 1/16 steps have a bin each, so that nothing is rounded."""

    @settings(max_examples=max_examples, deadline=None, derandomize=True)
    @given(
        arrays("int32", (2, 5, 7), elements=st.sampled_from([0, 1, 255])),
        arrays("int32", (2, 5, 7), elements=st.integers(0, 16)),
        st.sampled_from(["float16", "bfloat16", "float32"]),
    )
    def check(masks, sixteenths, dtype):
        metric = AveragePrecision(1)
        metric.update_state(masks, ops.cast(sixteenths[..., None] / 16, dtype))
        valid = masks != 255
        if not np.any(masks == 1):
            assert np.isnan(metric.per_class()).all()
            return
        expected = oracle.average_precision_score(masks[valid], sixteenths[valid])
        assert metric.per_class() == pytest.approx([expected], rel=1e-5)

    check()


def test_any_scores_equal_scikit_learn():
    equals_scikit_learn(max_examples=100)


@pytest.mark.slow
def test_any_scores_equal_scikit_learn_many():
    equals_scikit_learn(max_examples=10_000)


def test_scores_next_to_0_and_1_are_told_apart():
    """Saturated probabilities still rank; bins of equal width would tie them."""
    scores = np.array([1 - 1e-6, 1 - 1e-4, 1e-4, 1e-6], "float32")
    metric = AveragePrecision(1)
    metric.update_state([[[1, 0, 1, 0]]], scores.reshape(1, 1, 4, 1))
    assert metric.per_class() == pytest.approx([(1 + 2 / 3) / 2], rel=1e-6)


@pytest.mark.parametrize(
    ("absent", "value"), [("nan", 1.0), ("zero", 2 / 3), ("one", 1.0)]
)
def test_class_that_is_never_true(absent, value):
    metric = AveragePrecision(3, absent=absent)
    metric.update_state([[[0, 1]]], np.array([[[[0.9, 0, 0.1], [0, 0.9, 0.1]]]]))
    assert float(ops.convert_to_numpy(metric.result())) == pytest.approx(value)


def test_background_can_be_left_out():
    masks, scores = [[[0, 1]]], np.array([[[[0.4, 0.6], [0.5, 0.5]]]], "float32")
    metric = AveragePrecision(2, include_background=False)
    metric.update_state(masks, scores)
    assert metric.per_class() == pytest.approx([0.5, 0.5])
    assert float(ops.convert_to_numpy(metric.result())) == pytest.approx(0.5)


@pytest.mark.parametrize("value", [-0.5, 1.5, 3.0])
def test_logits_given_as_probabilities_raise(value):
    with pytest.raises(ValueError, match="for logits pass from_logits=True. Received"):
        AveragePrecision(1).update_state([[[1, 0]]], np.full((1, 1, 2, 1), value))


def test_logits_given_as_probabilities_in_a_compiled_step():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("compiles with tf.function")
    import tensorflow as tf

    metric = AveragePrecision(1)
    tf.function(metric.update_state)(
        tf.constant([[[1, 0]]]), tf.fill((1, 1, 2, 1), 3.0)
    )
    assert np.isnan(float(metric.result()))
    with pytest.raises(
        ValueError, match="from_logits=True; and no NaN. Received: .* 2"
    ):
        metric.check()


@pytest.mark.parametrize("threshold", [0, -1, 1.5, (), (0.5, 2)])
def test_thresholds_out_of_range_raise(threshold):
    with pytest.raises(ValueError, match="`iou_threshold` must .* Received: iou_thr"):
        AveragePrecision(2, threshold)


def test_ids_have_no_scores():
    with pytest.raises(
        ValueError, match="floating-point dtype. Received: y_pred.dtype"
    ):
        AveragePrecision(2).update_state([[[0, 1]]], np.array([[[0, 1]]]))


def test_instances_need_a_threshold():
    with pytest.raises(ValueError, match="Received: iou_threshold=None"):
        AveragePrecision(1).update_state(
            [[[1]]], np.ones((1, 1, 1, 1)), true_instances=[[[1]]]
        )


# Two true objects: A of 4 pixels and B of 3. Predicted: all but one pixel of A (IoU
# 3/4), a false one, and B with a pixel too much (IoU 3/4).
TRUE = np.array(
    [
        [1, 1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 1, 1],
    ]
)
SCORES = np.array(
    [
        [0.9, 0.9, 0.0, 0.0, 0.8, 0.0, 0.0],
        [0.9, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.6, 0.6, 0.6, 0.6],
    ]
)


def regions_ap(true, scores, threshold, num_classes=1, **arguments):
    metric = AveragePrecision(num_classes, threshold)
    metric.update_state(
        np.array(true)[None],
        np.array(scores, "float32").reshape(1, *np.shape(true), -1),
        **arguments,
    )
    return metric.per_class()


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        # Right, false, right: recall 1/2 at precision 1, then 1 at 2/3.
        (0.5, 1 / 2 + 1 / 3),
        (0.75, 1 / 2 + 1 / 3),
        (0.76, 0.0),
        ((0.5, 0.76), (1 / 2 + 1 / 3) / 2),
    ],
)
def test_regions_counted_by_hand(threshold, expected):
    assert regions_ap(TRUE, SCORES, threshold) == pytest.approx([expected], abs=1e-6)


def test_a_true_region_is_found_once():
    """Two predicted halves of one object: the surer one is right, the other false."""
    true = [[1, 1, 1, 1, 1]]
    scores = [[0.6, 0.6, 0.0, 0.9, 0.9]]
    assert regions_ap(true, scores, 0.4) == pytest.approx([1.0])
    # The false half comes first if the right one is less sure.
    scores = [[0.9, 0.0, 0.6, 0.6, 0.6]]
    assert regions_ap(true, scores, 0.4) == pytest.approx([0.5])


def test_diagonal_pixels_connect():
    true = [[1, 0, 0], [0, 1, 1]]
    assert regions_ap(true, 0.9 * np.array(true), 0.9) == pytest.approx([1.0])


def test_missed_regions_lower_the_recall():
    true = [[1, 0, 1, 0, 1, 0, 1]]
    scores = [[0.9, 0, 0, 0, 0, 0, 0]]
    assert regions_ap(true, scores, 0.5) == pytest.approx([0.25])


def test_no_predicted_region_and_no_true_one():
    assert regions_ap([[1, 0]], [[0.0, 0.0]], 0.5) == pytest.approx([0.0])
    assert np.isnan(regions_ap([[0, 0]], [[0.9, 0.0]], 0.5)).all()
    assert np.isnan(regions_ap([[255, 255]], [[0.9, 0.0]], 0.5)).all()


def test_ignored_pixels_of_a_predicted_region_do_not_count():
    true = [[1, 1, 255, 255, 255, 0]]
    scores = [[0.9, 0.9, 0.9, 0.9, 0.9, 0.0]]
    assert regions_ap(true, scores, 1.0) == pytest.approx([1.0])


def test_given_instances_that_touch():
    """Connected pixels make one object of the two, with an IoU of 1."""
    true, scores = [[1, 1, 1, 1, 0, 0]], [[0.9, 0.9, 0.6, 0.6, 0.0, 0.0]]
    assert regions_ap(true, scores, 0.5) == pytest.approx([1.0])
    instances = np.array([[[4, 4, 7, 7, 0, 0]]])
    found = np.array([[[1, 1, 2, 2, 0, 0]]])
    result = regions_ap(
        true, scores, 0.5, true_instances=instances, predicted_instances=found
    )
    assert result == pytest.approx([1.0])
    # One predicted region can be only one of the two objects: recall 1/2.
    result = regions_ap(true, scores, 0.5, true_instances=instances)
    assert result == pytest.approx([0.5])


def test_regions_in_fit_say_what_to_do():
    inputs = keras.Input((3, 4, 1))
    outputs = keras.layers.Conv2D(1, 1, activation="sigmoid")(inputs)
    model = keras.Model(inputs, outputs)
    images = np.zeros((2, 3, 4, 1), "float32")
    masks = np.ones((2, 3, 4), "int32")
    if keras.backend.backend() != "torch":
        model.compile("sgd", "mean_squared_error", metrics=[AveragePrecision(1, 0.5)])
        with pytest.raises(ValueError, match="Give what `model.predict` returns"):
            model.evaluate(images, masks, verbose=0)
    if keras.backend.backend() == "jax":
        return  # Keras traces the metric here even with run_eagerly=True
    model.compile(
        "sgd",
        "mean_squared_error",
        metrics=[AveragePrecision(1, 0.5)],
        run_eagerly=True,
    )
    masks[:, 1, 2] = 0
    expected = AveragePrecision(1, 0.5)
    expected.update_state(masks, model.predict(images, verbose=0))
    results = model.evaluate(images, masks, verbose=0, return_dict=True)
    assert results["average_precision"] == pytest.approx(
        float(ops.convert_to_numpy(expected.result()))
    )
