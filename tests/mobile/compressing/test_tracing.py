"""Models taken apart: the operations, run in order, give what the model gives."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from kseg.mobile import ExportError
from kseg.mobile.compressing.tracing import trace


def traced(model, shape):
    image = keras.Input(shape)
    return (image, *trace(model, image))


def replay(image, calls, output, x):
    """Runs the operations eagerly, one after the other."""
    values = {id(image): ops.convert_to_tensor(x)}
    for call in calls:
        args, kwargs = keras.tree.map_structure(
            lambda y: values[id(y)] if isinstance(y, keras.KerasTensor) else y,
            (call.args, call.kwargs),
        )
        values[id(call.output)] = call.operation(*args, **kwargs)
    return np.asarray(values[id(output)])


def nested(activation):
    keras.utils.set_random_seed(0)
    inner_image = keras.Input((None, None, 4))
    x = layers.BatchNormalization()(inner_image)
    inner = keras.Model(inner_image, layers.Activation(activation)(x), name="inner")
    image = keras.Input((None, None, 3))
    x = layers.Rescaling(2.0, offset=-1.0)(image)
    x = inner(layers.Conv2D(4, 3, dilation_rate=2)(x))
    return keras.Model(image, layers.Dropout(0.5)(x))


@pytest.mark.parametrize("activation", ["hard_silu", "hard_sigmoid", "silu"])
def test_nested_models_and_activations_come_apart(activation):
    model = nested(activation)
    rng = np.random.default_rng(0)
    for variable in model.get_layer("inner").variables:
        variable.assign(rng.uniform(0.5, 2, variable.shape))
    x = rng.uniform(0, 1, (2, 9, 8, 3)).astype("float32")
    image, calls, output = traced(model, (9, 8, 3))
    expected = np.asarray(model(x, training=False))
    np.testing.assert_allclose(replay(image, calls, output, x), expected, atol=1e-6)
    # The gate of XNNPACK's: x + 3, clipped, a sixth; for HardSilu times x.
    gate = {"hard_silu": 1, "hard_sigmoid": 0, "silu": -1}[activation]
    kinds = [call.kind for call in calls]
    assert kinds.count("Multiply") == 3 + gate if gate >= 0 else "Sigmoid" in kinds
    assert not {"BatchNorm", "Rescaling", "HardSilu", "HardSigmoid"} & set(kinds)


def test_a_layer_of_keras_operations_needs_no_name():
    class Sharpen(layers.Layer):
        def build(self, shape):
            self.conv = layers.DepthwiseConv2D(3, padding="same")
            self.conv.build(shape)

        def call(self, x):
            return x + ops.sigmoid(self.conv(x))

    x = keras.Input((4, 4, 2))
    _, calls, _ = traced(keras.Model(x, Sharpen()(x)), (4, 4, 2))
    assert [call.kind for call in calls] == ["DepthwiseConv", "Add", "Sigmoid", "Add"]


def test_the_model_is_left_as_it_is():
    model = nested("relu")
    before = [variable.numpy() for variable in model.variables]
    traced(model, (9, 8, 3))
    for layer in model.layers[1:]:
        assert layer.output is not None  # raises for a layer with a second call
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


def test_an_operation_of_several_results_is_refused():
    x = keras.Input((4, 4, 2))
    first, second = ops.split(x, 2, axis=-1)
    with pytest.raises(ExportError, match="of type Split has several results"):
        traced(keras.Model(x, first + second), (4, 4, 2))


def test_a_layer_with_weights_that_calls_the_backend_is_refused():
    class Opaque(layers.Layer):
        def build(self, shape):
            self.factor = self.add_weight(shape=(1,))

        def call(self, x):
            return tf.nn.relu(x) * self.factor

        def compute_output_shape(self, shape):
            return shape

    x = keras.Input((4, 4, 2))
    with pytest.raises(ExportError, match="'opaque_one' of type Opaque says"):
        traced(keras.Model(x, Opaque(name="opaque_one")(x)), (4, 4, 2))
