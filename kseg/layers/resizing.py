"""Layers that give a tensor the height and width of another one."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="kseg.layers")
class ResizingLike2D(layers.Layer):
    """Resizes a tensor to the height and width of another one.

    Pixels are areas (half-pixel centres), and nothing is smoothed when the size falls.
    Adds no operation to the graph where the static sizes agree, and one RESIZE_BILINEAR
    or RESIZE_NEAREST_NEIGHBOR to a .tflite file where they do not.

    Args:
        interpolation: `"bilinear"` or `"nearest"`. Defaults to `"bilinear"`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: List of two tensors of shape `(batch, height, width, channels)`: the
            one to resize, and the one whose height and width it gets.

    Output shape:
        Batch and channels of the first tensor, height and width of the second.
    """

    def __init__(self, interpolation: str = "bilinear", **kwargs):
        super().__init__(**kwargs)
        if interpolation not in ("bilinear", "nearest"):
            raise ValueError(
                '`interpolation` must be "bilinear" or "nearest". '
                f"Received: interpolation={interpolation!r}"
            )
        self.interpolation = interpolation

    def build(self, input_shape):
        _check_pair(input_shape)

    def call(self, inputs):
        x, like = inputs
        x = ops.cast(x, self.compute_dtype)
        if x.shape[1:3] == like.shape[1:3] and None not in x.shape[1:3]:
            return x
        size = ops.shape(like)[1:3]
        if all(isinstance(length, int) for length in size):
            return ops.image.resize(x, size, interpolation=self.interpolation)
        # `ops.image.resize` fails on a size that is known only at run time.
        return self._resize_axis(self._resize_axis(x, size[0], 1), size[1], 2)

    def _resize_axis(self, x, size, axis):
        if x.shape[axis] == size and isinstance(size, int):
            return x
        old_size = ops.shape(x)[axis]
        scale = ops.cast(old_size, "float32") / ops.cast(size, "float32")
        centers = (ops.arange(size, dtype="float32") + 0.5) * scale
        if self.interpolation == "nearest":
            return ops.take(x, ops.cast(ops.floor(centers), "int32"), axis)
        last = ops.cast(old_size - 1, "float32")
        positions = ops.clip(centers - 0.5, 0.0, last)
        lower = ops.floor(positions)
        upper = ops.minimum(lower + 1.0, last)
        weights = ops.cast(positions - lower, x.dtype)
        weights = ops.reshape(weights, (-1,) + (1,) * (3 - axis))
        x_lower = ops.take(x, ops.cast(lower, "int32"), axis)
        x_upper = ops.take(x, ops.cast(upper, "int32"), axis)
        return x_lower + (x_upper - x_lower) * weights

    def compute_output_shape(self, input_shape):
        shape, like = input_shape
        return (shape[0], like[1], like[2], shape[3])

    def get_config(self):
        return {**super().get_config(), "interpolation": self.interpolation}


@keras.saving.register_keras_serializable(package="kseg.layers")
class CroppingLike2D(layers.Layer):
    """Crops the centre of a tensor to the height and width of another one.

    Where the difference of the sizes is odd, the end loses one pixel more than the
    beginning. Adds no operation to the graph where the static sizes agree.

    Args:
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: List of two tensors of shape `(batch, height, width, channels)`: the
            one to crop, and the one whose height and width it gets.

    Output shape:
        Batch and channels of the first tensor, height and width of the second.
    """

    def build(self, input_shape):
        _check_pair(input_shape)
        shape, like = input_shape
        for length, target in zip(shape[1:3], like[1:3], strict=True):
            if length is not None and target is not None and length < target:
                raise ValueError(
                    "The first of `inputs` must be at least as high and as wide as the "
                    f"second. Received: inputs of shape {shape} and {like}"
                )

    def call(self, inputs):
        x, like = inputs
        x = ops.cast(x, self.compute_dtype)
        if x.shape[1:3] == like.shape[1:3] and None not in x.shape[1:3]:
            return x
        height, width = ops.shape(like)[1:3]
        top = (ops.shape(x)[1] - height) // 2
        left = (ops.shape(x)[2] - width) // 2
        return x[:, top : top + height, left : left + width]

    def compute_output_shape(self, input_shape):
        shape, like = input_shape
        return (shape[0], like[1], like[2], shape[3])


def _check_pair(input_shape):
    pair = isinstance(input_shape, list | tuple) and len(input_shape) == 2
    if not pair or any(
        not isinstance(shape, list | tuple) or len(shape) != 4 for shape in input_shape
    ):
        raise ValueError(
            "`inputs` must be a list of two tensors of shape "
            f"`(batch, height, width, channels)`. Received: inputs of shape {input_shape}"
        )
