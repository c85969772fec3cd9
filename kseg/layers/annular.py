"""Annular convolution of A-CNN."""

import keras
from keras import layers, ops

from kseg.layers.checking import check_positive


@keras.saving.register_keras_serializable(package="kseg.layers")
class AnnularConv(layers.Layer):
    """Convolves neighbours along their circle, which has no beginning and no end.

    The first `kernel_size - 1` neighbours are appended behind the last, so that each
    neighbour begins one window. Whichever comes first, the outputs are the same but
    for their rotation, which a maximum over the neighbours forgets.

    Reference:
    - [A-CNN](https://arxiv.org/abs/1904.08017) (CVPR 2019), section 3.3

    Args:
        filters: Number of filters.
        kernel_size: Number of neighbours in a window. Defaults to `3`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        neighbors: Tensor of shape `(batch, centers, k, channels)`, in the order around
            the centre.

    Output shape:
        `(batch, centers, k, filters)`.

    Raises:
        ValueError: If there are too few neighbours to go around.
        TypeError: If a number is not an integer.
    """

    def __init__(self, filters: int, kernel_size: int = 3, **kwargs):
        super().__init__(**kwargs)
        check_positive("filters", filters)
        check_positive("kernel_size", kernel_size)
        self.filters = filters
        self.kernel_size = kernel_size

    def build(self, input_shape):
        k = input_shape[2]
        if k is not None and k < self.kernel_size - 1:
            raise ValueError(
                f"`neighbors` must be at least {self.kernel_size - 1} per centre for "
                f"kernel_size={self.kernel_size}. "
                f"Received: neighbors.shape={tuple(input_shape)}"
            )
        self.conv = layers.Conv2D(
            self.filters,
            (1, self.kernel_size),
            dtype=self.dtype_policy,
            name="conv",
        )
        batch, centers, _, channels = input_shape
        longer = None if k is None else k + self.kernel_size - 1
        self.conv.build((batch, centers, longer, channels))

    def call(self, neighbors):
        beginning = neighbors[:, :, : self.kernel_size - 1]
        return self.conv(ops.concatenate([neighbors, beginning], axis=2))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
        }
