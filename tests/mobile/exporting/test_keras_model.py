"""What a Keras model ends in, and how its scores are reached."""

import keras
import numpy as np
import pytest
from keras import layers

from kseg.mobile.exporting.keras_model import (
    KerasNet,
    image_shape,
    output_kind,
    with_output,
)

SHAPE = (8, 10, 3)


def model_of(*stack):
    """Returns a model of one 1x1 convolution and `stack`."""
    image = keras.Input(SHAPE)
    x = layers.Conv2D(2, 1)(image)
    for layer in stack:
        x = layer(x)
    return keras.Model(image, x)


@pytest.mark.parametrize(
    ("stack", "kind"),
    [
        ([], "logits"),
        ([layers.Softmax()], "probabilities"),
        ([layers.Activation("sigmoid")], "probabilities"),
        ([layers.Conv2D(2, 1, activation="softmax")], "probabilities"),
        ([layers.Softmax(), layers.UpSampling2D(2)], "probabilities"),
        ([layers.UpSampling2D(2), layers.Dropout(0.5)], "logits"),
        ([layers.ReLU()], None),
        ([layers.Conv2D(2, 1, activation="relu")], None),
        ([layers.ReLU(name="logits")], "logits"),
        ([layers.Activation("softmax"), layers.Rescaling(2.0)], None),
    ],
)
def test_the_graph_tells_probabilities_from_logits(stack, kind):
    model = model_of(*stack)
    assert output_kind(model) == kind
    nested = keras.Sequential([keras.Input(SHAPE), model])
    assert output_kind(nested) == kind


def test_probabilities_and_logits_are_derived_from_each_other():
    image = np.random.default_rng(0).uniform(0, 1, (1, *SHAPE)).astype("float32")
    logits = model_of()
    expected = np.exp(logits(image))
    expected /= expected.sum(-1, keepdims=True)
    derived = with_output(logits, "probabilities")
    np.testing.assert_allclose(derived(image), expected, rtol=1e-5)
    back = with_output(derived, "logits")
    np.testing.assert_allclose(back(image), logits(image), rtol=1e-5)
    assert with_output(derived, "probabilities").output is derived.output


def test_of_several_outputs_the_named_one_is_taken():
    image = keras.Input(SHAPE)
    scores = layers.Conv2D(2, 1, name="logits")(image)
    main = layers.Softmax(name="probabilities")(scores)
    helper = layers.Conv2D(2, 1, activation="softmax")(image)
    model = keras.Model(image, [helper, main])
    assert with_output(model, "probabilities").output is main
    assert with_output(model, "logits").output is scores


def test_the_models_own_weights_are_used_and_not_copied():
    model = model_of()
    derived = with_output(model, "probabilities")
    assert derived.layers[1] is model.layers[1]


def test_image_shapes():
    any_size = keras.Sequential([keras.Input((None, None, 1)), layers.ReLU()])
    assert image_shape(any_size) == (None, None, 1)
    assert image_shape(model_of()) == SHAPE
    with pytest.raises(TypeError, match="keras.Model. Received.*Dense"):
        image_shape(layers.Dense(2))
    with pytest.raises(ValueError, match="one image input"):
        image_shape(keras.Sequential([keras.Input((4, 5, 6, 3)), layers.ReLU()]))
    with pytest.raises(ValueError, match="a batch of 2"):
        image_shape(keras.Sequential([keras.Input(SHAPE, batch_size=2), layers.ReLU()]))


def test_a_net_of_several_inputs_structures_runs_without_warnings():
    image = keras.Input(SHAPE)
    model = keras.Model([image], [layers.Conv2D(1, 1)(image)])
    net = KerasNet(model)
    assert (net.input_size, net.num_classes, net.activation) == ((8, 10), 1, "sigmoid")
    assert net.run(np.zeros((1, *SHAPE), "uint8")).shape == (1, 8, 10, 1)
