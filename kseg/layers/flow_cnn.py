"""FlowCNN of NetWarp: optical flow, transformed for the warping of features."""

import keras
from keras import layers, ops

from kseg.layers.warping import Warping2D


@keras.saving.register_keras_serializable(package="kseg.layers")
class FlowCNN(layers.Layer):
    """Transforms optical flow by what the two frames look like.

    Three 3x3 convolutions of 16, 32 and 2 filters, ReLU between them, read flow and
    frames; a last one mixes their result with the flow. It starts as the identity: the
    third convolution has zeros, the last one adds its result to the flow.

    Reference:
    - [Semantic Video CNNs through Representation Warping](
      https://arxiv.org/abs/1708.03088) (ICCV 2017), and its published nets

    Args:
        variant: `"paper"` reads flow, both frames and their difference, 11 channels for
            RGB, and ends in a 3x3 convolution. `"release"`, as the published nets, reads
            flow, the current frame and the warped one before, 8 channels, and ends in a
            1x1 convolution. Defaults to `"paper"`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: List of three tensors: the flow from the current frame to the one before,
            of shape `(batch, height, width, 2)`, in pixels, as `kseg.layers.Warping2D`
            takes it; the current frame and the one before, of shape `(batch, height,
            width, channels)`, at the size of the flow.

    Output shape:
        The shape of the flow.

    Raises:
        ValueError: If `variant` is neither of the two.
    """

    def __init__(self, variant: str = "paper", **kwargs):
        super().__init__(**kwargs)
        if variant not in ("paper", "release"):
            raise ValueError(
                f'`variant` must be "paper" or "release". Received: variant={variant!r}'
            )
        self.variant = variant

    def build(self, input_shape):
        flow, image, _ = (tuple(shape) for shape in input_shape)
        channels = 2 + image[-1] * (3 if self.variant == "paper" else 2)
        x = (*flow[:-1], channels)
        for number, filters in enumerate((16, 32, 2), 1):
            conv = layers.Conv2D(
                filters,
                3,
                padding="same",
                activation="relu" if number < 3 else None,
                kernel_initializer="zeros" if number == 3 else "he_normal",
                dtype=self.dtype_policy,
                name=f"conv{number}",
            )
            conv.build(x)
            setattr(self, conv.name, conv)
            x = (*flow[:-1], filters)
        self.mix = layers.Conv2D(
            2,
            3 if self.variant == "paper" else 1,
            padding="same",
            kernel_initializer=_sum_of_pairs,
            dtype=self.dtype_policy,
            name="mix",
        )
        self.mix.build((*flow[:-1], 4))
        self.warp = Warping2D(dtype=self.dtype_policy, name="warp")

    def call(self, inputs):
        flow, image, previous = inputs
        if self.variant == "paper":
            seen = [flow, image, previous, image - previous]
        else:
            seen = [flow, image, self.warp([previous, flow])]
        x = self.conv1(ops.concatenate(seen, axis=-1))
        x = self.conv3(self.conv2(x))
        return self.mix(ops.concatenate([x, flow], axis=-1))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def get_config(self):
        return {**super().get_config(), "variant": self.variant}


def _sum_of_pairs(shape, dtype=None):
    """Kernel whose output is the sum of channels 0 and 2, and that of 1 and 3."""
    pairs = ops.tile(ops.eye(2, dtype=dtype), (2, 1))
    centre = shape[0] // 2
    edges = (centre, shape[0] - 1 - centre)
    return ops.pad(pairs[None, None], (edges, edges, (0, 0), (0, 0)))
