"""Farthest point sampling: few points that cover a cloud evenly."""

import math

import keras
from keras import layers, ops

from kseg.layers.checking import check_positive
from kseg.layers.point_checking import check_finite, check_points
from kseg.layers.point_search import coordinates, gather, lowest


@keras.saving.register_keras_serializable(package="kseg.layers")
class FarthestPointSampling(layers.Layer):
    """Samples points each of which is the farthest from those before it.

    The first is point 0. Of equally far points the one of the lowest index is taken. A
    cloud with fewer distinct points than samples repeats point 0 behind them.

    Reference:
    - [PointNet++](https://arxiv.org/abs/1706.02413) (NeurIPS 2017), section 3.2

    Args:
        samples: Number of points to keep.
        **kwargs: Base layer arguments, such as `name` and `dtype`. With `"float32"` the
            samples keep their digits under a policy of half precision; distances are
            always computed in float32.

    Call arguments:
        points: Tensor of shape `(batch, points, channels)`: x, y, z, and any features.

    Output shape:
        `(batch, samples, channels)`.

    Raises:
        ValueError: If there are fewer points than samples, or, called eagerly, if one is
            not finite.
        TypeError: If `samples` is not an integer.
    """

    def __init__(self, samples: int, **kwargs):
        super().__init__(autocast=False, **kwargs)
        check_positive("samples", samples)
        self.samples = samples

    def indices(self, points):
        """Returns the int32 indices of the samples, `(batch, samples)`."""
        xyz = ops.stop_gradient(coordinates(points))

        slots = ops.arange(self.samples, dtype="int32")

        def step(i, state):
            nearest, last, chosen = state
            chosen = ops.where(slots == i, last[:, None], chosen)
            difference = xyz - gather(xyz, last[:, None])
            distances = ops.sum(ops.square(difference), axis=-1)
            nearest = ops.minimum(nearest, distances)
            return nearest, lowest(-nearest)[..., 0], chosen

        nearest = ops.full_like(xyz[..., 0], math.inf)
        last = ops.zeros_like(xyz[:, 0, 0], dtype="int32")
        state = (nearest, last, last[:, None] + 0 * slots)
        return ops.fori_loop(0, self.samples, step, state)[2]

    def call(self, points):
        check_points("points", points.shape, least=self.samples)
        check_finite("points", points)
        return ops.cast(gather(points, self.indices(points)), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        check_points("points", input_shape, least=self.samples)
        return (input_shape[0], self.samples, input_shape[2])

    def get_config(self):
        return {**super().get_config(), "samples": self.samples}
