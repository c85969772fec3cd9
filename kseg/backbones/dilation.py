"""The output stride of a net that is built here: strides left out, rates in their place."""

from typing import NamedTuple

from keras import layers

OUTPUT_STRIDES = (8, 16, 32)


class Step(NamedTuple):
    """How a layer of a net moves over its map."""

    stride: int
    rate: int  # Dilation of this layer.
    next_rate: int  # Dilation of the layers behind it.


def steps(strides, output_stride):
    """Plans the strides of a net whose map is not to become coarser than a stride.

    A stride beyond is left out, and all layers behind are dilated by it: the denser map,
    subsampled, is the map of the strided net. The layer that lost its stride keeps the
    rate that it had, as it still reads what it read.

    Args:
        strides: Stride of each layer that may have one, in order.
        output_stride: 8, 16 or 32.

    Returns:
        One `Step` per stride.

    Raises:
        ValueError: If `output_stride` is none of them.
    """
    if output_stride not in OUTPUT_STRIDES:
        raise ValueError(
            f"`output_stride` must be one of {OUTPUT_STRIDES}. "
            f"Received: output_stride={output_stride!r}"
        )
    reached, rate, plan = 1, 1, []
    for stride in strides:
        if reached * stride > output_stride:
            plan.append(Step(1, rate, rate * stride))
            rate *= stride
        else:
            plan.append(Step(stride, rate, rate))
            reached *= stride
    return plan


def pad(x, kernel_size, name):
    """Pads by half a kernel on every side, for a layer that strides without padding.

    "same" pads the end more than the beginning where a size is even, which moves the map
    against that of the dense net.
    """
    return layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)


def check_multi_grid(multi_grid):
    """Raises an error unless there are three positive rates."""
    if not isinstance(multi_grid, tuple | list):
        raise TypeError(
            "`multi_grid` must be a tuple of three rates. "
            f"Received: multi_grid={multi_grid!r} (of type {type(multi_grid).__name__})"
        )
    if len(multi_grid) != 3 or any(rate < 1 for rate in multi_grid):
        raise ValueError(
            "`multi_grid` must have three rates of at least 1. "
            f"Received: multi_grid={multi_grid}"
        )
