"""Learning rates against Keras' schedules and the formulas."""

import keras
import numpy as np
import pytest

from kseg.training import CosineDecay, PolynomialDecay


def values(schedule, steps):
    return np.array([float(schedule(step)) for step in steps])


def test_cosine_without_warm_up_is_keras():
    steps = range(0, 101, 10)
    expected = keras.optimizers.schedules.CosineDecay(0.5, 100)
    np.testing.assert_allclose(
        values(CosineDecay(0.5, 100), steps), values(expected, steps), atol=1e-7
    )


def test_poly_without_warm_up_is_keras():
    steps = range(0, 101, 10)
    expected = keras.optimizers.schedules.PolynomialDecay(
        0.5, 100, end_learning_rate=0.0, power=0.9
    )
    np.testing.assert_allclose(
        values(PolynomialDecay(0.5, 100), steps), values(expected, steps), atol=1e-7
    )


@pytest.mark.parametrize("schedule", [CosineDecay, PolynomialDecay])
def test_warm_up_rises_linearly_to_the_peak_and_the_end_is_zero(schedule):
    rates = values(schedule(1.0, 30, warmup_steps=10), [0, 4, 9, 10, 30, 99])
    np.testing.assert_allclose(rates, [0.1, 0.5, 1.0, 1.0, 0.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("schedule", [CosineDecay, PolynomialDecay])
def test_config_round_trip_through_an_optimizer(schedule):
    optimizer = keras.optimizers.SGD(schedule(1.0, 30, warmup_steps=10))
    config = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(config)
    assert again._learning_rate.get_config() == schedule(1.0, 30, 10).get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0.0, 10), "learning_rate=0.0"), ((1.0, 10, 10), "warmup_steps=10, steps=10")],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=f"Received: .*{message}"):
        CosineDecay(*arguments)
