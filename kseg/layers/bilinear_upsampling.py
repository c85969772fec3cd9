"""Upsampling by a transposed convolution that starts as bilinear interpolation."""

import keras
import numpy as np
from keras import layers, ops

from kseg.layers.checking import check_positive


@keras.saving.register_keras_serializable(package="kseg.layers")
class BilinearUpsampling2D(layers.Layer):
    """Upsamples by a transposed convolution with a bilinear kernel, fixed or learned.

    The kernel of `2 * scale - scale % 2` has the tap `1 - |i - c| / scale` at a distance
    of `i - c` from its centre, and the stride is `scale`; there is no bias. Every
    channel is interpolated from itself. This is the bilinear resize with half-pixel
    centres, but for a border of half a kernel, where zeros are seen in place of the
    edge repeated.

    Becomes one TRANSPOSE_CONV in a .tflite file.

    Reference:
    - [Fully Convolutional Networks for Semantic Segmentation](
      https://arxiv.org/abs/1411.4038) (CVPR 2015), section 3.3

    Args:
        scale: Factor on height and width.
        learnable: Whether the kernel is a weight; otherwise the layer has none. Defaults
            to `False`.
        per_class: Whether every channel stays by itself, with a kernel of its own.
            Otherwise the kernel leads from all channels to all, and starts with zeros
            between different ones. Defaults to `True`.
        padding: `"same"` multiplies the size by `scale`. `"valid"` keeps the border of
            the transposed convolution, for an output of `scale * (size - 1)` plus the
            size of the kernel. Defaults to `"same"`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, height, width, channels)`.

    Output shape:
        That of `inputs` with the larger height and width.
    """

    def __init__(
        self,
        scale: int,
        learnable: bool = False,
        per_class: bool = True,
        padding: str = "same",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive("scale", scale)
        if padding not in ("same", "valid"):
            raise ValueError(
                f'`padding` must be "same" or "valid". Received: padding={padding!r}'
            )
        self.scale = scale
        self.learnable = learnable
        self.per_class = per_class
        self.padding = padding

    def build(self, input_shape):
        channels = input_shape[-1]
        bilinear = self._bilinear()[..., None]
        diagonal = np.eye(channels, dtype="float32")
        self.kernel, self._constant = None, bilinear[..., None] * diagonal
        if self.learnable:
            start = self._constant
            if self.per_class:
                start = np.repeat(bilinear, channels, -1)
                # As large as the kernel: TensorFlow Lite makes a product of constants
                # one constant only if that is no larger than they are.
                self._constant = np.ones_like(bilinear)[..., None] * diagonal
            self.kernel = self.add_weight(
                shape=start.shape,
                initializer=lambda _, dtype: ops.convert_to_tensor(start, dtype),
                name="kernel",
            )

    def call(self, inputs):
        return ops.conv_transpose(
            inputs, self._full_kernel(), strides=self.scale, padding=self.padding
        )

    def compute_output_shape(self, input_shape):
        batch, *sizes, channels = input_shape
        border = 0 if self.padding == "same" else self._kernel_size - self.scale
        grown = (None if n is None else self.scale * n + border for n in sizes)
        return (batch, *grown, channels)

    def get_config(self):
        return {
            **super().get_config(),
            "scale": self.scale,
            "learnable": self.learnable,
            "per_class": self.per_class,
            "padding": self.padding,
        }

    @property
    def _kernel_size(self):
        return 2 * self.scale - self.scale % 2

    def _bilinear(self):
        """Kernel of one channel: the outer product of the taps with themselves."""
        size = self._kernel_size
        taps = 1 - abs(np.arange(size) - (size - 1) / 2) / self.scale
        return np.outer(taps, taps).astype("float32")

    def _full_kernel(self):
        """Kernel of shape `(height, width, channels, channels)`."""
        if self.kernel is not None and not self.per_class:
            return self.kernel
        constant = ops.convert_to_tensor(self._constant, self.compute_dtype)
        if self.kernel is None:
            return constant
        return ops.expand_dims(self.kernel, -1) * constant
