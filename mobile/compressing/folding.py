"""The operations of a traced model as steps of a phone: what LiteRT runs at once is one.

A convolution takes up what is constant behind it, bias and BatchNorm, and its
activation, as the converter of a finished model folds them. For fine-tuning a trained net
this is also how integer arithmetic is learnt: the network that is quantized is the folded
one.

Reference:
- [Quantization and Training of Neural Networks](https://arxiv.org/abs/1712.05877), CVPR
  2018, section 3.2
"""

import dataclasses

import keras
import numpy as np

from kseg.mobile.compressing.tracing import Call, array_of

_CONVOLUTIONS = ("Conv", "DepthwiseConv", "ConvTranspose")
# Integer kernels that clip their results anyway; the transposed convolution's does not.
_CLIPPING = ("Conv", "DepthwiseConv", "Add")


@dataclasses.dataclass(eq=False)
class Step:
    """An operation with what is folded into it.

    Attributes:
        call: The operation.
        output: The tensor behind all that was folded.
        kernel: The folded kernel of a convolution, else `None`.
        bias: The folded bias of a convolution, else `None`.
        activation: `"relu"`, `"relu6"` or `None`.
    """

    call: Call
    output: keras.KerasTensor
    kernel: np.ndarray | None = None
    bias: np.ndarray | None = None
    activation: str | None = None

    @property
    def kind(self) -> str:
        """Name of the operation."""
        return self.call.kind


def fold(calls: list[Call], output: keras.KerasTensor) -> list[Step]:
    """Folds constants and activations into the operations before them.

    Args:
        calls: What `tracing.trace` returns.
        output: The output tensor, which stays.

    Returns:
        The steps in an order in which they can be run.
    """
    readers = {}
    for call in calls:
        for x in call.tensors:
            readers.setdefault(id(x), []).append(call)
    steps, gone = [], set()
    for call in calls:
        if id(call) in gone:
            continue
        step = Step(call, call.output)
        if (kernel := _kernel(call)) is not None:
            step.kernel = array_of(kernel)
            step.bias = np.zeros(call.output.shape[-1], "float32")
        while step.output is not output and len(readers.get(id(step.output), ())) == 1:
            (reader,) = readers[id(step.output)]
            if not _take_up(step, reader):
                break
            step.output = reader.output
            gone.add(id(reader))
        steps.append(step)
    return steps


def _take_up(step, call):
    """Makes a call part of the step before it, if it can be."""
    if step.activation is not None:
        return False
    if step.kind in _CLIPPING and (name := _clipping(call)):
        step.activation = name
        return True
    if step.kernel is None:
        return False
    constants = _scale_and_shift(call, len(step.bias))
    if constants is None:
        return False
    scale, shift = constants
    step.kernel = step.kernel * _along(step.kind, scale, step.kernel.shape)
    step.bias = step.bias * scale + shift
    return True


def _clipping(call):
    """Returns the name of an activation that clips, else `None`."""
    if call.kind in ("Relu", "Relu6"):
        return call.kind.lower()
    if call.kind != "ReLU":
        return None
    operation = call.operation
    if operation.negative_slope or operation.threshold:
        return None
    return {None: "relu", 6.0: "relu6"}.get(operation.max_value)


def _scale_and_shift(call, channels):
    """What a call multiplies each channel by and adds to it; `None` for another call."""
    one, zero = np.ones(channels, "float32"), np.zeros(channels, "float32")
    if call.kind not in ("Add", "Multiply") or len(call.tensors) != 1:
        return None
    (constant,) = (x for x in call.args if not isinstance(x, keras.KerasTensor))
    constant = array_of(constant)
    if constant.size not in (1, channels) or constant.size != (1, *constant.shape)[-1]:
        return None
    constant = np.broadcast_to(constant.ravel(), (channels,))
    return (one, constant) if call.kind == "Add" else (constant, zero)


def _kernel(call):
    """Returns the kernel of a convolution of maps, if it is a constant."""
    if call.kind not in _CONVOLUTIONS or len(call.tensors) != 1:
        return None
    kernel = call.args[1] if len(call.args) > 1 else call.kwargs["kernel"]
    return kernel if len(kernel.shape) == 4 else None


def _along(kind, scale, shape):
    """The factors of the output channels, in the shape of the kernel."""
    if kind == "ConvTranspose":  # (height, width, outputs, inputs)
        return scale[:, None]
    return scale.reshape(shape[-2:]) if kind == "DepthwiseConv" else scale
