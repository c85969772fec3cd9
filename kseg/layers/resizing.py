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
        _check_interpolation(interpolation)
        self.interpolation = interpolation

    def build(self, input_shape):
        _check_pair(input_shape)

    def call(self, inputs):
        x, like = inputs
        x = ops.cast(x, self.compute_dtype)
        if x.shape[1:3] == like.shape[1:3] and None not in x.shape[1:3]:
            return x
        return _resize(x, ops.shape(like)[1:3], self.interpolation)

    def compute_output_shape(self, input_shape):
        shape, like = input_shape
        return (shape[0], like[1], like[2], shape[3])

    def get_config(self):
        return {**super().get_config(), "interpolation": self.interpolation}


@keras.saving.register_keras_serializable(package="kseg.layers")
class ResizingByScale2D(layers.Layer):
    """Resizes a tensor by a factor, for a net that looks at several scales.

    A size of `n` becomes `int((n - 1) * scale + 1)`, the rule of DeepLab: maps of a net
    at its stride fall on each other. Pixels are areas (half-pixel centres), and nothing
    is smoothed when the size falls.

    Args:
        scale: The factor.
        interpolation: `"bilinear"` or `"nearest"`. Defaults to `"bilinear"`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, height, width, channels)`.

    Output shape:
        `(batch, int((height - 1) * scale + 1), int((width - 1) * scale + 1), channels)`.
    """

    def __init__(self, scale: float, interpolation: str = "bilinear", **kwargs):
        super().__init__(**kwargs)
        if scale <= 0:
            raise ValueError(f"`scale` must be positive. Received: scale={scale}")
        _check_interpolation(interpolation)
        self.scale = scale
        self.interpolation = interpolation

    def call(self, inputs):
        size = [self._scaled(length) for length in ops.shape(inputs)[1:3]]
        return _resize(inputs, size, self.interpolation)

    def compute_output_shape(self, input_shape):
        batch, *size, channels = input_shape
        return (batch, *map(self._scaled, size), channels)

    def _scaled(self, length):
        if length is None:
            return None
        if isinstance(length, int):
            return int((length - 1) * self.scale + 1)
        scaled = ops.cast(length - 1, "float32") * self.scale + 1
        return ops.cast(ops.floor(scaled), "int32")

    def get_config(self):
        return {
            **super().get_config(),
            "scale": self.scale,
            "interpolation": self.interpolation,
        }


@keras.saving.register_keras_serializable(package="kseg.layers")
class CroppingLike2D(layers.Layer):
    """Crops a tensor to the height and width of another one.

    Adds no operation to the graph where the static sizes agree.

    Args:
        offset: By how many pixels the crop begins below the top and right of the left.
            Defaults to `None`, which takes the centre; where the difference of the
            sizes is odd, the end loses one pixel more than the beginning.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: List of two tensors of shape `(batch, height, width, channels)`: the
            one to crop, and the one whose height and width it gets.

    Output shape:
        Batch and channels of the first tensor, height and width of the second.
    """

    def __init__(self, offset: int | None = None, **kwargs):
        super().__init__(**kwargs)
        if offset is not None and offset < 0:
            raise ValueError(
                "`offset` must be 0 or more, or `None` for the centre. "
                f"Received: offset={offset}"
            )
        self.offset = offset

    def build(self, input_shape):
        _check_pair(input_shape)
        self._check_sizes(input_shape)

    def call(self, inputs):
        x, like = inputs
        x = ops.cast(x, self.compute_dtype)
        if x.shape[1:3] == like.shape[1:3] and None not in x.shape[1:3]:
            return x
        batch, *sizes, channels = ops.shape(x)
        targets = ops.shape(like)[1:3]
        top, left = (
            (size - target) // 2 if self.offset is None else self.offset
            for size, target in zip(sizes, targets, strict=True)
        )
        # Not by brackets, which make a STRIDED_SLICE of a .tflite file, not a SLICE.
        return ops.slice(x, (0, top, left, 0), (batch, *targets, channels))

    def compute_output_shape(self, input_shape):
        self._check_sizes(input_shape)
        shape, like = input_shape
        return (shape[0], like[1], like[2], shape[3])

    def get_config(self):
        return {**super().get_config(), "offset": self.offset}

    def _check_sizes(self, input_shape):
        shape, like = input_shape
        for size, target in zip(shape[1:3], like[1:3], strict=True):
            if None not in (size, target) and size < target + (self.offset or 0):
                raise ValueError(
                    "The first of `inputs` must be at least as high and as wide as the "
                    "second, behind the `offset`. "
                    f"Received: inputs of shape {shape} and {like}, offset={self.offset}"
                )


def _check_pair(input_shape):
    pair = isinstance(input_shape, list | tuple) and len(input_shape) == 2
    if not pair or any(
        not isinstance(shape, list | tuple) or len(shape) != 4 for shape in input_shape
    ):
        raise ValueError(
            "`inputs` must be a list of two tensors of shape "
            f"`(batch, height, width, channels)`. Received: inputs of shape {input_shape}"
        )


def _check_interpolation(interpolation):
    if interpolation not in ("bilinear", "nearest"):
        raise ValueError(
            '`interpolation` must be "bilinear" or "nearest". '
            f"Received: interpolation={interpolation!r}"
        )


def _resize(x, size, interpolation):
    if all(isinstance(length, int) for length in size):
        return ops.image.resize(x, size, interpolation=interpolation)
    # `ops.image.resize` fails on a size that is known only at run time.
    x = _resize_axis(x, size[0], 1, interpolation)
    return _resize_axis(x, size[1], 2, interpolation)


def _resize_axis(x, size, axis, interpolation):
    if isinstance(size, int) and x.shape[axis] == size:
        return x
    old_size = ops.shape(x)[axis]
    scale = ops.cast(old_size, "float32") / ops.cast(size, "float32")
    centers = (ops.arange(size, dtype="float32") + 0.5) * scale
    if interpolation == "nearest":
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
