"""Smaller numbers: integer weights and activations, by the AI Edge Quantizer."""

import importlib

import numpy as np

from kseg.mobile.graph import uint8_interface, unpack
from kseg.mobile.parity import ExportError
from kseg.mobile.runtime import native_log

# Fewer images leave the ranges of activations to chance.
MIN_IMAGES = 8


def float16(content: bytes) -> bytes:
    """Returns a float `.tflite` with the weights of convolutions in half precision.

    The converter's way also rounds biases: measured 2 dB more noise for 0.5 % less.
    """
    types = _quantizer_module("qtyping")
    half = types.TensorQuantizationConfig(num_bits=16, dtype=types.TensorDataType.FLOAT)
    manager = _quantizer_module("recipe_manager").RecipeManager()
    manager.add_quantization_config(
        regex=".*",
        operation_name=types.TFLOperationName.ALL_SUPPORTED,
        op_config=types.OpQuantizationConfig(
            weight_tensor_config=half,
            compute_precision=types.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        algorithm_key=_quantizer_module(
            "algorithm_manager"
        ).AlgorithmName.FLOAT_CASTING,
    )
    return _quantize(content, manager.get_quantization_recipe())


def weight_int8(content: bytes) -> bytes:
    """Returns a float `.tflite` with int8 weights, computed in float."""
    recipe = _quantizer_module("recipe")
    return _quantize(content, recipe.weight_only_wi8_afp32())


def dynamic_int8(content: bytes) -> bytes:
    """Returns a float `.tflite` with int8 weights and activations scaled at run time.

    On CPUs slower than float: measure before you ship it.
    """
    recipe = _quantizer_module("recipe")
    return _quantize(content, recipe.dynamic_wi8_afp32())


def full_int8(content: bytes, images: list[np.ndarray]) -> bytes:
    """Quantizes weights and activations of a float `.tflite` to int8.

    Args:
        content: The content of a float `.tflite` of one signature.
        images: Arrays of the input's shape for the ranges of the activations; uint8
            where they are images of 0-255.

    Returns:
        The content of a `.tflite` with a uint8 input, which for images is the pixel's
        own value, and a uint8 output; class ids stay integers.
    """
    recipe = _quantizer_module("recipe").static_wi8_ai8()
    ranges = _calibrate(content, recipe, images)
    return uint8_interface(_quantize(content, recipe, ranges))


def _calibrate(content, recipe, images):
    """Returns `{tensor name: {"min": ..., "max": ...}}` over all images."""
    calibrator = _quantizer_module("calibrator")
    manager = _quantizer_module("recipe_manager").RecipeManager()
    manager.load_quantization_recipe(recipe)
    graph = unpack(content)
    (signature,) = graph.signatureDefs
    key, name = signature.signatureKey.decode(), signature.inputs[0].name.decode()
    with native_log():
        run = calibrator.Calibrator(
            content, num_threads=2, qsv_update_func=_widest_range
        )
        for image in images:
            run.calibrate({key: [{name: image.astype("float32")}]}, manager)
    ranges = run.get_model_qsvs()
    if images[0].dtype == np.uint8:
        # Exactly 0-255 makes the scale 1: the uint8 input takes pixels as they are.
        tensor = graph.subgraphs[0].tensors[graph.subgraphs[0].inputs[0]]
        span = ranges[tensor.name.decode()]
        ranges[tensor.name.decode()] = {
            "min": np.full_like(span["min"], 0),
            "max": np.full_like(span["max"], 255),
        }
    return ranges


def _widest_range(known, new):
    """Merges two ranges; unlike a moving average, in any order of the images."""
    if not known:
        return new
    return {
        "min": np.minimum(known["min"], new["min"]),
        "max": np.maximum(known["max"], new["max"]),
    }


def _quantize(content, recipe, ranges=None):
    quantizer = _quantizer_module("quantizer")
    try:
        with native_log():
            result = quantizer.Quantizer(content, recipe).quantize(
                ranges, enable_progress_bar=False, enable_progress_report=False
            )
    except (ValueError, RuntimeError, KeyError, NotImplementedError) as error:
        raise ExportError(
            f"The AI Edge Quantizer cannot quantize the model: {error}"
        ) from error
    return bytes(result.quantized_model)


def _quantizer_module(name):
    try:
        with native_log():
            return importlib.import_module(f"ai_edge_quantizer.{name}")
    except ImportError as error:
        raise ImportError(
            "Quantizing to int8 needs the AI Edge Quantizer. "
            "Install it with: pip install 'kseg[mobile]'"
        ) from error
