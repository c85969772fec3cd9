"""Normals of surfaces that are known, and of clouds that have none."""

import numpy as np
import pytest
from keras import ops

from kseg.layers import PointNormals


def normals(points, **arguments):
    points = np.asarray(points, "float32")[None]
    return ops.convert_to_numpy(PointNormals(**arguments)(points))[0]


def plane(count=60):
    """Points on a slanted plane, and its normal."""
    rng = np.random.default_rng(0)
    normal = np.array([0.6, 0.48, 0.64])
    a = np.cross(normal, [0, 0, 1])
    a /= np.linalg.norm(a)
    b = np.cross(normal, a)
    return rng.uniform(-1, 1, (count, 2)) @ [a, b], normal


@pytest.mark.parametrize("side", [1, -1])
def test_a_plane_turns_to_the_viewpoint(side):
    points, normal = plane()
    found = normals(points, viewpoint=tuple(5.0 * side * normal))
    np.testing.assert_allclose(found, np.tile(side * normal, (60, 1)), atol=1e-4)


def test_a_plane_far_from_the_origin():
    points, normal = plane()
    found = normals(points + 100 * normal)
    # Single precision leaves 1e-5 of the coordinates there.
    np.testing.assert_allclose(found, np.tile(-normal, (60, 1)), atol=1e-2)


@pytest.mark.parametrize("viewpoint,side", [((0, 0, 0), -1), ((0, 0, 50), None)])
def test_a_sphere(viewpoint, side):
    # A spiral covers the sphere evenly.
    i = np.arange(1500) + 0.5
    z, turn = 1 - 2 * i / 1500, np.pi * (1 + 5**0.5) * i
    r = np.sqrt(1 - z**2)
    sphere = np.stack([r * np.cos(turn), r * np.sin(turn), z], -1)
    found = normals(sphere, viewpoint=viewpoint)
    cosine = (found * sphere).sum(-1)
    assert np.abs(cosine).min() > np.cos(np.radians(5))
    if side is not None:
        assert (np.sign(cosine) == side).all()
    else:
        assert ((found * (np.array(viewpoint) - sphere)).sum(-1) >= 0).all()


def test_equals_the_smallest_eigenvector_in_double_precision():
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(40, 3)) * [3, 1, 0.2]).astype("float32")
    found = normals(points, k=8)
    for point, normal in zip(points, found, strict=True):
        near = np.argsort(((points - point) ** 2).sum(-1))[:8]
        _, vectors = np.linalg.eigh(np.cov(points[near].astype("float64").T))
        assert abs(normal @ vectors[:, 0]) > 1 - 1e-5
        assert normal @ -point >= 0


@pytest.mark.parametrize(
    "points",
    [
        [[1, 2, 3]],
        [[0.3, 0.1, 0.7]] * 12,
        np.linspace(-1, 1, 20)[:, None] * [0.3, 0.5, 0.8] + [0.1, 0.2, 0.3],
    ],
    ids=["one_point", "duplicates_only", "a_line"],
)
def test_what_spans_no_plane_has_the_normal_zero(points):
    np.testing.assert_array_equal(normals(points), np.zeros((len(points), 3)))


def test_fewer_points_than_neighbors_take_all():
    points, normal = plane(4)
    found = normals(points, viewpoint=tuple(normal))
    np.testing.assert_allclose(found, np.tile(normal, (4, 1)), atol=1e-4)


def test_what_is_not_finite_is_named_with_its_row():
    points, _ = plane()
    points[7, 0] = np.nan
    with pytest.raises(ValueError, match=r"Received: points\[0, 7\]="):
        normals(points)


@pytest.mark.parametrize("viewpoint", [3, (0, 0), (0, 0, "1")])
def test_a_viewpoint_that_is_no_point(viewpoint):
    with pytest.raises(ValueError, match="Received: viewpoint="):
        PointNormals(viewpoint=viewpoint)
