"""The weighted sum of losses."""

import keras
import numpy as np
import pytest
from keras import ops

from kseg.losses import Dice, SparseCrossEntropy, Sum

MASKS = np.array([[[0, 1, 255], [1, 1, 0]]])
Y_PRED = np.linspace(0.1, 0.9, 6).reshape(1, 2, 3, 1).astype("float32")


def value(loss):
    return float(ops.convert_to_numpy(loss))


@pytest.mark.parametrize("sample_weight", [None, [2.0], [[[1.0, 0, 3], [0.5, 0, 1]]]])
@pytest.mark.parametrize("weights", [None, (0.3, 2.0)])
def test_adds_its_losses(weights, sample_weight):
    losses = [SparseCrossEntropy(), Dice()]
    expected = sum(
        factor * value(loss(MASKS, Y_PRED, sample_weight))
        for factor, loss in zip(weights or (1, 1), losses, strict=True)
    )
    actual = Sum(losses, weights)(MASKS, Y_PRED, sample_weight)
    assert value(actual) == pytest.approx(expected, rel=1e-6)


def test_takes_losses_of_keras_and_sums_of_sums():
    keras_loss = keras.losses.BinaryCrossentropy()
    nested = Sum([Sum([keras_loss], [0.5]), Dice()])
    masks = np.minimum(MASKS, 1)
    expected = 0.5 * value(keras_loss(masks[..., None], Y_PRED)) + value(
        Dice()(masks, Y_PRED)
    )
    assert value(nested(masks[..., None], Y_PRED)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([],), ValueError, r"Received: losses=\(\)"),
        (([Dice()], [1.0, 2.0]), ValueError, r"weights=\(1.0, 2.0\)"),
        ((["mse"],), TypeError, r"Received: losses=\('mse',\)"),
    ],
)
def test_bad_arguments_raise(arguments, error, message):
    with pytest.raises(error, match=message):
        Sum(*arguments)
