"""Neighbours in a ring, and their order around the normal, as in A-CNN."""

import math
from numbers import Real

import keras
from keras import layers, ops

from kseg.layers.checking import check_positive
from kseg.layers.point_checking import check_finite, check_points
from kseg.layers.point_search import at_most, coordinates, gather, lowest, search


@keras.saving.register_keras_serializable(package="kseg.layers")
class RingNeighbors(layers.Layer):
    """Gathers for each centre the nearest points within a ring.

    A point at distance `d` is in the ring if `inner_radius <= d < outer_radius`. The
    neighbours are the `k` nearest of these, of which the farthest stands first (it is the
    reference of `NeighborOrdering`). If the ring has fewer points, the one of the lowest
    index fills the other places. If it has none, the point nearest to the centre fills
    them all: the centre itself, where it is one of the points. So the order of the points
    counts where a ring has fewer than `k`, and nowhere else.

    Reference:
    - [A-CNN](https://arxiv.org/abs/1904.08017) (CVPR 2019), section 3.1

    Args:
        k: Number of neighbours.
        inner_radius: Radius at which the ring begins, in the unit of the points.
        outer_radius: Radius before which it ends.
        **kwargs: Base layer arguments, such as `name` and `dtype`. Distances and
            offsets are always computed in float32.

    Call arguments:
        inputs: List of the centres `(batch, centers, channels)` and the points
            `(batch, points, channels)`, both with x, y, z first, and, if there are, the
            features of the points `(batch, points, features)`.

    Output shape:
        `(batch, centers, k, 3 + features)`: the offset from the centre, and the features.

    Raises:
        ValueError: If the ring is empty by its radii, or, called eagerly, if a coordinate
            is not finite.
        TypeError: If `k` is not an integer, or a radius no number.
    """

    def __init__(self, k: int, inner_radius: float, outer_radius: float, **kwargs):
        super().__init__(autocast=False, **kwargs)
        check_positive("k", k)
        for name, radius in (
            ("inner_radius", inner_radius),
            ("outer_radius", outer_radius),
        ):
            if not isinstance(radius, Real):
                raise TypeError(
                    f"`{name}` must be a number. Received: {name}={radius!r}"
                )
        if not 0 <= inner_radius < outer_radius:
            raise ValueError(
                "`inner_radius` must be at least 0 and less than `outer_radius`. "
                f"Received: inner_radius={inner_radius}, outer_radius={outer_radius}"
            )
        self.k = k
        self.inner_radius = inner_radius
        self.outer_radius = outer_radius

    def indices(self, centers, points):
        """Returns the int32 indices of the neighbours, `(batch, centers, k)`."""
        most = at_most(self.k, points)
        slots = ops.arange(self.k)

        def select(squared):
            distances = ops.sqrt(squared)
            inside = ops.logical_and(
                distances >= self.inner_radius, distances < self.outer_radius
            )
            negative, index = ops.top_k(ops.where(inside, -squared, -math.inf), most)
            index, valid = ops.cast(index, "int32"), negative > -math.inf
            found = ops.sum(ops.cast(valid, "int32"), axis=-1, keepdims=True)
            first = ops.min(ops.where(valid, index, 2**31 - 1), axis=-1, keepdims=True)
            filling = ops.where(found > 0, first, lowest(squared))
            index = ops.take(index, ops.minimum(slots, most - 1), axis=-1)
            index = ops.where(slots < found, index, filling)
            last = ops.maximum(found - 1, 0)
            farthest = ops.take_along_axis(index, last, axis=-1)
            index = ops.where(slots == last, index[..., :1], index)
            return ops.where(slots == 0, farthest, index)

        return search(centers, points, select)

    def call(self, inputs):
        centers, points, *features = inputs
        _check_clouds([x.shape for x in inputs])
        check_finite("centers", centers)
        check_finite("points", points)
        index = self.indices(centers, points)
        offsets = gather(coordinates(points), index)
        offsets = offsets - coordinates(centers)[:, :, None]
        parts = [ops.cast(offsets, self.compute_dtype)]
        parts += [gather(ops.cast(x, self.compute_dtype), index) for x in features]
        return ops.concatenate(parts, axis=-1)

    def compute_output_shape(self, input_shape):
        _check_clouds(input_shape)
        centers, _, *features = input_shape
        channels = 3 + sum(shape[-1] for shape in features)
        return (*centers[:2], self.k, channels)

    def get_config(self):
        return {
            **super().get_config(),
            "k": self.k,
            "inner_radius": self.inner_radius,
            "outer_radius": self.outer_radius,
        }


