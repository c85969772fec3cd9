"""Which of several weights a run keeps."""

import numpy as np
import pytest

from kseg import data
from kseg.training.selection import keep_best


class Squares(list):
    """Bright squares on a dark ground, in memory."""

    class_names = ("background", "foreground")
    num_classes = 1
    ignore_class = 255


@pytest.fixture
def squares():
    samples = []
    for index in range(2):
        mask = np.zeros((8, 12), "uint8")
        mask[2:6, 3 + index : 9] = 1
        image = np.repeat(np.where(mask, 240, 0)[..., None], 3, -1).astype("uint8")
        samples.append(data.Sample(image, mask, str(index)))
    return Squares(samples)


def batches(squares):
    return [(np.stack([s.image for s in squares]).astype("float32"), None)]


def changed(net, **weights):
    """Weights of `net`, those of the named layers replaced."""
    before = net.get_weights()
    for name, values in weights.items():
        net.get_layer(name).set_weights(values)
    after = net.get_weights()
    net.set_weights(before)
    return after


def test_statistics_that_lag_behind_cannot_hide_the_trained_net(threshold_net, squares):
    """BatchNorm of a short run: nothing shows in validation until it is re-estimated."""
    net = threshold_net("sigmoid", (8, 12))
    # Normalised, dark is below 0 and bright above: right with the data's statistics.
    trained = changed(net, score=[np.full((1, 1, 2, 1), 5.0), np.array([0.0])])
    barely = changed(net, score=[np.full((1, 1, 2, 1), -0.1), np.array([-9.0])])
    name, results = keep_best(
        net, {"epoch 1": barely, "epoch 9": trained}, batches(squares), squares
    )
    assert name == "epoch 9, BatchNorm re-estimated"
    assert results[name]["mean_iou"] == 1.0
    assert len(results) == 4
    np.testing.assert_array_equal(net.get_layer("score").get_weights()[0], 5.0)
    pixels = batches(squares)[0][0]
    np.testing.assert_allclose(
        net.get_layer("norm").moving_mean.numpy(), pixels.mean(), rtol=1e-5
    )


def test_of_equals_the_later_is_kept_but_the_start_before_all(threshold_net, squares):
    net = threshold_net("sigmoid", (8, 12))
    norm = net.get_layer("norm")
    norm.trainable = False  # no statistics to re-estimate
    right = net.get_weights()
    also_right = changed(net, score=[np.full((1, 1, 2, 1), 1 / 16), np.array([-14.0])])
    both = {"epoch 1": right, "epoch 2": also_right}
    assert keep_best(net, both, batches(squares), squares)[0] == "epoch 2"
    assert net.get_layer("score").get_weights()[1] == [-14.0]
    name, results = keep_best(net, both, batches(squares), squares, start=right)
    assert name == "start"
    assert set(results) == {"epoch 1", "epoch 2", "start"}
    assert net.get_layer("score").get_weights()[1] == [-15.0]


def test_a_start_that_is_beaten_is_not_kept(threshold_net, squares):
    net = threshold_net("sigmoid", (8, 12))
    wrong = changed(net, score=[np.full((1, 1, 2, 1), 1 / 16), np.array([15.0])])
    right = {"epoch 1": net.get_weights()}
    name, results = keep_best(net, right, batches(squares), squares, start=wrong)
    assert name.startswith("epoch 1")
    assert results["start"]["mean_iou"] < results["epoch 1"]["mean_iou"] == 1.0
