"""Nets and arguments that `quantize_aware` refuses, and what it says."""

import keras
import pytest
from keras import layers

from kseg.mobile import ExportError, quantize_aware

SIZE = (64, 96)


def two_inputs():
    images = [keras.Input((8, 8, 3)) for _ in range(2)]
    return keras.Model(images, layers.Add()(images))


class Subclassed(keras.Model):
    pass


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (lambda: "person.keras", TypeError, "Received: model of type str"),
        (Subclassed, TypeError, "Received: model of type Subclassed"),
        (two_inputs, ValueError, "`model` must have one image input"),
    ],
    ids=["a path", "subclassed", "two inputs"],
)
def test_what_is_no_functional_image_model_is_refused(model, error, message):
    with pytest.raises(error, match=message):
        quantize_aware(model(), size=8, calibration=None)


def test_a_net_of_any_size_needs_a_size(net, crops):
    with pytest.raises(ValueError, match="`size` must be given.*Received: size=None"):
        quantize_aware(net, calibration=crops[0])


def test_another_size_than_the_nets_own_is_refused(person_net, crops):
    with pytest.raises(ValueError, match="`size` must be the model's own"):
        quantize_aware(person_net, size=(32, 32), calibration=crops[0])


def test_few_images_are_refused(net, crops):
    with pytest.raises(ValueError, match="at least 8 images.*Received: 7 images"):
        quantize_aware(net, size=SIZE, calibration=crops[0][:7])


def test_another_backend_is_told_what_to_do(person_net, crops, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(
        ExportError, match="KERAS_BACKEND=tensorflow.*Received: .*'jax'"
    ):
        quantize_aware(person_net, calibration=crops[0])
