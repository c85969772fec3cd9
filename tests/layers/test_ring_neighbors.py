"""Rings and their order, against brute force and angles in the tangent plane."""

import re

import numpy as np
import pytest
from keras import ops
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from kseg.layers import NeighborOrdering, RingNeighbors


def cloud(count, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (2, count, channels)).astype("float32")


def indices(layer, *clouds):
    tensors = [ops.convert_to_tensor(x) for x in clouds]
    return ops.convert_to_numpy(layer.indices(*tensors))


@pytest.mark.parametrize("inner,outer", [(0.0, 0.8), (0.3, 0.7), (0.0, 10.0)])
@pytest.mark.parametrize("k", [1, 5, 70])
def test_the_neighbors_are_the_nearest_in_the_ring(inner, outer, k):
    points = cloud(60)
    centers = points[:, :20]
    found = indices(RingNeighbors(k, inner, outer), centers, points)
    for b in range(2):
        # The ring and its order by another library; the tree computes in float64, and
        # no distance of these clouds is within rounding of a radius.
        distances, order = cKDTree(points[b]).query(centers[b], 60)
        for c in range(20):
            near = distances[c]
            ring = order[c][(near >= inner) & (near < outer)][:k]
            if not len(ring):
                ring = np.array([c])
            assert set(found[b, c]) == set(ring)
            assert found[b, c, 0] == ring[-1]
            # What fills up is the point of the lowest index.
            missing = k - len(ring)
            if missing:
                counts = np.bincount(found[b, c], minlength=60)
                assert counts[ring.min()] == missing + 1


def test_the_ring_holds_its_inner_radius_and_not_its_outer_one():
    points = np.float32([[[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]]])
    found = indices(RingNeighbors(4, 1, 3), points[:, :1], points)
    assert found.tolist() == [[[2, 1, 1, 1]]]


def test_rings_of_one_center_do_not_overlap():
    points = cloud(60)
    a = indices(RingNeighbors(60, 0.0, 0.6), points, points)
    b = indices(RingNeighbors(60, 0.6, 1.2), points, points)
    together = indices(RingNeighbors(60, 0.0, 1.2), points, points)
    pairs = 0
    for x, y, both in zip(a[0], b[0], together[0], strict=True):
        assert not set(x) & set(y)
        assert set(x) | set(y) == set(both)
        pairs += 1
    assert pairs == 60


def test_an_empty_ring_gives_the_center_itself():
    points = np.float32([[[0, 0, 0], [1, 0, 0], [9, 0, 0]]])
    outputs = RingNeighbors(3, 0.1, 0.5)([points, points, points])
    expected = np.concatenate([np.zeros_like(points), points], -1)[:, :, None]
    np.testing.assert_array_equal(outputs, np.repeat(expected, 3, axis=2))


def test_duplicates_only_and_a_cloud_of_one_point():
    for count in (1, 6):
        points = np.full((1, count, 3), 0.3, "float32")
        outputs = ops.convert_to_numpy(RingNeighbors(4, 0.0, 0.1)([points, points]))
        np.testing.assert_array_equal(outputs, np.zeros((1, count, 4, 3)))


def test_the_output_is_the_offset_and_the_features():
    points, features = cloud(30), cloud(30, 5, seed=1)
    layer = RingNeighbors(6, 0.0, 0.9)
    outputs = ops.convert_to_numpy(layer([points[:, :4], points, features]))
    found = indices(layer, points[:, :4], points)
    for b in range(2):
        offsets = points[b][found[b]] - points[b, :4, None]
        np.testing.assert_array_equal(outputs[b, ..., :3], offsets)
        np.testing.assert_array_equal(outputs[b, ..., 3:], features[b][found[b]])


@pytest.mark.parametrize("inner,outer", [(0.2, 0.2), (0.3, 0.2), (-0.1, 0.2)])
def test_radii_without_a_ring(inner, outer):
    with pytest.raises(ValueError, match=f"Received: inner_radius={inner}, outer"):
        RingNeighbors(4, inner, outer)


def test_a_radius_that_is_no_number():
    with pytest.raises(TypeError, match="Received: outer_radius='1'"):
        RingNeighbors(4, 0.0, "1")


@pytest.mark.parametrize("which,name", [(0, "centers"), (1, "points")])
def test_what_is_not_finite_is_named_with_its_row(which, name):
    clouds = [cloud(5), cloud(5)]
    clouds[which][1, 3, 2] = np.nan
    with pytest.raises(ValueError, match=rf"Received: {name}\[1, 3\]="):
        RingNeighbors(4, 0.0, 1.0)(clouds)


def angles(neighbors, normal):
    """Angles of neighbours in the tangent plane, counted from the first one."""
    height = neighbors @ normal
    flat = neighbors - height[:, None] * normal
    x = flat[0] / np.linalg.norm(flat[0])
    y = np.cross(normal, x)
    return np.arctan2(flat @ y, flat @ x) % (2 * np.pi)


