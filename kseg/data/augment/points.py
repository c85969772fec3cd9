"""Random changes of point clouds, together with their labels.

Each transform takes a cloud, its labels and a `numpy.random.Generator`, and returns the
new cloud and its labels. Clouds are float32 arrays of shape `(points, channels)` that
begin with x, y and z; labels have shape `(points,)`, or `()` for one of the whole cloud.
"""

import math

import numpy as np

from kseg.data.augment.transform import check_probability, check_range


class PointTransform:
    """A random change of a point cloud. A subclass implements `change`.

    Call arguments:
        points: float32 array of shape `(points, channels)`, x, y, z first.
        labels: Integer array of shape `(points,)` or `()`.
        rng: `numpy.random.Generator` to draw from.

    Returns:
        A pair of points and labels, as many as before; what was passed in is not
        changed.
    """

    def change(self, points, labels, rng):
        """Returns points and labels changed; `points` is a copy to write to."""
        raise NotImplementedError

    def __call__(self, points, labels, rng):
        points, labels = np.array(points, "float32"), np.asarray(labels)
        fits = points.ndim == 2 and points.shape[1] >= 3
        if not fits or labels.shape not in ((), points.shape[:1]):
            raise ValueError(
                "`points` must have shape (points, 3 or more), `labels` one label for "
                "each point or one for all. Received: points of shape "
                f"{points.shape}, labels of shape {labels.shape}"
            )
        return self.change(points, labels, rng)


class Compose(PointTransform):
    """Transforms of points, one after the other.

    Args:
        transforms: Transforms of `kseg.data.augment.points`.
    """

    def __init__(self, transforms=()):
        self.transforms = tuple(transforms)
        for transform in self.transforms:
            if not isinstance(transform, PointTransform):
                raise TypeError(
                    "`transforms` must be transforms of `kseg.data.augment.points`. "
                    f"Received: transforms={self.transforms}"
                )

    def change(self, points, labels, rng):
        for transform in self.transforms:
            points, labels = transform(points, labels, rng)
        return points, labels


class RandomRotation(PointTransform):
    """Turns the cloud about the origin, and its normals with it.

    Args:
        axis: `"x"`, `"y"` or `"z"`, the one that points up, to turn about; `None` turns
            freely, all orientations alike. Rooms and the meshes of ModelNet40 have z
            up, ShapeNet has y.
        degrees: Largest angle about `axis`, to either side.
        normals: First of the three channels that hold normals, or `None` for none.
    """

    def __init__(self, axis="z", degrees=180.0, normals=None):
        if axis not in ("x", "y", "z", None):
            raise ValueError(
                f"`axis` must be 'x', 'y', 'z' or None. Received: axis={axis!r}"
            )
        if degrees < 0 or (axis is None and degrees != 180):
            raise ValueError(
                "`degrees` must not be negative, and 180 where `axis` is None. "
                f"Received: degrees={degrees}"
            )
        if normals is not None and normals < 3:
            raise ValueError(
                "`normals` must be a channel after x, y and z, 3 or more, or None. "
                f"Received: normals={normals}"
            )
        self.axis = axis
        self.degrees = degrees
        self.normals = normals

    def change(self, points, labels, rng):
        rotation = self._draw(rng)
        firsts = (0,) if self.normals is None else (0, self.normals)
        for first in firsts:
            if points.shape[1] < first + 3:
                raise ValueError(
                    "`normals` must name the first of three channels of the points. "
                    f"Received: normals={first}, points of shape {points.shape}"
                )
            vectors = points[:, first : first + 3].astype("float64")
            points[:, first : first + 3] = vectors @ rotation.T
        return points, labels

    def _draw(self, rng):
        if self.axis is None:
            # A normal vector in four dimensions has no direction that it prefers, so as
            # a quaternion it makes all rotations alike.
            w, *xyz = rng.standard_normal(4)
            return _rotation(w, np.array(xyz))
        angle = math.radians(rng.uniform(-self.degrees, self.degrees))
        axis = np.eye(3)["xyz".index(self.axis)]
        return _rotation(math.cos(angle / 2), math.sin(angle / 2) * axis)


class RandomJitter(PointTransform):
    """Moves every point on its own, by cut-off normal noise.

    Reference:
    - [PointNet](https://arxiv.org/abs/1612.00593) (CVPR 2017), section 5.1: 0.02 in the
      text; 0.01, cut off at 0.05, in the authors' code

    Args:
        sigma: Standard deviation, in the unit of the points.
        limit: Where the noise is cut off.
    """

    def __init__(self, sigma=0.01, limit=0.05):
        if sigma < 0 or limit < 0:
            raise ValueError(
                "`sigma` and `limit` must not be negative. "
                f"Received: sigma={sigma}, limit={limit}"
            )
        self.sigma = sigma
        self.limit = limit

    def change(self, points, labels, rng):
        noise = self.sigma * rng.standard_normal((len(points), 3))
        points[:, :3] += noise.clip(-self.limit, self.limit).astype("float32")
        return points, labels


class RandomScale(PointTransform):
    """Enlarges or shrinks the cloud about the origin.

    Args:
        scale: Pair, the range of the factor.
    """

    def __init__(self, scale=(0.8, 1.25)):
        self.scale = check_range("scale", scale, 1e-6)

    def change(self, points, labels, rng):
        points[:, :3] *= np.float32(rng.uniform(*self.scale))
        return points, labels


class RandomDropout(PointTransform):
    """Takes points away; others stand in for them, so that the number stays.

    Reference:
    - [PointNet++](https://arxiv.org/abs/1706.02413) (NeurIPS 2017), section 3.3: a
      share drawn up to 0.875. There the first point stands in for all that are taken
      away, here points that stay are drawn for them, as no point is like another with
      labels.

    Args:
        share: Largest share of the points that is taken away, below 1.
    """

    def __init__(self, share=0.875):
        check_probability("share", share)
        if share == 1:
            raise ValueError("`share` must be below 1. Received: share=1")
        self.share = share

    def change(self, points, labels, rng):
        share = rng.uniform(0, self.share)
        gone = rng.random(len(points)) < share
        stand_ins = rng.random(len(points))
        left = np.flatnonzero(~gone)
        if not len(left):
            return points, labels
        chosen = np.arange(len(points))
        chosen[gone] = left[(stand_ins[gone] * len(left)).astype(int)]
        return points[chosen], labels[chosen] if labels.ndim else labels


def standard(*, axis="z", normals=None) -> Compose:
    """Makes the default recipe: rotation about the up axis, scale, jitter, dropout.

    Args:
        axis: The axis that points up, see `RandomRotation`.
        normals: First of the three channels that hold normals, or `None`.

    Returns:
        A `kseg.data.augment.points.Compose`.
    """
    return Compose(
        [
            RandomRotation(axis, normals=normals),
            RandomScale(),
            RandomJitter(),
            RandomDropout(),
        ]
    )


def _rotation(w, xyz):
    """The matrix of a quaternion, which need not be of length 1."""
    w, x, y, z = np.array([w, *xyz]) / math.hypot(w, *xyz)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
