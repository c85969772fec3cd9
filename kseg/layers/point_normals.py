"""Normals of a point cloud."""

from numbers import Real

import keras
from keras import layers, ops

from kseg.layers.checking import check_positive
from kseg.layers.point_checking import check_finite, check_points
from kseg.layers.point_search import coordinates, gather, nearest


@keras.saving.register_keras_serializable(package="kseg.layers")
class PointNormals(layers.Layer):
    """Estimates the normal of the surface at each point, turned to a viewpoint.

    It is the eigenvector of the smallest eigenvalue of the covariance of the `k` nearest
    points, the point itself included, or of all points if there are fewer. Points that
    span no plane (one point, duplicates only, a line) have the normal `(0, 0, 0)`.

    Reference:
    - [Surface reconstruction from unorganized points](
      https://doi.org/10.1145/133994.134011) (SIGGRAPH 1992), section 3.3

    Args:
        k: Number of points that make up the neighbourhood. Defaults to `10`.
        viewpoint: Point `(x, y, z)` from which the surface was seen: each normal forms an
            angle of at most 90 degrees with the way there. Defaults to `(0, 0, 0)`.
        **kwargs: Base layer arguments, such as `name` and `dtype`. Normals are always
            computed in float32.

    Call arguments:
        points: Tensor of shape `(batch, points, channels)`, x, y, z first.

    Output shape:
        `(batch, points, 3)`, without a gradient.

    Raises:
        ValueError: If `viewpoint` is no point, or, called eagerly, if a point is not
            finite.
        TypeError: If `k` is not an integer.
    """

    def __init__(self, k: int = 10, viewpoint: tuple = (0.0, 0.0, 0.0), **kwargs):
        super().__init__(autocast=False, **kwargs)
        check_positive("k", k)
        if (
            not isinstance(viewpoint, tuple | list)
            or len(viewpoint) != 3
            or not all(isinstance(x, Real) for x in viewpoint)
        ):
            raise ValueError(
                "`viewpoint` must be three numbers `(x, y, z)`. "
                f"Received: viewpoint={viewpoint!r}"
            )
        self.k = k
        self.viewpoint = tuple(viewpoint)

    def call(self, points):
        check_points("points", points.shape)
        check_finite("points", points)
        xyz = ops.stop_gradient(coordinates(points))
        _, index = nearest(xyz, xyz, self.k)
        # Relative to the point, lest distant coordinates swallow the small differences.
        offsets = gather(xyz, index) - xyz[:, :, None]
        offsets = offsets - ops.mean(offsets, axis=2, keepdims=True)
        covariance = ops.matmul(ops.transpose(offsets, (0, 1, 3, 2)), offsets)
        values, vectors = ops.linalg.eigh(covariance)
        normals = vectors[..., 0]
        # Two directions of different size are needed, up to rounding, for a plane.
        plane = values[..., 1:2] > 1e-6 * values[..., 2:]
        view = ops.convert_to_tensor(self.viewpoint, dtype="float32") - xyz
        away = ops.sum(normals * view, axis=-1, keepdims=True) < 0
        normals = ops.where(away, -normals, normals)
        return ops.cast(ops.where(plane, normals, 0.0), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        check_points("points", input_shape)
        return (*input_shape[:2], 3)

    def get_config(self):
        return {**super().get_config(), "k": self.k, "viewpoint": self.viewpoint}
