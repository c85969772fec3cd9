"""Convolution with a kernel for every pixel (adaptive feature propagation)."""

import keras
from keras import layers, ops

from kseg.layers.checking import check_positive


@keras.saving.register_keras_serializable(package="kseg.layers")
class SpatiallyVariantConv2D(layers.Layer):
    """Convolves a map with a kernel of its own at every pixel, shared by all channels.

    ```python
    outputs[y, x] = sum(kernels[y, x, k] * inputs[y - u, x - v] for k, (u, v) in taps)
    ```

    Tap `k` has the offset `u` down and `v` to the right, both from `-(kernel_size // 2)`
    to `kernel_size // 2`, in the order of rows. So a kernel that is 1 at tap `(u, v)`
    shifts the map by `u` down and `v` to the right. Outside of the map are zeros.

    The taps are shifts of the map that are added up: no patches are laid out in memory.

    Reference:
    - [Low-Latency Video Semantic Segmentation](https://arxiv.org/abs/1804.00389) (CVPR
      2018)

    Args:
        kernel_size: Size of the kernels, odd. Defaults to `9`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: List of the map, of shape `(batch, height, width, channels)`, and the
            kernels, of shape `(batch, height, width, kernel_size**2)`; in the paper they
            are a softmax, which is the caller's.

    Output shape:
        The shape of the map.

    Raises:
        ValueError: If `kernel_size` is even, or the kernels do not fit.
    """

    def __init__(self, kernel_size: int = 9, **kwargs):
        super().__init__(**kwargs)
        check_positive("kernel_size", kernel_size)
        if kernel_size % 2 == 0:
            raise ValueError(
                f"`kernel_size` must be odd. Received: kernel_size={kernel_size}"
            )
        self.kernel_size = kernel_size

    def build(self, input_shape):
        pair = isinstance(input_shape, list | tuple) and len(input_shape) == 2
        if not pair or tuple(input_shape[1])[-1] != self.kernel_size**2:
            raise ValueError(
                "`inputs` must be a list of a map and of kernels of "
                f"{self.kernel_size**2} channels, `kernel_size**2`. "
                f"Received: inputs of shape {input_shape}"
            )

    def call(self, inputs):
        x, kernels = inputs
        shape, size = ops.shape(x), self.kernel_size
        reach = size // 2
        edges = (reach, reach)
        padded = ops.pad(x, ((0, 0), edges, edges, (0, 0)))
        total = 0.0
        for tap in range(size**2):
            row, column = divmod(tap, size)
            # What comes from `u` above begins `u` further up in the padded map.
            start = (0, size - 1 - row, size - 1 - column, 0)
            shifted = ops.slice(padded, start, shape)
            total = total + kernels[..., tap : tap + 1] * shifted
        return total

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def get_config(self):
        return {**super().get_config(), "kernel_size": self.kernel_size}
