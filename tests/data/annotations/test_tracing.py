import numpy as np
import pytest
import shapely
from scipy import ndimage

from kseg.data.annotations.rasterizing import fill_polygon
from kseg.data.annotations.tracing import simplify, trace

RNG = np.random.default_rng(5)


def masks():
    noise = RNG.integers(0, 3, (23, 31)).astype(np.uint8)
    smooth = ndimage.gaussian_filter(RNG.normal(size=(60, 80)), 4)
    return {
        "noise": noise,
        "smooth": np.digitize(smooth, [-0.05, 0.0, 0.05]),
        "checkers": np.indices((6, 7)).sum(0) % 2,
        "one class": np.ones((4, 5), int),
        "one pixel": np.array([[3]]),
        "ring": np.pad(np.pad(np.zeros((2, 2), int), 1, constant_values=1), 1),
        "diagonal": np.eye(5, dtype=int),
        "C": np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]),
        "8": np.array([[1, 1, 1, 0], [1, 0, 1, 1], [1, 1, 0, 1], [0, 1, 1, 1]]),
    }


@pytest.mark.parametrize("name", masks())
def test_rings_give_back_the_pixels(name):
    mask = masks()[name]
    count = np.zeros(mask.shape, int)
    for region in trace(mask):
        window = fill_polygon(region.rings, *mask.shape)
        assert (mask[window.slices][window.inside] == region.class_id).all()
        assert window.inside.sum() == region.area
        count[window.slices] += window.inside
    assert (count == 1).all()


@pytest.mark.parametrize("name", masks())
def test_rings_are_valid_polygons_of_shapely(name):
    mask = masks()[name]
    for region in trace(mask):
        outer, *holes = region.rings
        polygon = shapely.Polygon(outer)
        assert region.outer_area == polygon.area
        assert polygon.area - sum(shapely.Polygon(h).area for h in holes) == region.area
        # Corners only: each point is a turn.
        steps = np.sign(np.diff(outer, axis=0, append=outer[:1]))
        assert (steps != np.roll(steps, 1, axis=0)).any(1).all()


def test_number_of_regions_is_that_of_scipy():
    mask = masks()["noise"]
    expected = sum(ndimage.label(mask == i)[1] for i in range(3))
    assert len(list(trace(mask))) == expected


def test_square_goes_clockwise_from_its_upper_left():
    mask = np.zeros((5, 6), int)
    mask[1:3, 2:5] = 7
    (region,) = [r for r in trace(mask) if r.class_id == 7]
    assert region.rings[0].tolist() == [[2, 1], [5, 1], [5, 3], [2, 3]]


def test_simplified_outline_stays_within_its_tolerance():
    mask = masks()["smooth"]
    for region in trace(mask):
        ring = region.rings[0]
        for tolerance in (0.75, 2.0):
            found = simplify(ring, tolerance)
            assert len(found) <= len(ring)
            line = shapely.LinearRing(ring)
            far = shapely.hausdorff_distance(line, shapely.LinearRing(found))
            assert far <= tolerance + 1e-9 or len(found) == len(ring)
    assert len(simplify(ring, 0)) == len(ring)


def test_staircase_becomes_a_triangle():
    mask = np.tril(np.ones((20, 20), int))
    (region,) = [r for r in trace(mask) if r.class_id == 1]
    assert len(region.rings[0]) == 2 * 20 + 2  # two per step, and the two far corners
    assert len(simplify(region.rings[0], 0.75)) <= 5


def test_ring_that_would_vanish_is_kept():
    ring = np.array([[0, 0], [2, 0], [2, 1], [0, 1]])
    np.testing.assert_array_equal(simplify(ring, 50), ring)