def with_normals(rng, count):
    normals = rng.normal(size=(1, count, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.concatenate([rng.normal(size=(1, count, 3)), normals], -1).astype(
        "float32"
    )


def test_the_order_is_clockwise_around_the_normal():
    rng = np.random.default_rng(0)
    neighbors = rng.normal(size=(1, 6, 9, 4)).astype("float32")
    centers = with_normals(rng, 6)
    ordered = ops.convert_to_numpy(NeighborOrdering()([neighbors, centers]))
    for before, after, center in zip(neighbors[0], ordered[0], centers[0], strict=True):
        np.testing.assert_array_equal(after[0], before[0])
        assert sorted(after.tolist()) == sorted(before.tolist())
        turn = angles(after[:, :3].astype("float64"), center[3:].astype("float64"))[1:]
        # Seen from the tip of the normal the mathematical angle falls.
        assert (np.diff(turn) < 0).all()


def test_a_rotation_of_cloud_and_normals_changes_nothing():
    rng = np.random.default_rng(1)
    neighbors = rng.normal(size=(1, 6, 9, 3)).astype("float32")
    centers = with_normals(rng, 6)
    turn = Rotation.random(random_state=3).as_matrix().astype("float32")
    layer = NeighborOrdering()
    np.testing.assert_array_equal(
        indices(layer, neighbors @ turn, centers[..., 3:] @ turn),
        indices(layer, neighbors, centers[..., 3:]),
    )


def test_the_opposite_normal_turns_the_order_around():
    rng = np.random.default_rng(1)
    neighbors = rng.normal(size=(1, 6, 9, 3)).astype("float32")
    normals = with_normals(rng, 6)[..., 3:]
    one = indices(NeighborOrdering(), neighbors, normals)
    other = indices(NeighborOrdering(), neighbors, -normals)
    np.testing.assert_array_equal(other[..., 1:], one[..., :0:-1])


def test_the_length_of_a_normal_does_not_count():
    rng = np.random.default_rng(1)
    neighbors = rng.normal(size=(1, 6, 9, 3)).astype("float32")
    normals = with_normals(rng, 6)[..., 3:]
    np.testing.assert_array_equal(
        indices(NeighborOrdering(), neighbors, 1e-3 * normals),
        indices(NeighborOrdering(), neighbors, normals),
    )


def test_a_neighbor_on_the_line_of_the_normal_counts_as_angle_0():
    # Offsets at 0, on the normal, at 90, at the centre and at 270 degrees.
    neighbors = np.float32([[[[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0], [0, -1, 0]]]])
    found = indices(NeighborOrdering(), neighbors, np.float32([[[0, 0, 1]]]))
    assert found.tolist() == [[[0, 1, 3, 4, 2]]]


def test_a_first_neighbor_without_direction_keeps_the_order():
    neighbors = np.float32([[[[0, 0, 2], [0, 1, 0], [1, 0, 0], [0, -1, 0]]]])
    found = indices(NeighborOrdering(), neighbors, np.float32([[[0, 0, 1]]]))
    assert found.tolist() == [[[0, 1, 2, 3]]]


def test_rounding_on_a_slanted_normal_is_no_direction():
    normal = np.float32([0.6, 0.48, 0.64])
    neighbors = np.stack([normal * 0.3, [1, 0, 0], normal * 0.7, [0, 1, 0]])
    found = indices(
        NeighborOrdering(), neighbors[None, None].astype("float32"), normal[None, None]
    )
    assert found.tolist() == [[[0, 1, 2, 3]]]


def test_a_normal_of_zero_orders_by_the_angle_to_the_first():
    degrees = np.radians([0, 100, 20, 300, 170])
    flat = np.stack([np.cos(degrees), np.sin(degrees), 0 * degrees], -1)
    found = indices(
        NeighborOrdering(),
        flat[None, None].astype("float32"),
        np.zeros((1, 1, 3), "float32"),
    )
    assert found.tolist() == [[[0, 2, 3, 1, 4]]]


@pytest.mark.parametrize("which,row", [(0, "neighbors[0, 1, 2]"), (1, "centers[0, 1]")])
def test_orders_nothing_that_is_not_finite(which, row):
    inputs = [np.ones((1, 3, 4, 3), "float32"), np.ones((1, 3, 6), "float32")]
    inputs[which][0, 1, ..., 0] = np.nan if which else [0, 0, np.inf, 0]
    with pytest.raises(ValueError, match=f"Received: {re.escape(row)}="):
        NeighborOrdering()(inputs)


def test_centers_without_normals_are_an_error():
    with pytest.raises(ValueError, match=r"Received: centers.shape=\(1, 2, 3\)"):
        NeighborOrdering()([np.zeros((1, 2, 4, 3)), np.zeros((1, 2, 3))])
