"""Convolutions whose padding depends on the kernel alone, with strides and dilation."""

import numpy as np
from keras import ops

from kseg.layers.checking import check_positive


def convolve(op, inputs, kernel, strides, dilation_rate):
    """Convolves with a padding that depends on the kernel alone.

    Args:
        op: `ops.conv` or `ops.depthwise_conv`.
        inputs: Tensor of shape `(batch, height, width, channels)`.
        kernel: Kernel of `op`.
        strides: Vertical and horizontal strides.
        dilation_rate: Vertical and horizontal dilation rates.

    Returns:
        Tensor of height `ceil(height / strides[0])`, and so for the width.
    """
    if max(strides) == 1:
        # Without strides Keras pads by the same amounts, and the graph has no PAD.
        return op(inputs, kernel, 1, "same", "channels_last", dilation_rate)
    for axis, rate in enumerate(dilation_rate):
        kernel = _spread(kernel, rate, axis)
    total = [length - 1 for length in kernel.shape[:2]]
    padding = [(length // 2, length - length // 2) for length in total]
    inputs = ops.pad(inputs, [(0, 0), *padding, (0, 0)])
    return op(inputs, kernel, strides, "valid", "channels_last")


def strided_shape(input_shape, strides):
    """Batch, height and width of what `convolve` returns."""
    batch, *size, _ = input_shape
    return batch, *(
        None if length is None else -(-length // stride)
        for length, stride in zip(size, strides, strict=True)
    )


def _spread(kernel, rate, axis):
    """Puts `rate - 1` zeros between the values of a kernel."""
    if rate == 1:
        return kernel
    length = kernel.shape[axis]
    places = np.zeros(((length - 1) * rate + 1, length))
    places[np.arange(length) * rate, np.arange(length)] = 1
    places = ops.convert_to_tensor(places, kernel.dtype)
    spread = ops.tensordot(places, kernel, axes=(1, axis))
    return ops.moveaxis(spread, 0, axis)


def pair(name, value):
    """One number or two as two, checked to be positive integers."""
    numbers = tuple(value) if isinstance(value, list | tuple) else (value, value)
    if len(numbers) != 2:
        raise ValueError(
            f"`{name}` must be one number, or one for the height and one for the width. "
            f"Received: {name}={value}"
        )
    for number in numbers:
        check_positive(name, number)
    return numbers
