"""The AI Edge Quantizer as kseg calls it: recipes, ranges, and the run."""

import dataclasses
import importlib
import re

import numpy as np

from kseg.mobile.exporting.parity import ExportError
from kseg.mobile.tflite.graph import pack, unpack
from kseg.mobile.tflite.runtime import native_log


def recipe_for(precision):
    """Returns the AI Edge Quantizer's recipe for all operations."""
    if precision != "float16":
        recipe = _module("recipe")
        make = {
            "weight_int8": recipe.weight_only_wi8_afp32,
            "dynamic_int8": recipe.dynamic_wi8_afp32,
            "full_int8": recipe.static_wi8_ai8,
        }
        made = make[precision]()
        return _with_whole_matrices(made) if precision == "full_int8" else made
    types = _module("qtyping")
    half = types.TensorQuantizationConfig(num_bits=16, dtype=types.TensorDataType.FLOAT)
    manager = _module("recipe_manager").RecipeManager()
    manager.add_quantization_config(
        regex=".*",
        operation_name=types.TFLOperationName.ALL_SUPPORTED,
        op_config=types.OpQuantizationConfig(
            weight_tensor_config=half,
            compute_precision=types.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        algorithm_key=_module("algorithm_manager").AlgorithmName.FLOAT_CASTING,
    )
    return manager.get_quantization_recipe()


def _with_whole_matrices(recipe):
    """One scale for a constant matrix: with one per column BATCH_MATMUL gives zeros."""
    types = _module("qtyping")
    manager = _module("recipe_manager").RecipeManager()
    manager.load_quantization_recipe(recipe)
    config = types.OpQuantizationConfig.from_dict(recipe[0]["op_config"])
    weights = dataclasses.replace(
        config.weight_tensor_config, granularity=types.QuantGranularity.TENSORWISE
    )
    manager.add_quantization_config(
        ".*",
        types.TFLOperationName.BATCH_MATMUL,
        dataclasses.replace(config, weight_tensor_config=weights),
    )
    return manager.get_quantization_recipe()


def without(recipe, scopes):
    """Returns a recipe that leaves the operations of some scopes as they are."""
    if not scopes:
        return recipe
    manager = _module("recipe_manager").RecipeManager()
    manager.load_quantization_recipe(recipe)
    manager.add_quantization_config(
        _any_of(scopes),
        _module("qtyping").TFLOperationName.ALL_SUPPORTED,
        algorithm_key=_module("algorithm_manager").AlgorithmName.NO_QUANTIZE,
    )
    return manager.get_quantization_recipe()


def only(recipe, scopes):
    """Returns a recipe for the operations of some scopes alone."""
    return [{**config, "regex": _any_of(scopes)} for config in recipe]


def _any_of(scopes):
    return "^(" + "|".join(map(re.escape, scopes)) + ")$"


def calibrate(content, recipe, images):
    """Returns `{tensor name: {"min": ..., "max": ...}}` over all images."""
    calibrator = _module("calibrator")
    manager = _module("recipe_manager").RecipeManager()
    manager.load_quantization_recipe(recipe)
    graph = unpack(content)
    (ends,) = graph.signatureDefs
    key = ends.signatureKey.decode()
    if not isinstance(images[0], dict):
        images = [{ends.inputs[0].name.decode(): image} for image in images]
    with native_log():
        run = calibrator.Calibrator(
            content, num_threads=2, qsv_update_func=_widest_range
        )
        for image in images:
            floats = {name: value.astype("float32") for name, value in image.items()}
            try:
                run.calibrate({key: [floats]}, manager)
            except (ValueError, RuntimeError) as error:
                raise ExportError(
                    "The AI Edge Quantizer cannot find the ranges of the activations; a "
                    f"model with a loop (WHILE) has some out of its sight: {error}"
                ) from error
    ranges = run.get_model_qsvs()
    tensors = graph.subgraphs[0].tensors
    inputs, outputs = (
        {end.name.decode(): tensors[end.tensorIndex].name.decode() for end in maps}
        for maps in (ends.inputs, ends.outputs)
    )
    for name, tensor in inputs.items():
        span = ranges[tensor]
        if images[0][name].dtype == np.uint8:
            # Exactly 0-255 makes the scale 1: the uint8 input takes pixels as they are.
            ranges[tensor] = {
                "min": np.full_like(span["min"], 0),
                "max": np.full_like(span["max"], 255),
            }
        elif name in outputs:
            # One scale: what an output has rounded the next input rounds no further.
            both = _widest_range(span, ranges[outputs[name]])
            ranges[tensor] = ranges[outputs[name]] = both
    return ranges


def _widest_range(known, new):
    """Merges two ranges; unlike a moving average, in any order of the images."""
    if not known:
        return new
    return {
        "min": np.minimum(known["min"], new["min"]),
        "max": np.maximum(known["max"], new["max"]),
    }


def quantize(content, recipe, ranges=None):
    """Returns a float `.tflite` quantized by a recipe, with ranges if it needs them."""
    quantizer = _module("quantizer")
    try:
        with native_log():
            result = quantizer.Quantizer(content, recipe).quantize(
                ranges, enable_progress_bar=False, enable_progress_report=False
            )
    except (ValueError, RuntimeError, KeyError, NotImplementedError) as error:
        raise ExportError(
            f"The AI Edge Quantizer cannot quantize the model: {error}"
        ) from error
    return _with_signature(bytes(result.quantized_model), unpack(content))


def _with_signature(content, before):
    """Names the ends of a quantized file as they were, each by its place.

    Behind an output that the graph reads on, the quantizer puts a `QUANTIZE`, and leaves
    the name on what is in front of it.
    """
    graph = unpack(content)
    (old,), (new,) = before.signatureDefs, graph.signatureDefs
    for end in ("inputs", "outputs"):
        places = [int(index) for index in getattr(before.subgraphs[0], end)]
        indices = getattr(graph.subgraphs[0], end)
        named = {tensor.name: tensor for tensor in getattr(new, end)}
        for tensor in getattr(old, end):
            place = places.index(tensor.tensorIndex)
            named[tensor.name].tensorIndex = int(indices[place])
    return pack(graph)


def _module(name):
    try:
        with native_log():
            return importlib.import_module(f"ai_edge_quantizer.{name}")
    except ImportError as error:
        raise ImportError(
            "Quantizing to int8 needs the AI Edge Quantizer. "
            "Install it with: pip install 'kseg[mobile]'"
        ) from error
