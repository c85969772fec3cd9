"""A Keras model of static shape as the content of a float .tflite."""

import re

import keras

from kseg.mobile.exporting.integer_kernels import use_fast_kernels
from kseg.mobile.exporting.parity import ExportError
from kseg.mobile.tflite.graph import float_operations, op_counts
from kseg.mobile.tflite.runtime import native_log

# Nothing but LiteRT's own operations may be in a file, and nothing that keeps state.
_REFUSED = ("CUSTOM", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")
# What TensorFlow takes in the name of a scope, such as every layer opens.
_NOT_OF_SCOPES = re.compile(r"[^A-Za-z0-9_.\\>-]")


def concrete_function(network: keras.Model, size: tuple[int, int], output: str):
    """Traces a model for one image of a fixed size, weights as constants.

    A static batch and size give one operation per dilated convolution, and constant
    weights let the converter fold BatchNorm.

    Args:
        network: A functional model of one image input and one output of scores.
        size: `(height, width)`.
        output: `"category_mask"` adds the choice of the class; any other value names
            the output.

    Returns:
        A `tf.ConcreteFunction` from `image`, float32 `(1, *size, channels)`.

    Raises:
        ExportError: If the model does not run on it, or a layer has a name that
            TensorFlow refuses.
    """
    import tensorflow as tf

    check_layer_names(network)
    trainable = [variable.numpy() for variable in network.trainable_variables]
    fixed = [variable.numpy() for variable in network.non_trainable_variables]
    image = tf.TensorSpec((1, *size, network.input_shape[-1]), "float32", name="image")

    @tf.function(input_signature=[image])
    def serve(image):
        scores, _ = network.stateless_call(trainable, fixed, image, training=False)
        if output != "category_mask":
            return {output: tf.cast(scores, "float32")}
        return {output: class_ids(scores)}

    try:
        return serve.get_concrete_function()
    except Exception as error:  # whatever the user's layers and names raise
        raise ExportError(
            f"The model {network.name!r} cannot be traced by TensorFlow for an image of "
            f"{size}: {error}"
        ) from error


def check_layer_names(network: keras.Model):
    """Raises `ExportError` if TensorFlow cannot trace a layer because of its name.

    Keras would not leave the scope that TensorFlow refused: every variable made later
    in the process would have the name in its path.
    """
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.InputLayer):  # which opens no scope
            continue
        if _NOT_OF_SCOPES.search(layer.name):
            raise ExportError(
                f"The model {network.name!r} cannot be traced by TensorFlow: `name` of a "
                "layer must consist of ASCII letters, digits and _ . \\ > - alone, such "
                f"as {_NOT_OF_SCOPES.sub('_', layer.name)!r}. "
                f"Received: name={layer.name!r}, of a {type(layer).__name__}"
            )


def class_ids(probabilities):
    """Returns int32 class ids `(..., )` of probabilities `(..., num_classes)`."""
    import tensorflow as tf

    if probabilities.shape[-1] == 1:
        # By way of floats, and no slice: GPUs take neither bool as int32 nor a slice
        # that drops an axis.
        foreground = tf.cast(probabilities > 0.5, "float32")
        return tf.cast(tf.reshape(foreground, probabilities.shape[:-1]), "int32")
    # keras.ops.argmax would need Flex; this is one ARG_MAX.
    return tf.argmax(probabilities, axis=-1, output_type="int32")


def convert(
    function,
    *,
    float16: bool = False,
    calibration=None,
    learned_ranges: bool = False,
    input_dtype: str = "uint8",
) -> bytes:
    """Converts a traced model with the TensorFlow Lite converter.

    Args:
        function: What `concrete_function` returns.
        float16: Keep the weights in half precision.
        calibration: Images for full integer quantization, or `None`.
        learned_ranges: Take the ranges of all that is computed from the function, which
            rounds as `kseg.mobile.quantize_aware` makes it.
        input_dtype: Of the image and of the scores, in integers: `"uint8"` or
            `"float32"`.

    Returns:
        The content of a `.tflite`.

    Raises:
        ExportError: If an operation has no LiteRT kernel, or nothing is left to run.
    """
    import tensorflow as tf

    owner = tf.Module()
    # Most functions have none; without an owner the file would have no signature.
    owner.captured = list(function.variables)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], owner)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if float16:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    if calibration is not None or learned_ranges:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = getattr(tf, input_dtype)
        converter.inference_output_type = getattr(tf, input_dtype)
    if calibration is not None:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: ([image] for image in calibration)
    with native_log() as log:
        try:
            content = converter.convert()
        except Exception as error:  # the converter raises its own and LLVM's
            reason = _reason(f"{error}\n{log()}")
            raise ExportError(
                f"The model cannot be converted to LiteRT: {reason}"
            ) from error
    check_operations(content)
    if learned_ranges and (floats := float_operations(content)):
        raise ExportError(
            "The model computes in float where it has learnt no range, or LiteRT has no "
            f"8-bit kernel: {', '.join(floats)}. Replace the layers that make them."
        )
    integers = calibration is not None or learned_ranges
    return use_fast_kernels(content) if integers else content


def check_operations(content: bytes):
    """Raises `ExportError` if a `.tflite` is empty or needs more than LiteRT."""
    counts = op_counts(content)
    if not counts:
        raise ExportError(
            "The model has no operation, so that its file would return garbage: the "
            "converter removed everything."
        )
    refused = [name for name in counts if name.split()[0] in _REFUSED]
    if refused:
        raise ExportError(
            "The model needs operations that plain LiteRT does not have: "
            f"{', '.join(refused)}. Replace the layers that make them."
        )


def _reason(text):
    """Returns the lines of a converter's log that name what failed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if "error:" in line or "Ops:" in line]
    return "\n".join(dict.fromkeys(telling or lines[:5]))
