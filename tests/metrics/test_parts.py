"""IoU of parts against the loops of the published evaluation, in NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from kseg.metrics import PartIoU

CATEGORIES = (4, 2, 3)


def published(labels, scores, categories):
    """As PointNet's part_seg/test.py: shape by shape, part by part."""
    firsts = np.cumsum([0, *categories])
    of_category = {c: [] for c in range(len(categories))}
    for truth, score in zip(labels, scores, strict=True):
        category = int(np.searchsorted(firsts, truth[0], side="right") - 1)
        parts = range(firsts[category], firsts[category + 1])
        predicted = np.array([parts[i] for i in score[:, list(parts)].argmax(1)])
        ious = []
        for part in parts:
            inter = np.sum((truth == part) & (predicted == part))
            union = np.sum((truth == part) | (predicted == part))
            ious.append(1.0 if union == 0 else inter / union)
        of_category[category].append(np.mean(ious))
    every = [iou for ious in of_category.values() for iou in ious]
    means = [np.mean(ious) for ious in of_category.values() if ious]
    return {"instance_mean_iou": np.mean(every), "category_mean_iou": np.mean(means)}


def shapes(count=7, points=40, seed=0):
    """Part ids of one category per shape, a part missing now and then, and scores."""
    rng = np.random.default_rng(seed)
    firsts = np.cumsum([0, *CATEGORIES])
    labels = []
    for index in range(count):
        category = index % 2 * 2  # the category in the middle never occurs
        parts = np.arange(firsts[category], firsts[category + 1])
        labels.append(rng.choice(parts[: rng.integers(1, len(parts) + 1)], points))
    return np.array(labels, "int32"), rng.random((count, points, 9)).astype("float32")


def found(metric):
    return {name: float(value) for name, value in metric.result().items()}


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_published_loops(seed):
    labels, scores = shapes(seed=seed)
    metric = PartIoU(9, CATEGORIES)
    metric.update_state(labels[:3], scores[:3])
    metric.update_state(labels[3:], scores[3:])
    assert found(metric) == pytest.approx(
        published(labels, scores, CATEGORIES), abs=1e-6
    )


def test_a_part_that_is_neither_there_nor_predicted_counts_1():
    labels = np.zeros((1, 4), "int32")
    scores = np.zeros((1, 4, 4), "float32")
    scores[0, :, 0] = 1
    scores[0, 0] = [0, 1, 0, 0]  # part 1: predicted, not there
    metric = PartIoU(4)
    metric.update_state(labels, scores)
    # Part 0: 3 of 4; part 1: 0; parts 2 and 3: 1.
    assert found(metric)["instance_mean_iou"] == pytest.approx((0.75 + 0 + 1 + 1) / 4)


def test_scores_of_other_categories_do_not_count():
    labels = np.array([[4, 5, 5]], "int32")
    scores = np.full((1, 3, 9), 0.01, "float32")
    scores[0, :, 0] = 0.9
    scores[0, [0, 1, 2], [4, 5, 5]] = 0.05
    metric = PartIoU(9, CATEGORIES)
    metric.update_state(labels, scores)
    assert found(metric) == {"instance_mean_iou": 1.0, "category_mean_iou": 1.0}
    metric.reset_state()
    metric.update_state(labels, np.zeros((1, 3), "int32"))  # ids are taken as they are
    assert found(metric)["instance_mean_iou"] == 0


def test_ignored_points_are_left_out_and_ignored_shapes_do_not_count():
    labels, scores = shapes()
    expected = published(labels[:, :30], scores[:, :30], CATEGORIES)
    labels[:, 30:] = 255
    labels = np.concatenate([labels, np.full((1, 40), 255)])
    scores = np.concatenate([scores, scores[:1]])
    metric = PartIoU(9, CATEGORIES)
    metric.update_state(labels, scores)
    assert found(metric) == pytest.approx(expected, abs=1e-6)


def test_padded_points_of_a_keras_mask_are_left_out():
    labels, scores = shapes(2)
    is_there = np.arange(40) < 30
    features = np.where(is_there[None, :, None], scores + 1, 0).astype("float32")
    predicted = keras.layers.Masking()(features)
    metric = PartIoU(9, CATEGORIES)
    metric.update_state(labels, predicted)
    expected = published(labels[:, :30], features[:, :30], CATEGORIES)
    assert found(metric) == pytest.approx(expected, abs=1e-6)


def test_nothing_yet_is_nan():
    assert all(np.isnan(value) for value in found(PartIoU(9, CATEGORIES)).values())


def test_parts_of_two_categories_in_a_shape_are_an_error():
    labels, scores = shapes(2)
    labels[1, 3] = 0
    with pytest.raises(ValueError, match=r"Received: shape 1 with the parts \[0, "):
        PartIoU(9, CATEGORIES).update_state(labels, scores)


def test_mixed_shapes_in_a_compiled_step_make_it_nan_and_check_raise():
    labels, scores = shapes(4)
    labels[1, 3] = 0
    metric = PartIoU(9, CATEGORIES)
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            tf.function(metric.update_state)(labels, scores)
        case "jax":
            import jax

            state = [variable.value for variable in metric.variables]
            state = jax.jit(metric.stateless_update_state)(state, labels, scores)
            for variable, value in zip(metric.variables, state, strict=True):
                variable.assign(value)
        case other:
            pytest.skip(f"{other} runs steps eagerly, where the metric raises")
    assert all(np.isnan(value) for value in found(metric).values())
    with pytest.raises(ValueError, match="Received: 1 shapes with parts of several"):
        metric.check()
    metric.reset_state()
    metric.check()


@pytest.mark.parametrize("count", [2047, 2048, 5000])
def test_many_perfect_shapes_in_one_update_are_1(count):
    labels = np.zeros((count, 2), "int32")
    metric = PartIoU(2, (1, 1))
    for _ in range(2):
        metric.update_state(labels, labels)
    assert found(metric) == {"instance_mean_iou": 1.0, "category_mean_iou": 1.0}


@pytest.mark.parametrize("categories", [(4, 2), (4, 5, 0), (4.5, 4.5), (10,)])
def test_categories_that_do_not_add_up(categories):
    with pytest.raises(ValueError, match="add up to num_classes=9. Received: cat"):
        PartIoU(9, categories)


def test_is_logged_by_fit():
    labels, scores = shapes(4)
    inputs = keras.Input((40, 9))
    model = keras.Model(inputs, keras.layers.Activation("softmax")(inputs))
    model.compile(
        loss="sparse_categorical_crossentropy", metrics=[PartIoU(9, CATEGORIES)]
    )
    logs = model.evaluate(scores, labels, verbose=0, return_dict=True)
    expected = published(labels, ops.convert_to_numpy(ops.softmax(scores)), CATEGORIES)
    assert logs["instance_mean_iou"] == pytest.approx(
        expected["instance_mean_iou"], abs=1e-6
    )
