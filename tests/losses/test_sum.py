"""The weighted sum of losses."""

import keras
import numpy as np
import pytest
from keras import ops

from kseg.losses import (
    Boundary,
    Dice,
    ScheduleWeights,
    SparseCrossEntropy,
    Sum,
    signed_distance,
)

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


def test_weights_of_a_call_can_be_set():
    loss = Sum([SparseCrossEntropy(), Dice()], (1.0, 0.5))
    loss.weights = (0.25, 3)
    assert loss.weights == loss.get_config()["weights"] == (0.25, 3.0)
    expected = Sum(loss.losses, (0.25, 3.0))(MASKS, Y_PRED)
    assert value(loss(MASKS, Y_PRED)) == value(expected)
    with pytest.raises(ValueError, match=r"Received: losses=.*weights=\(1.0,\)"):
        loss.weights = (1.0,)


def test_maps_of_pixels_go_to_the_loss_that_reads_them():
    maps = np.stack([signed_distance(mask, 1) for mask in MASKS])
    expected = 0.5 * value(Dice()(MASKS, Y_PRED)) + value(
        Boundary()(MASKS, Y_PRED, maps)
    )
    for loss in (
        Sum([Dice(), Boundary()], (0.5, 1.0)),
        Sum([Sum([Boundary()]), Sum([Dice()], [0.5])]),
    ):
        assert value(loss(MASKS, Y_PRED, maps)) == pytest.approx(expected, rel=1e-6)


def test_weights_of_images_go_to_every_loss():
    losses = [Dice(), Boundary()]
    expected = sum(value(loss(MASKS, Y_PRED, [3.0])) for loss in losses)
    actual = Sum(losses)(MASKS, Y_PRED, [3.0])
    assert value(actual) == pytest.approx(expected, rel=1e-6)


def fitted(loss, callbacks, **arguments):
    """Losses of four epochs of a net that does not learn."""
    inputs = keras.Input((2, 3, 1))
    outputs = keras.layers.Dense(1, activation="sigmoid")(inputs)
    model = keras.Model(inputs, outputs)
    model.set_weights([np.ones((1, 1)), np.zeros(1)])
    model.compile(keras.optimizers.SGD(0.0), loss)
    history = model.fit(
        Y_PRED, MASKS, epochs=4, callbacks=callbacks, verbose=0, **arguments
    ).history
    return model, history


def test_schedule_changes_the_weights_of_a_compiled_step():
    schedule = [(1.0, 0.0), (1.0, 0.0), (0.5, 2.0), (0.0, 1.0)]
    parts = [SparseCrossEntropy(), Dice()]
    alone = [fitted(part, [])[1]["loss"][0] for part in parts]
    expected = [a * alone[0] + b * alone[1] for a, b in schedule]
    loss = Sum(parts)
    callback = ScheduleWeights(lambda epoch: schedule[epoch])
    model, history = fitted(loss, [callback], validation_data=(Y_PRED, MASKS))
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(history["val_loss"], expected, rtol=1e-5)
    actual = model.evaluate(Y_PRED, MASKS, verbose=0)
    assert actual == pytest.approx(expected[-1], rel=1e-5)


def test_schedule_goes_on_where_a_run_ended():
    loss = Sum([Dice(), Dice()])
    callback = ScheduleWeights(lambda epoch: (epoch, 0.0))
    _, history = fitted(loss, [callback], initial_epoch=2)
    assert loss.weights == (3.0, 0.0)
    assert history["loss"][1] == pytest.approx(1.5 * history["loss"][0], rel=1e-6)


def test_weights_of_the_moment_are_saved(tmp_path):
    callback = ScheduleWeights(lambda epoch: (1 - 0.1 * epoch, 0.1 * epoch))
    model, _ = fitted(Sum([SparseCrossEntropy(), Dice()]), [callback])
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert copy.loss.weights == pytest.approx((0.7, 0.3))
    expected = model.evaluate(Y_PRED, MASKS, verbose=0)
    assert copy.evaluate(Y_PRED, MASKS, verbose=0) == pytest.approx(expected, rel=1e-6)


def test_schedule_without_a_sum_raises():
    with pytest.raises(TypeError, match="`loss` must be a .*Received: loss=<kseg"):
        fitted(Dice(), [ScheduleWeights(lambda epoch: (1.0,))])
    with pytest.raises(TypeError, match=r"`schedule` must .*Received: schedule=0\.1"):
        ScheduleWeights(0.1)
