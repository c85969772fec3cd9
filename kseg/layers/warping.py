"""Warping of maps along optical flow, and the mixture of NetWarp."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="kseg.layers")
class Warping2D(layers.Layer):
    """Samples a map where the flow points to, bilinearly.

    ```python
    outputs[y, x] = inputs[y + v, x + u]    # u, v = flow[y, x]
    ```

    The flow is in pixels of the map, `u` to the right in channel 0, `v` down in channel
    1. To bring the map of the frame before onto the current frame, it leads from the
    current frame to the one before: backward flow. For flow of a larger image, scale its
    values along with its size. All of it must be finite: put 0 where it is not known.

    Differentiable in both inputs; at whole numbers the derivative by the flow is that to
    the right and down. `tfa.image.dense_image_warp(image, flow)` is this with the flow
    negated and its channels swapped.

    Reference:
    - [Semantic Video CNNs through Representation Warping](
      https://arxiv.org/abs/1708.03088) (ICCV 2017)

    Args:
        border: What lies outside of the map: `"edge"` repeats its border, `"zeros"` is 0
            all around. Defaults to `"edge"`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: List of the map, of shape `(batch, height, width, channels)`, and the
            flow, of shape `(batch, rows, columns, 2)`.

    Output shape:
        `(batch, rows, columns, channels)`.

    Raises:
        ValueError: If `border` is neither, or the flow has not two channels.
    """

    def __init__(self, border: str = "edge", **kwargs):
        # Positions of pixels are not precise enough in half precision.
        super().__init__(autocast=False, **kwargs)
        if border not in ("edge", "zeros"):
            raise ValueError(
                f'`border` must be "edge" or "zeros". Received: border={border!r}'
            )
        self.border = border

    def build(self, input_shape):
        _check_shapes(input_shape)

    def call(self, inputs):
        x, flow = inputs
        x = ops.cast(x, self.compute_dtype)
        flow = ops.cast(flow, "float32")
        batch, height, width, channels = ops.shape(x)
        _, rows, columns, _ = ops.shape(flow)
        grid_x = ops.reshape(ops.arange(columns, dtype="float32"), (1, 1, -1))
        grid_y = ops.reshape(ops.arange(rows, dtype="float32"), (1, -1, 1))
        corners_x = self._corners(grid_x + flow[..., 0], width)
        corners_y = self._corners(grid_y + flow[..., 1], height)

        flat = ops.reshape(x, (-1, channels))
        first = ops.arange(batch, dtype="int32") * (height * width)
        first = ops.reshape(first, (-1, 1, 1))
        total = 0.0
        for index_y, weight_y in corners_y:
            for index_x, weight_x in corners_x:
                values = ops.take(flat, first + index_y * width + index_x, axis=0)
                weight = ops.cast(weight_y * weight_x, x.dtype)
                total = total + ops.expand_dims(weight, -1) * values
        return total

    def _corners(self, position, size):
        """Indices of the two pixels beside a position, and their weights."""
        last = ops.cast(size - 1, "float32")
        if self.border == "edge":
            position = ops.clip(position, 0.0, last)
        lower = ops.stop_gradient(ops.floor(position))
        share = position - lower
        corners = []
        for index, weight in ((lower, 1.0 - share), (lower + 1.0, share)):
            inside = ops.clip(index, 0.0, last)
            if self.border == "zeros":
                weight = weight * ops.cast(ops.equal(index, inside), "float32")
            corners.append((ops.cast(inside, "int32"), weight))
        return corners

    def compute_output_shape(self, input_shape):
        shape, flow = input_shape
        return (shape[0], flow[1], flow[2], shape[3])

    def get_config(self):
        return {**super().get_config(), "border": self.border}


@keras.saving.register_keras_serializable(package="kseg.layers")
class WarpedSum2D(layers.Layer):
    """Mixes the features of a frame with the warped ones of the frame before.

    Computes `w1 * current + w2 * warped`, with one weight per channel for each, and
    `current` alone where no frame came before.

    Reference:
    - [Semantic Video CNNs through Representation Warping](
      https://arxiv.org/abs/1708.03088) (ICCV 2017)

    Args:
        initial_weights: Values that all `w1` and all `w2` begin with. The default
            `(1.0, 0.0)` changes nothing yet.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: List of three tensors: `current` and `warped`, of shape `(batch, height,
            width, channels)`, and `started` of shape `(batch, 1)`: 1 where a frame came
            before, else 0.

    Output shape:
        The shape of `current`.
    """

    def __init__(self, initial_weights: tuple = (1.0, 0.0), **kwargs):
        super().__init__(**kwargs)
        if not isinstance(initial_weights, list | tuple) or len(initial_weights) != 2:
            raise ValueError(
                "`initial_weights` must be two numbers, for the current frame and for "
                f"the one before. Received: initial_weights={initial_weights!r}"
            )
        self.initial_weights = tuple(initial_weights)

    def build(self, input_shape):
        channels = input_shape[0][-1]
        self.w1, self.w2 = (
            self.add_weight(
                shape=(channels,),
                initializer=keras.initializers.Constant(value),
                name=name,
            )
            for name, value in zip(("w1", "w2"), self.initial_weights, strict=True)
        )

    def call(self, inputs):
        current, warped, started = inputs
        started = ops.reshape(started, (-1, 1, 1, 1))
        change = (self.w1 - 1.0) * current + self.w2 * warped
        return current + started * change

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return {**super().get_config(), "initial_weights": self.initial_weights}


def _check_shapes(input_shape):
    pair = isinstance(input_shape, list | tuple) and len(input_shape) == 2
    if not pair or any(
        not isinstance(shape, list | tuple) or len(shape) != 4 for shape in input_shape
    ):
        raise ValueError(
            "`inputs` must be a list of a map and a flow, both of shape `(batch, height, "
            f"width, channels)`. Received: inputs of shape {input_shape}"
        )
    if input_shape[1][-1] != 2:
        raise ValueError(
            "The flow must have 2 channels, to the right and down. "
            f"Received: flow of shape {tuple(input_shape[1])}"
        )
