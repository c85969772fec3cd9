"""Smaller numbers: integer weights and activations, by the AI Edge Quantizer."""

import fnmatch
import itertools

import numpy as np

from kseg.mobile.exporting import edge_quantizer
from kseg.mobile.exporting.integer_kernels import use_fast_kernels
from kseg.mobile.tflite.graph import signature, uint8_interface, unpack
from kseg.mobile.tflite.operations import layer_names
from kseg.mobile.tflite.rewriting import uint8_input

# Fewer images leave the ranges of activations to chance.
MIN_IMAGES = 8


class Quantization:
    """Quantizes a float `.tflite`, all of it or some layers.

    Args:
        content: The content of a float `.tflite` of one signature.
        precision: `"float16"` (the weights of convolutions; the converter's way also
            rounds biases, measured 2 dB more noise for 0.5 % less), `"weight_int8"`,
            `"dynamic_int8"` or `"full_int8"`.
        images: For `"full_int8"` arrays of the input's shape for the ranges of the
            activations; uint8 where they are images of 0-255. For several inputs dicts
            of them by name.
        scores: With dicts, the name of the output that becomes uint8.

    Attributes:
        layers: Name of a layer to the scopes of its operations, in the order of
            execution. A name is what `kseg.mobile.lint` shows: with all that the
            converter has made one operation of, such as `"conv1_bn + conv1"`.
    """

    def __init__(self, content, precision, images=None, scores=None):
        self._content, self._precision = content, precision
        self._images, self._scores = images, scores
        self._recipe = edge_quantizer.recipe_for(precision)
        self._ranges = None
        if precision == "full_int8":
            self._ranges = edge_quantizer.calibrate(content, self._recipe, images)
        self.layers = {}
        scopes = [
            "".join(f"{subgraph.tensors[index].name.decode()};" for index in op.outputs)
            for subgraph in unpack(content).subgraphs
            for op in subgraph.operators
        ]
        for layer, scope in zip(layer_names(content), scopes, strict=True):
            self.layers.setdefault(layer, []).append(scope)

    def all_but(self, keep_float=(), input_dtype: str = "uint8") -> bytes:
        """Quantizes all layers but some.

        Args:
            keep_float: Patterns for the names of layers that are left as they are.
            input_dtype: Of the image and the scores in a file of `"full_int8"`.

        Returns:
            The content of a `.tflite`. That of `"full_int8"` has a uint8 input, which for
            images is the pixel's own value, and a uint8 output, or float32 for both;
            class ids stay integers. With dicts all but images and scores are float32:
            what one frame leaves goes into the next as it is.

        Raises:
            ExportError: If the quantizer cannot do it.
            ValueError: If a pattern fits no layer.
        """
        kept = [
            scope for layer in self.matching(keep_float) for scope in self.layers[layer]
        ]
        recipe = edge_quantizer.without(self._recipe, kept)
        return self._quantized(recipe, input_dtype)

    def only(self, layer: str) -> bytes:
        """Quantizes one layer, by its whole name, and nothing else."""
        recipe = edge_quantizer.only(self._recipe, self.layers[layer])
        return self._quantized(recipe, "uint8")

    def matching(self, patterns) -> list[str]:
        """Returns the layers that patterns fit, as shells match names.

        A pattern fits a layer by its name or path, or by that of a model it lies in:
        `"head"`, `"backbone/block_1*"`, `"backbone"`.

        Args:
            patterns: Strings.

        Raises:
            ValueError: If one of them fits no layer.
        """
        found = []
        for pattern in patterns:
            fitting = [layer for layer in self.layers if _fits(pattern, layer)]
            if not fitting:
                raise ValueError(
                    "`keep_float` must be names of layers, or patterns such as "
                    f"'decoder*'; the file has {', '.join(map(repr, self.layers))}. "
                    f"Received: {pattern!r}, which fits none of them"
                )
            found += fitting
        return list(dict.fromkeys(found))

    def _quantized(self, recipe, input_dtype):
        content = edge_quantizer.quantize(self._content, recipe, self._ranges)
        if self._precision != "full_int8":
            return content
        return use_fast_kernels(self._with_ends(content, input_dtype))

    def _with_ends(self, content, input_dtype):
        """Gives a file in int8 inputs and outputs as apps have them."""
        if isinstance(self._images[0], dict):
            images = self._images[0]
            pixels = {name for name, x in images.items() if x.dtype == np.uint8}
            # A name may be an input and an output both; images and scores never are.
            integers = pixels | {self._scores} if input_dtype == "uint8" else set()
            return uint8_interface(content, _ends(content) - integers)
        if input_dtype == "float32":
            return uint8_interface(content, _ends(content))
        content = uint8_interface(content)
        # A first layer that is left in float takes its image as a float.
        return uint8_input(content) if self._images[0].dtype == np.uint8 else content


def _ends(content):
    """Returns the names of all inputs and outputs."""
    return {name for names in signature(content) for name in names}


def _fits(pattern, layer):
    """Whether a pattern fits a layer, or a part of the path of one of its names."""
    names = {layer}
    for path in layer.split(" + "):
        parts = path.split("/")
        ends = itertools.combinations(range(len(parts) + 1), 2)
        names |= {"/".join(parts[start:end]) for start, end in ends}
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)
