"""Re-estimated BatchNorm statistics against NumPy over all batches."""

import keras
import numpy as np
import pytest

from kseg.training import recalibrate_batch_norm


def batch_norm_net(frozen=False):
    inner = keras.Sequential(
        [keras.Input((3, 5, 2)), keras.layers.BatchNormalization(momentum=0.99)]
    )
    inner.layers[0].trainable = not frozen
    inputs = keras.Input((3, 5, 2))
    return keras.Model(inputs, inner(inputs)), inner.layers[0]


@pytest.fixture
def batches():
    images = np.random.default_rng(0).normal(3.0, 2.0, (4, 6, 3, 5, 2))
    return images.astype("float32")


def test_statistics_are_those_of_all_batches_together(batches):
    net, layer = batch_norm_net()
    assert recalibrate_batch_norm(net, [(b, None) for b in batches]) == 1
    everything = batches.reshape(-1, 2).astype("float64")
    np.testing.assert_allclose(layer.moving_mean.numpy(), everything.mean(0), rtol=1e-5)
    np.testing.assert_allclose(
        layer.moving_variance.numpy(), everything.var(0), rtol=1e-5
    )
    assert layer.momentum == 0.99


def test_steps_limits_the_batches(batches):
    net, layer = batch_norm_net()
    recalibrate_batch_norm(net, batches, steps=2)
    expected = batches[:2].reshape(-1, 2).mean(0)
    np.testing.assert_allclose(layer.moving_mean.numpy(), expected, rtol=1e-5)


def test_batches_of_a_keras_data_set(batches):
    class Stored(keras.utils.PyDataset):
        def __len__(self):
            return len(batches)

        def __getitem__(self, index):
            return batches[index], None

    net, layer = batch_norm_net()
    recalibrate_batch_norm(net, Stored(), steps=3)
    expected = batches[:3].reshape(-1, 2).mean(0)
    np.testing.assert_allclose(layer.moving_mean.numpy(), expected, rtol=1e-5)


def test_frozen_layers_keep_their_statistics(batches):
    net, layer = batch_norm_net(frozen=True)
    assert recalibrate_batch_norm(net, batches) == 0
    assert layer.moving_mean.numpy().tolist() == [0.0, 0.0]


def test_an_error_midway_leaves_the_layer_as_it_was(batches):
    def broken():
        yield batches[0]
        raise OSError("photo.jpg is truncated")

    net, layer = batch_norm_net()
    with pytest.raises(OSError, match="truncated"):
        recalibrate_batch_norm(net, broken())
    assert layer.moving_mean.numpy().tolist() == [0.0, 0.0]
    assert layer.momentum == 0.99


def test_no_batches_is_an_error_and_changes_nothing():
    net, layer = batch_norm_net()
    with pytest.raises(ValueError, match="at least one batch"):
        recalibrate_batch_norm(net, [])
    assert layer.moving_variance.numpy().tolist() == [1.0, 1.0]
