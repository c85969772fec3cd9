"""A traced model rebuilt in tf_keras, the Keras of tensorflow-model-optimization."""

import functools
import importlib
import os
from collections.abc import Callable

import keras

from kseg.mobile.compressing.folding import Step
from kseg.mobile.tflite.runtime import native_log

# Operations that remember a shape whose batch is open, and under which name.
_SHAPED = {
    "Reshape": (keras.ops.reshape, "newshape"),
    "Slice": (keras.ops.slice, "shape"),
}


def rebuild(
    steps: list[Step],
    image: keras.KerasTensor,
    output: keras.KerasTensor,
    *,
    wrap: Callable = lambda step, layer: layer,
    prepare: Callable | None = None,
):
    """Rebuilds a model of one image input.

    Args:
        steps: What `folding.fold` returns.
        image: The input tensor of the steps.
        output: The output tensor of the steps.
        wrap: From a step and its tf_keras layer to the layer that is to be called,
            such as one of tensorflow-model-optimization around it.
        prepare: Function that the image goes through first.

    Returns:
        A functional `tf_keras.Model` with the same answers, for batches of any number.
        Its layers are called `step0`, `step1`, …, in the order of `steps`.
    """
    tf_keras = legacy_keras()
    given = tf_keras.Input(image.shape[1:], name="image")
    values = {id(image): given}
    if prepare is not None:
        values[id(image)] = function_layer()(prepare, name="prepare")(given)
    for index, step in enumerate(steps):
        layer = _layer(step, f"step{index}")
        inputs = [values[id(x)] for x in step.call.tensors]
        # Layers of tf_keras that take one tensor do not take a list of one.
        inputs = inputs if len(inputs) > 1 else inputs[0]
        values[id(step.output)] = wrap(step, layer)(inputs)
    return tf_keras.Model(given, values[id(output)], name="twin")


def _layer(step, name):
    """Returns the tf_keras layer of a step."""
    if step.kernel is None:
        return function_layer()(_function(step), name=name)
    layers, constant = legacy_keras().layers, legacy_keras().initializers.Constant
    operation, kernel = step.call.operation, step.kernel
    arguments = {
        "kernel_size": kernel.shape[:2],
        "strides": operation.strides,
        "padding": operation.padding,
        "dilation_rate": operation.dilation_rate,
        "activation": step.activation and getattr(keras.ops, step.activation),
        "bias_initializer": constant(step.bias),
        "name": name,
    }
    match step.kind:
        case "Conv":
            groups = step.call.tensors[0].shape[-1] // kernel.shape[2]
            return layers.Conv2D(
                kernel.shape[3],
                groups=groups,
                kernel_initializer=constant(kernel),
                **arguments,
            )
        case "ConvTranspose":
            return layers.Conv2DTranspose(
                kernel.shape[2], kernel_initializer=constant(kernel), **arguments
            )
        case "DepthwiseConv":
            return layers.DepthwiseConv2D(
                depth_multiplier=kernel.shape[3],
                depthwise_initializer=constant(kernel),
                **arguments,
            )


def _function(step):
    """Returns an operation, and its activation, as a function of its tensors."""
    call = step.call

    def operate(tensors):
        remaining = iter(tensors if isinstance(tensors, list) else [tensors])
        args, kwargs = keras.tree.map_structure(
            lambda x: next(remaining) if isinstance(x, keras.KerasTensor) else x,
            (call.args, call.kwargs),
        )
        if step.kind in _SHAPED:
            function, name = _SHAPED[step.kind]
            shape = getattr(call.operation, name)
            return function(*args, [-1 if n is None else n for n in shape])
        return call.operation.call(*args, **kwargs)

    if step.activation is None:
        return operate
    return lambda tensors: getattr(keras.ops, step.activation)(operate(tensors))


@functools.cache
def function_layer():
    """Returns the class of a tf_keras layer that calls a function of its inputs."""
    import tensorflow as tf

    class Function(legacy_keras().layers.Layer):
        """A function without weights, for what tf_keras has no layer."""

        def __init__(self, function, **kwargs):
            super().__init__(**kwargs)
            self.function = tf.autograph.experimental.do_not_convert(function)

        def call(self, inputs):
            return self.function(inputs)

    return Function


@functools.cache
def legacy_keras():
    """Returns tf_keras, which works beside Keras 3, or raises an ImportError."""
    return _imported("tf_keras")


@functools.cache
def optimization():
    """Returns tensorflow-model-optimization, or raises an ImportError."""
    import tensorflow as tf

    # It turns the Keras of the whole process into tf_keras by this variable, which
    # TensorFlow looks at when `tf.keras` is first used: here, before it is set.
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    _ = tf.keras.layers
    try:
        return _imported("tensorflow_model_optimization")
    finally:
        os.environ.pop("TF_USE_LEGACY_KERAS", None)
        if before is not None:
            os.environ["TF_USE_LEGACY_KERAS"] = before


def _imported(name):
    try:
        with native_log():
            return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"Training for quantization, pruning and clustering needs {name}. "
            "Install it with: pip install 'kseg[mobile]'"
        ) from error
