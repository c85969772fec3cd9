"""Boundary refinement block of the Global Convolutional Network."""

import keras
from keras import initializers, layers

from kseg.layers.checking import check_positive


@keras.saving.register_keras_serializable(package="kseg.layers")
class BoundaryRefinement2D(layers.Layer):
    """Sharpens score maps near object boundaries with a residual branch.

    Computes `inputs + conv(relu(conv(inputs)))`, keeping the shape.

    Reference:
    - [Large Kernel Matters](https://arxiv.org/abs/1703.02719) (CVPR 2017), fig. 2C

    Args:
        kernel_size: Kernel size of both convolutions. Defaults to `3`.
        kernel_initializer: Initializer of both kernels. Defaults to `"glorot_uniform"`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, height, width, channels)`.

    Output shape:
        The shape of `inputs`.

    Raises:
        ValueError: If `kernel_size` is not positive.
        TypeError: If `kernel_size` is not an integer.
    """

    def __init__(
        self, kernel_size: int = 3, kernel_initializer="glorot_uniform", **kwargs
    ):
        super().__init__(**kwargs)
        check_positive("kernel_size", kernel_size)
        self.kernel_size = kernel_size
        self.kernel_initializer = initializers.get(kernel_initializer)

    def build(self, input_shape):
        self.conv1 = self._conv(input_shape[-1], activation="relu", name="conv1")
        self.conv2 = self._conv(input_shape[-1], name="conv2")
        self.conv1.build(input_shape)
        self.conv2.build(input_shape)

    def _conv(self, channels, **kwargs):
        return layers.Conv2D(
            channels,
            self.kernel_size,
            padding="same",
            # One for each: the same object would draw the same values again.
            kernel_initializer=initializers.get(
                initializers.serialize(self.kernel_initializer)
            ),
            dtype=self.dtype_policy,
            **kwargs,
        )

    def call(self, inputs):
        return inputs + self.conv2(self.conv1(inputs))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
        }