def _check_clouds(shapes):
    check_points("centers", shapes[0])
    check_points("points", shapes[1])
    for shape in shapes[2:]:
        check_points("features", shape, channels=1)


@keras.saving.register_keras_serializable(package="kseg.layers")
class NeighborOrdering(layers.Layer):
    """Orders neighbours by their angle around the normal of their centre.

    They are projected on the plane through the centre that is orthogonal to the normal.
    The first stays where it is, as the direction from which the angle is counted; the
    others follow clockwise, seen from the tip of the normal. So normals must point to one
    side of the surface. A rotation of cloud and normals changes nothing.

    A neighbour that has no direction, because it lies on the line of the normal, counts
    as angle 0, and so do all if the first one lies there; equal angles keep their order.
    Normals need not have length 1; around one of length 0 nothing is projected, and the
    angle to the first neighbour, 0 to 180 degrees, gives the order.

    Reference:
    - [A-CNN](https://arxiv.org/abs/1904.08017) (CVPR 2019), section 3.2

    Args:
        **kwargs: Base layer arguments, such as `name` and `dtype`. Angles are always
            computed in float32.

    Call arguments:
        inputs: List of the neighbours `(batch, centers, k, channels)`, offsets from the
            centre first, as `RingNeighbors` returns them, and the centres
            `(batch, centers, channels)` with x, y, z and the normal first.

    Output shape:
        The shape of the neighbours.

    Raises:
        ValueError: If the centres have no normals.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def indices(self, neighbors, normals):
        """Returns the int32 order of the neighbours, `(batch, centers, k)`."""
        normal = _unit(ops.cast(normals, "float32"))[:, :, None]
        offset = ops.cast(neighbors[..., :3], "float32")
        offset, normal = ops.stop_gradient(offset), ops.stop_gradient(normal)
        height = ops.sum(offset * normal, axis=-1, keepdims=True)
        flat = offset - height * normal
        # What rounding leaves of a neighbour on the line of the normal is no direction.
        length = _length(offset)
        direction = ops.where(_length(flat) > 1e-6 * length, _unit(flat), 0.0)
        reference = direction[:, :, :1]
        cosine = ops.sum(direction * reference, axis=-1)
        side = _cross(reference, normal)
        turn = ops.sum(direction * side, axis=-1)
        key = ops.where(turn >= 0, cosine, -cosine - 2)
        both = _length(direction)[..., 0] * _length(reference)[..., 0]
        key = ops.where(both > 0, key, 1.0)
        first = ops.arange(ops.shape(key)[-1]) == 0
        return ops.argsort(ops.where(first, -math.inf, -key), axis=-1)

    def call(self, inputs):
        neighbors, centers = inputs
        _check_normals(centers.shape)
        check_finite("neighbors", neighbors)
        check_finite("centers", centers)
        order = self.indices(neighbors, centers[..., 3:6])
        ordered = _reordered(neighbors, order)
        return ops.cast(ordered, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        neighbors, centers = input_shape
        _check_normals(centers)
        return tuple(neighbors)

    def get_config(self):
        return super().get_config()


def _check_normals(shape):
    if len(shape) != 3 or shape[-1] is None or shape[-1] < 6:
        raise ValueError(
            "`centers` must have the shape `(batch, centers, channels)`, with x, y, z and "
            "the normal as the first 6 channels; `kseg.layers.PointNormals` estimates "
            f"normals. Received: centers.shape={tuple(shape)}"
        )


def _reordered(neighbors, order):
    """Rows of `(batch, centers, k, channels)` along the third axis."""
    _, centers, k, channels = ops.shape(neighbors)
    rows = ops.reshape(neighbors, (-1, neighbors.shape[2], neighbors.shape[3]))
    order = ops.reshape(ops.cast(order, "int32"), (-1, neighbors.shape[2]))
    return ops.reshape(gather(rows, order), (-1, centers, k, channels))


def _length(vectors):
    return ops.sqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True))


def _cross(a, b):
    """The cross product, of operations that LiteRT has too."""
    (ax, ay, az), (bx, by, bz) = (
        [vectors[..., i : i + 1] for i in range(3)] for vectors in (a, b)
    )
    return ops.concatenate(
        [ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1
    )


def _unit(vectors):
    length = _length(vectors)
    return vectors / ops.where(length > 0, length, 1.0)
