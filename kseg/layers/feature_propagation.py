"""Features of few points, carried over to many."""

import keras
from keras import layers, ops

from kseg.layers.checking import check_positive
from kseg.layers.point_checking import check_finite, check_points
from kseg.layers.point_search import gather, nearest


@keras.saving.register_keras_serializable(package="kseg.layers")
class FeaturePropagation(layers.Layer):
    """Interpolates features from the nearest centres, by inverse squared distance.

    Formula:

    ```
    feature(p) = sum_i w_i * feature_i / sum_i w_i,  w_i = 1 / max(|p - c_i|^2, 1e-10)
    ```

    over the `k` nearest centres `c_i`, or all if there are fewer; a single centre's
    feature is copied. No gradient flows into the coordinates.

    Reference:
    - [PointNet++](https://arxiv.org/abs/1706.02413) (NeurIPS 2017), section 3.4, eq. 2

    Args:
        k: Number of centres to interpolate from. Defaults to `3`.
        **kwargs: Base layer arguments, such as `name` and `dtype`. Weights are always
            computed in float32.

    Call arguments:
        inputs: List of the points `(batch, points, channels)`, the centres
            `(batch, centers, channels)`, both with x, y, z first, and the features of the
            centres, `(batch, centers, features)`.

    Output shape:
        `(batch, points, features)`.

    Raises:
        ValueError: If an input has no such shape, or, called eagerly, if a coordinate is
            not finite.
        TypeError: If `k` is not an integer.
    """

    def __init__(self, k: int = 3, **kwargs):
        super().__init__(autocast=False, **kwargs)
        check_positive("k", k)
        self.k = k

    def call(self, inputs):
        points, centers, features = inputs
        _check_clouds([x.shape for x in inputs])
        check_finite("points", points)
        check_finite("centers", centers)
        distances, index = nearest(points, centers, self.k)
        weights = 1 / ops.maximum(distances, 1e-10)
        weights = weights / ops.sum(weights, axis=-1, keepdims=True)
        weights = ops.cast(weights, self.compute_dtype)[..., None]
        rows = gather(ops.cast(features, self.compute_dtype), index)
        return ops.sum(weights * rows, axis=2)

    def compute_output_shape(self, input_shape):
        _check_clouds(input_shape)
        points, _, features = input_shape
        return (*points[:2], features[-1])

    def get_config(self):
        return {**super().get_config(), "k": self.k}


def _check_clouds(shapes):
    points, centers, features = shapes
    check_points("points", points)
    check_points("centers", centers)
    check_points("features", features, channels=1)
    counts = {centers[1], features[1]} - {None}
    if len(counts) > 1:
        raise ValueError(
            "`features` must have one row per centre. "
            f"Received: features.shape={tuple(features)}, "
            f"centers.shape={tuple(centers)}"
        )
