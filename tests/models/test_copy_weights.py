"""Weights from one model to another, by the names of their layers."""

import keras
import numpy as np
import pytest
from keras import layers

from kseg.models import copy_weights


def net(width=4, name="head", nested="backbone"):
    keras.utils.set_random_seed(width)
    image = keras.Input((8, 8, 3))
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="conv"),
            layers.BatchNormalization(name="norm"),
        ],
        name=nested,
    )
    x = layers.Conv2D(width, 1, name="middle")(inner(image))
    return keras.Model(image, layers.Conv2D(2, 1, name=name)(x), name="net")


def test_layers_of_the_same_name_and_shapes_get_the_weights():
    source, target = net(), net(6, "scores")
    source.get_layer("backbone").get_layer("norm").moving_mean.assign([1, 2, 3, 4])
    before = target.get_layer("middle").get_weights()
    report = copy_weights(source, target)
    assert report.copied == ["backbone/conv", "backbone/norm"]
    assert report.different == ["middle"]
    assert report.only_in_source == ["head"]
    assert report.only_in_target == ["scores"]
    for name in ("conv", "norm"):
        old, new = (x.get_layer("backbone").get_layer(name) for x in (source, target))
        for one, other in zip(old.get_weights(), new.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(
        target.get_layer("middle").get_weights(), before, strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_equal_models_are_equal_afterwards():
    source, target = net(), net()
    target.set_weights([weight + 1 for weight in target.get_weights()])
    assert copy_weights(source, target)[1:] == ([], [], [])
    for one, other in zip(source.get_weights(), target.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_layers_of_another_nested_model_are_others():
    report = copy_weights(net(), net(nested="trunk"))
    assert report.copied == ["middle", "head"]
    assert report.only_in_source == ["backbone/conv", "backbone/norm"]
    assert report.only_in_target == ["trunk/conv", "trunk/norm"]


def test_models_that_share_nothing():
    other = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="dense")])
    with pytest.raises(ValueError) as error:
        copy_weights(net(), other)
    message = str(error.value)
    assert "source='net' with backbone/conv [(3, 3, 3, 4), (4,)]" in message
    assert "with dense [(3, 2), (2,)]" in message


@pytest.mark.parametrize("name", ["source", "target"])
def test_what_is_no_model(name):
    arguments = {"source": net(), "target": net(), name: "fcn.keras"}
    with pytest.raises(TypeError, match=f"`{name}` .*Received: {name}='fcn.keras'"):
        copy_weights(**arguments)
