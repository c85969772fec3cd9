"""Transformation network of PointNet."""

import keras
from keras import layers, ops

from kseg.layers.checking import check_positive
from kseg.layers.point_checking import check_finite, check_points


@keras.saving.register_keras_serializable(package="kseg.layers")
class TNet(layers.Layer):
    """Multiplies the points of a cloud by a matrix that is predicted from the cloud.

    Each point goes through `filters`, their maximum through `units`, all with BatchNorm
    and ReLU; a last dense layer gives the matrix. It starts as the identity, whatever the
    input.

    Formula, for points as rows, and the loss that `orthogonality > 0` adds:

    ```
    outputs = inputs @ A
    loss = orthogonality * mean over the batch of ||I - A @ transpose(A)||_F^2
    ```

    The authors' code sums half of that over the batch instead.

    Reference:
    - [PointNet](https://arxiv.org/abs/1612.00593) (CVPR 2017), section 4.2, eq. 2

    Args:
        filters: Numbers of filters of the convolutions. Defaults to `(64, 128, 1024)`.
        units: Numbers of units of the dense layers. Defaults to `(512, 256)`.
        orthogonality: Factor of the loss that keeps the matrix close to an orthogonal
            one; 0 for none. The paper has 0.001 for features. Defaults to `0.0`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, points, channels)`.
        training: Whether BatchNorm takes the statistics of the batch.

    Output shape:
        The shape of `inputs`.

    Raises:
        ValueError: If a number is out of its range, or, called eagerly, if an input is
            not finite.
        TypeError: If a number of filters or units is not an integer.
    """

    def __init__(
        self,
        filters: tuple = (64, 128, 1024),
        units: tuple = (512, 256),
        orthogonality: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, numbers in (("filters", filters), ("units", units)):
            if not isinstance(numbers, tuple | list) or not numbers:
                raise ValueError(
                    f"`{name}` must be a tuple with one number per layer. "
                    f"Received: {name}={numbers!r}"
                )
            for number in numbers:
                check_positive(name, number)
        if not orthogonality >= 0:
            raise ValueError(
                "`orthogonality` must be at least 0. "
                f"Received: orthogonality={orthogonality}"
            )
        self.filters = tuple(filters)
        self.units = tuple(units)
        self.orthogonality = orthogonality

    def build(self, input_shape):
        check_points("inputs", input_shape, channels=1)
        dtype, channels = self.dtype_policy, input_shape[-1]
        self.convolutions = [
            layers.Conv1D(number, 1, dtype=dtype, name=f"conv{i}")
            for i, number in enumerate(self.filters, 1)
        ]
        self.dense = [
            layers.Dense(number, dtype=dtype, name=f"dense{i}")
            for i, number in enumerate(self.units, 1)
        ]
        self.norms = []
        shape = input_shape
        for i, layer in enumerate([*self.convolutions, *self.dense], 1):
            if layer is self.dense[0]:
                shape = (shape[0], shape[-1])
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
            norm = layers.BatchNormalization(momentum=0.9, dtype=dtype, name=f"norm{i}")
            norm.build(shape)
            self.norms.append(norm)
        self.matrix = layers.Dense(
            channels * channels,
            kernel_initializer="zeros",
            bias_initializer=lambda shape, dtype: ops.reshape(
                ops.eye(channels, dtype=dtype), shape
            ),
            dtype=dtype,
            name="matrix",
        )
        self.matrix.build(shape)

    def transform(self, inputs, training=None):
        """Returns the matrices, of shape `(batch, channels, channels)`."""
        x, norms = inputs, iter(self.norms)
        for layer in self.convolutions:
            x = ops.relu(next(norms)(layer(x), training=training))
        x = ops.max(x, axis=1)
        for layer in self.dense:
            x = ops.relu(next(norms)(layer(x), training=training))
        channels = inputs.shape[-1]
        return ops.reshape(self.matrix(x), (-1, channels, channels))

    def call(self, inputs, training=None):
        check_finite("inputs", inputs)
        matrix = self.transform(inputs, training=training)
        if self.orthogonality:
            self.add_loss(self.orthogonality * _distance_from_orthogonal(matrix))
        return ops.matmul(inputs, matrix)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "units": self.units,
            "orthogonality": self.orthogonality,
        }


def _distance_from_orthogonal(matrix):
    matrix = ops.cast(matrix, "float32")
    product = ops.matmul(matrix, ops.transpose(matrix, (0, 2, 1)))
    difference = ops.eye(matrix.shape[-1]) - product
    return ops.mean(ops.sum(ops.square(difference), axis=(1, 2)))
