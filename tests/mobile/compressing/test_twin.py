"""A tf_keras model inside of a Keras 3 model: one set of variables for both."""

import keras
import numpy as np
import pytest

from kseg.mobile.compressing.rebuilding import legacy_keras
from kseg.mobile.compressing.twin import FineTuned, Twin, find_twin, has_learned_ranges


@pytest.fixture
def legacy():
    keras.utils.set_random_seed(0)
    layers = legacy_keras().layers
    image = legacy_keras().Input((4, 4, 3))
    x = layers.BatchNormalization(momentum=0.5)(layers.Conv2D(2, 1)(image))
    return legacy_keras().Model(image, x)


def around(twin):
    image = keras.Input((4, 4, 3))
    return FineTuned(image, twin(image))


def test_keras_3_trains_the_variables_of_tf_keras(legacy):
    model = around(Twin(legacy))
    images = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype("float32")
    before = [variable.numpy() for variable in legacy.variables]
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.train_on_batch(images, np.ones((2, 4, 4, 2)))
    # Kernel, bias, gamma, beta by the optimizer; the statistics by the layer itself.
    for old, variable in zip(before, legacy.variables, strict=True):
        assert np.abs(old - variable.numpy()).max() > 1e-6, variable.name
    np.testing.assert_allclose(model(images), legacy(images), atol=1e-6)
    assert model.count_params() == legacy.count_params()
    assert len(model.trainable_variables) == len(legacy.trainable_variables) == 4


def test_something_can_be_done_after_every_step(legacy):
    kernel = legacy.layers[1].kernel
    model = around(Twin(legacy, after_step=lambda: kernel.assign(kernel * 0)))
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((2, 4, 4, 3)), np.ones((2, 4, 4, 2)))
    np.testing.assert_array_equal(kernel, np.zeros((1, 1, 3, 2)))


def test_inference_may_be_another_model(legacy):
    other = legacy_keras().models.clone_model(legacy)
    other.set_weights([2 * weight + 1 for weight in legacy.get_weights()])
    twin = Twin(legacy, other)
    images = np.ones((1, 4, 4, 3), "float32")
    np.testing.assert_array_equal(twin(images, training=False), other(images))
    assert len(twin.trainable_variables) == 4  # none of the other model's
    assert len(twin.variables) == 12


def test_the_twin_is_found(legacy):
    model = around(Twin(legacy, learned_ranges=True))
    assert find_twin(model) is model.layers[-1]
    assert has_learned_ranges(model)
    assert not has_learned_ranges(around(Twin(legacy)))
    assert find_twin(keras.Sequential()) is None
    assert find_twin("person.keras") is None


def test_a_twin_is_no_keras_file(legacy, tmp_path):
    with pytest.raises(NotImplementedError, match="save_weights"):
        around(Twin(legacy)).save(tmp_path / "net.keras")
