"""Pyramid pooling module of PSPNet."""

import keras
from keras import layers, ops

from kseg.layers.branches import ConvNormReLU
from kseg.layers.checking import check_bins, check_positive
from kseg.layers.resizing import ResizingLike2D


@keras.saving.register_keras_serializable(package="kseg.layers")
class PyramidPooling2D(layers.Layer):
    """Adds averages over grids of several sizes to a feature map.

    A grid of `n` bins averages the rows `floor(i * height / n)` up to
    `ceil((i + 1) * height / n)`, and so the columns. Its averages are projected by a 1x1
    convolution with BatchNorm and ReLU, upsampled, and concatenated behind the map.

    The bin of the whole map has one value per image and channel: trained with a batch of
    1, BatchNorm there returns its offset, whatever the image. Train with two images or
    more, or with `trainable = False`.

    In a .tflite file a grid whose bins divide the map is one AVERAGE_POOL_2D; any other is
    made of SLICE, MEAN and CONCATENATION.

    Reference:
    - [Pyramid Scene Parsing Network](https://arxiv.org/abs/1612.01105) (CVPR 2017),
      section 3.2, figure 3

    Args:
        filters: Number of filters per grid; the paper has a quarter of the channels of
            the map.
        bins: Sizes of the grids. Defaults to `(1, 2, 3, 6)`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, height, width, channels)`.
        training: Whether BatchNorm uses the statistics of the batch.

    Output shape:
        `(batch, height, width, channels + len(bins) * filters)`.

    Raises:
        ValueError: If there is no bin, or a number is not positive.
        TypeError: If a number is not an integer.
    """

    def __init__(self, filters: int, bins: tuple = (1, 2, 3, 6), **kwargs):
        super().__init__(**kwargs)
        check_positive("filters", filters)
        check_bins(bins)
        self.filters = filters
        self.bins = tuple(bins)

    def build(self, input_shape):
        dtype = self.dtype_policy
        batch, *_, channels = input_shape
        self.projections = [
            ConvNormReLU(self.filters, dtype=dtype, name=f"projection{i}")
            for i, _ in enumerate(self.bins, 1)
        ]
        for bins, projection in zip(self.bins, self.projections, strict=True):
            projection.build((batch, bins, bins, channels))
        self.resizing = ResizingLike2D(dtype=dtype, name="resizing")

    def call(self, inputs, training=None):
        parts = [inputs]
        for bins, projection in zip(self.bins, self.projections, strict=True):
            x = projection(_average(inputs, bins), training=training)
            parts.append(self.resizing([x, inputs]))
        return ops.concatenate(parts, axis=-1)

    def compute_output_shape(self, input_shape):
        *shape, channels = input_shape
        return (*shape, channels + len(self.bins) * self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "bins": self.bins}


def _average(x, bins):
    size = x.shape[1:3]
    if all(length is not None and length % bins == 0 for length in size):
        window = tuple(length // bins for length in size)
        return ops.average_pool(x, window, window, data_format="channels_last")
    return _average_axis(_average_axis(x, bins, 1), bins, 2)


def _average_axis(x, bins, axis):
    shape = list(ops.shape(x))
    length = shape[axis]
    averages = []
    for i in range(bins):
        first = i * length // bins
        start = [0, 0, 0, 0]
        start[axis] = first
        shape[axis] = -(-(i + 1) * length // bins) - first
        part = ops.slice(x, tuple(start), tuple(shape))
        averages.append(ops.mean(part, axis=axis, keepdims=True))
    return ops.concatenate(averages, axis=axis)
