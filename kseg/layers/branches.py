"""Branches of pyramids: parts of the layers of this room."""

from keras import layers, ops

from kseg.layers.atrous import AtrousConv2D
from kseg.layers.resizing import ResizingLike2D


class ConvNormReLU(layers.Layer):
    """A convolution without bias, BatchNorm and ReLU: a part of a layer."""

    def __init__(self, filters, kernel_size=1, dilation_rate=1, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.dilation_rate = dilation_rate

    def build(self, input_shape):
        dtype = self.dtype_policy
        self.conv = AtrousConv2D(
            self.filters,
            self.kernel_size,
            self.dilation_rate,
            use_bias=False,
            dtype=dtype,
            name="conv",
        )
        self.conv.build(input_shape)
        self.norm = batch_norm(dtype=dtype, name="norm")
        self.norm.build((*input_shape[:-1], self.filters))

    def call(self, inputs, training=None):
        return ops.relu(self.norm(self.conv(inputs), training=training))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)


class ImagePooling(ConvNormReLU):
    """The mean of a map, projected, at every position of the map."""

    def build(self, input_shape):
        batch, *_, channels = input_shape
        super().build((batch, 1, 1, channels))
        self.resizing = ResizingLike2D(dtype=self.dtype_policy, name="resizing")

    def call(self, inputs, training=None):
        x = ops.mean(inputs, axis=(1, 2), keepdims=True)
        return self.resizing([super().call(x, training=training), inputs])


def batch_norm(**kwargs):
    """BatchNorm of the heads of DeepLab, for trainings from random weights."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, **kwargs)
