"""Spatial pyramid pooling: He, Zhang, Ren, Sun (ECCV 2014)."""

import keras
from keras import layers, ops

from kseg.layers.checking import check_bins


@keras.saving.register_keras_serializable(package="kseg.layers")
class SpatialPyramidPooling2D(layers.Layer):
    """Turns a feature map of any size into a vector of one size.

    A grid of `n` by `n` bins has the maximum of each bin; bin `i` covers the rows
    `floor(i * height / n)` up to `ceil((i + 1) * height / n)`, and so the columns.
    `keras.layers.AdaptiveMaxPooling2D` has the same bins, but no open sizes.

    Reference:
    - [Spatial Pyramid Pooling in Deep Convolutional Networks](
      https://arxiv.org/abs/1406.4729) (ECCV 2014), section 2.2, figure 3

    Args:
        bins: Sizes of the grids. Defaults to `(1, 2, 4)`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, height, width, channels)`.

    Output shape:
        `(batch, sum(n * n for n in bins) * channels)`: grid after grid in the order of
        `bins`, each row by row, with the channels innermost.

    Raises:
        ValueError: If there is no bin, or a number is not positive.
        TypeError: If a number is not an integer.
    """

    def __init__(self, bins: tuple = (1, 2, 4), **kwargs):
        super().__init__(**kwargs)
        check_bins(bins)
        self.bins = tuple(bins)

    def call(self, inputs):
        height, width = ops.shape(inputs)[1:3]
        maxima = []
        for n in self.bins:
            for top, bottom in _bounds(height, n):
                row = ops.max(inputs[:, top:bottom], axis=1)
                maxima += [
                    ops.max(row[:, left:right], axis=1)
                    for left, right in _bounds(width, n)
                ]
        return ops.concatenate(maxima, axis=-1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], sum(n * n for n in self.bins) * input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "bins": self.bins}


def _bounds(size, n):
    """First index of each of `n` bins, and the first behind it."""
    return [(i * size // n, ((i + 1) * size + n - 1) // n) for i in range(n)]
