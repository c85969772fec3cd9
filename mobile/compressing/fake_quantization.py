"""How each step of a net is quantized while it is trained, for tensorflow-model-optimization.

The rules are those of LiteRT's 8-bit kernels: weights symmetric, with a range per output
channel; activations with one range per tensor; operations that only move values keep the
range of what they get.

Reference:
- [Quantization and Training of Neural Networks](https://arxiv.org/abs/1712.05877), CVPR
  2018, sections 3 and 3.1
- [LiteRT 8-bit quantization specification](https://ai.google.dev/edge/litert/models/quantization_spec)
"""

import tensorflow as tf

from kseg.mobile.compressing.rebuilding import optimization

_keras = optimization().quantization.keras
_quantizers = _keras.quantizers

# They move values about or leave some out, so that their range stays.
_MOVERS = {
    "AveragePool",
    "Crop",
    "ExpandDims",
    "GetItem",
    "MaxPool",
    "Pad",
    "Reshape",
    "Resize",
    "Resizing",
    "Slice",
    "Squeeze",
    "Transpose",
}
# The ranges that LiteRT's kernels have by definition.
_FIXED = {
    "Sigmoid": (0.0, 255 / 256),
    "Softmax": (0.0, 255 / 256),
    "Tanh": (-1.0, 127 / 128),
}
_EIGHT_BITS = {"num_bits": 8, "narrow_range": False}


class KernelQuantizer(_quantizers.Quantizer):
    """Rounds a kernel to 8 bits, with a range per output channel.

    The range is that of the values at hand, at every step and in the file. A transposed
    convolution has one for all channels: of its kernel the converter takes no other.

    Args:
        kind: Kind of the convolution, which tells where its output channels are.
    """

    def __init__(self, kind: str):
        self.kind = kind

    def build(self, tensor_shape, name, layer):
        return {}

    def __call__(self, inputs, training, weights, **kwargs):
        if self.kind == "ConvTranspose":
            largest = _largest(inputs, (0, 1, 2, 3))
            return tf.quantization.fake_quant_with_min_max_vars(
                inputs, -largest, largest, num_bits=8, narrow_range=True
            )
        kernel = inputs
        if self.kind == "DepthwiseConv":
            height, width, channels, multiplier = inputs.shape
            kernel = tf.reshape(inputs, (height, width, 1, channels * multiplier))
        largest = _largest(kernel, (0, 1, 2))
        kernel = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            kernel, -largest, largest, num_bits=8, narrow_range=True
        )
        return tf.reshape(kernel, inputs.shape)

    def get_config(self):
        return {"kind": self.kind}


def _largest(kernel, axes):
    largest = tf.reduce_max(tf.abs(kernel), axis=axes)
    return tf.stop_gradient(tf.maximum(largest, 1e-6))  # zero would be no scale


class RangeQuantizer(_quantizers.MovingAverageQuantizer):
    """Rounds a tensor to 8 bits; its range follows those of the batches.

    Attributes:
        variables: The lower and the upper end, once the layer is built.
    """

    def __init__(self):
        super().__init__(per_axis=False, symmetric=False, **_EIGHT_BITS)

    def build(self, tensor_shape, name, layer):
        ends = super().build(tensor_shape, name, layer)
        self.variables = ends["min_var"], ends["max_var"]
        return ends


class StepConfig(_keras.QuantizeConfig):
    """Quantizes the kernel of a step, and its output.

    Args:
        step: A `folding.Step`.
        ranged: Whether the output has a range of its own.
    """

    def __init__(self, step, ranged: bool):
        self.step, self.output = step, None
        if step.kind in _FIXED:
            low, high = _FIXED[step.kind]
            self.output = _quantizers.FixedQuantizer(
                init_min=low, init_max=high, **_EIGHT_BITS
            )
        elif ranged:
            self.output = RangeQuantizer()
        self._kernel = "kernel"
        if step.kind == "DepthwiseConv":
            self._kernel = "depthwise_kernel"

    def get_weights_and_quantizers(self, layer):
        if self.step.kernel is None:
            return []
        return [(getattr(layer, self._kernel), KernelQuantizer(self.step.kind))]

    def get_activations_and_quantizers(self, layer):
        return []

    def set_quantize_weights(self, layer, quantize_weights):
        for kernel in quantize_weights:
            setattr(layer, self._kernel, kernel)

    def set_quantize_activations(self, layer, quantize_activations):
        pass

    def get_output_quantizers(self, layer):
        return [] if self.output is None else [self.output]

    def get_config(self):
        return {"step": self.step, "ranged": self.output is not None}


class Quantizing:
    """Wraps the layers of steps for `rebuilding.rebuild`.

    Args:
        steps: All steps of the net.

    Attributes:
        ranges: Dict of the name of a layer: the `RangeQuantizer` of its output.
    """

    def __init__(self, steps):
        self.ranges = {}
        self._readers = {}
        for step in steps:
            for x in step.call.tensors:
                self._readers.setdefault(id(x), []).append(step)

    def __call__(self, step, layer):
        config = StepConfig(step, _needs_range(step, self._readers))
        if isinstance(config.output, RangeQuantizer):
            self.ranges[layer.name] = config.output
        return _keras.QuantizeWrapperV2(layer, config)


def _needs_range(step, readers) -> bool:
    """Whether the output of a step has a range of its own.

    Not so where values are only moved, nor where all that becomes of the output is part
    of a concatenation, whose inputs share its range.
    """
    if step.kind in _MOVERS:
        return False
    output = step.output
    while len(readers.get(id(output), ())) == 1:
        (reader,) = readers[id(output)]
        if reader.kind == "Concatenate":
            return False
        if reader.kind not in _MOVERS:
            return True
        output = reader.output
    return True
