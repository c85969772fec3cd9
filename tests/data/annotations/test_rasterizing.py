import numpy as np
import pytest
import shapely
from shapely import affinity

from kseg.data.annotations.rasterizing import (
    fill_bitmap,
    fill_ellipse,
    fill_polygon,
    fill_stroke,
)

RNG = np.random.default_rng(0)
SIZE = (37, 53)
ROWS, COLUMNS = np.mgrid[: SIZE[0], : SIZE[1]]
CENTERS = shapely.points(COLUMNS + 0.5, ROWS + 0.5)


def drawn(window, size=SIZE):
    inside = np.zeros(size, bool)
    inside[window.slices] = window.inside
    return inside


def star(count, center=(26, 18), radius=30):
    """A simple polygon with generic coordinates that reaches beyond the picture."""
    angle = np.sort(RNG.uniform(0, 2 * np.pi, count))
    reach = RNG.uniform(0.2, 1, count) * radius
    return np.stack([np.cos(angle) * reach, np.sin(angle) * reach], 1) + center


@pytest.mark.parametrize("count", [3, 4, 7, 30, 400])
def test_pixels_are_those_whose_centres_shapely_finds_inside(count):
    ring = star(count)
    expected = shapely.contains(shapely.Polygon(ring), CENTERS)
    np.testing.assert_array_equal(drawn(fill_polygon([ring], *SIZE)), expected)


@pytest.mark.parametrize("turn", [1, -1])
def test_hole_is_left_out_whichever_way_its_ring_turns(turn):
    outer, hole = star(12, radius=18), star(9, radius=3)
    area = shapely.Polygon(outer).difference(shapely.Polygon(hole))
    assert area.area < shapely.Polygon(outer).area
    found = drawn(fill_polygon([outer, hole[::turn]], *SIZE))
    np.testing.assert_array_equal(found, shapely.contains(area, CENTERS))


@pytest.mark.parametrize("size", [200, 2000])
def test_area_is_that_of_shapely_up_to_the_outline(size):
    ring = star(60, (size / 2, size / 2), size / 2)
    polygon = shapely.Polygon(ring)
    pixels = fill_polygon([ring], size, size).inside.sum()
    # Pixels off by half at random along the outline: far below its length.
    assert abs(pixels - polygon.area) < polygon.length / 4


def test_outline_along_pixel_edges_gives_its_area_exactly():
    ring = np.array([(2, 3), (9, 3), (9, 5), (6, 5), (6, 9), (2, 9)], float)
    found = drawn(fill_polygon([ring], *SIZE))
    assert found.sum() == shapely.Polygon(ring).area == 7 * 2 + 4 * 4
    assert found[3, 2] and found[8, 5] and not found[9, 2] and not found[5, 6]


def test_outline_through_centres_takes_left_and_upper_pixels_only():
    ring = np.array([(2.5, 3.5), (5.5, 3.5), (5.5, 6.5), (2.5, 6.5)])
    rows, columns = np.nonzero(drawn(fill_polygon([ring], *SIZE)))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 5, 2, 4)


def test_triangles_around_a_point_neither_overlap_nor_leave_gaps():
    corners = np.array([(0, 0), (53, 0), (53, 37), (0, 37)], float)
    for middle in [(26.5, 18.5), (10.25, 30), (7, 7)]:
        count = sum(
            drawn(fill_polygon([np.array([a, b, middle])], *SIZE)).astype(int)
            for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)
        )
        assert (count == 1).all()


def test_loops_that_cross_are_filled_by_even_and_odd():
    # A bow tie, and a square gone round twice, which is empty.
    tie = np.array([(0, 0), (10, 10), (10, 0), (0, 10)], float)
    polygons = [[(0, 0), (5, 5), (0, 10)], [(10, 0), (10, 10), (5, 5)]]
    expected = sum(
        drawn(fill_polygon([np.array(p, float)], *SIZE)).astype(int) for p in polygons
    )
    np.testing.assert_array_equal(drawn(fill_polygon([tie], *SIZE)), expected > 0)
    square = np.array([(1, 1), (5, 1), (5, 5), (1, 5)] * 2, float)
    assert not drawn(fill_polygon([square], *SIZE)).any()


@pytest.mark.parametrize(
    "ring",
    [
        [(1, 1), (9, 1), (5, 1)],
        [(3, 3), (3, 3), (3, 3)],
        [(60, 1), (70, 1), (70, 9)],
        [(-9, -9), (-5, -9), (-5, -1)],
        [(1, 40), (5, 40), (5, 50)],
        [(0.6, 0.6), (1.4, 0.6), (1.0, 1.4)],
    ],
)
def test_flat_outside_and_tiny_polygons_are_empty(ring):
    assert not drawn(fill_polygon([np.array(ring, float)], *SIZE)).any()


def test_polygon_around_the_picture_fills_it():
    ring = np.array([(-1e7, -1e7), (1e7, -1e7), (1e7, 1e7), (-1e7, 1e7)])
    assert drawn(fill_polygon([ring], *SIZE)).all()


def test_polygon_of_a_million_points():
    angle = np.linspace(0, 2 * np.pi, 1_000_000, endpoint=False)
    ring = np.stack([150 + 100 * np.cos(angle), 150 + 100 * np.sin(angle)], 1)
    y, x = np.mgrid[:300, :300] + 0.5
    expected = np.hypot(x - 150, y - 150) < 100
    np.testing.assert_array_equal(
        drawn(fill_polygon([ring], 300, 300), (300, 300)), expected
    )


def test_outline_that_would_take_hours_is_refused():
    ring = np.tile([(0.0, 0.0), (1.0, 5000.0)], (60_000, 1))
    with pytest.raises(ValueError, match=r"at most 2\^28 times.*120000 edges"):
        fill_polygon([ring], 5000, 10)


@pytest.mark.parametrize("thickness", [1.0, 3.0, 7.3])
def test_stroke_is_what_lies_within_half_its_thickness(thickness):
    points = star(8, radius=24)
    line = shapely.LineString(points)
    expected = shapely.distance(line, CENTERS) < thickness / 2
    np.testing.assert_array_equal(
        drawn(fill_stroke(points, thickness, *SIZE)), expected
    )


@pytest.mark.parametrize("ends", [[(5, 9), (40, 9)], [(9, 5), (9, 30)], [(9, 9)] * 2])
def test_stroke_along_an_axis_and_of_no_length(ends):
    points = np.array(ends) + 0.25
    line = (
        shapely.LineString(points) if ends[0] != ends[1] else shapely.Point(points[0])
    )
    expected = shapely.distance(line, CENTERS) < 2
    np.testing.assert_array_equal(drawn(fill_stroke(points, 4, *SIZE)), expected)


def test_single_point_is_a_disc_and_no_thickness_is_nothing():
    point = np.array([(12.2, 8.7)])
    expected = shapely.distance(shapely.Point(point[0]), CENTERS) < 5
    np.testing.assert_array_equal(drawn(fill_stroke(point, 10, *SIZE)), expected)
    assert not drawn(fill_stroke(point, 0, *SIZE)).any()
    assert not drawn(fill_stroke(point + 100, 10, *SIZE)).any()


@pytest.mark.parametrize("angle", [0, 0.4, -1.2, np.pi / 2])
def test_ellipse_is_that_of_shapely(angle):
    circle = shapely.Point(0, 0).buffer(1, quad_segs=5000)
    ellipse = affinity.scale(circle, 17.3, 6.1)
    # Angles turn from x to y, which points down: clockwise on the screen.
    ellipse = affinity.rotate(ellipse, angle, (0, 0), use_radians=True)
    ellipse = affinity.translate(ellipse, 40.2, 20.4)
    found = drawn(fill_ellipse((40.2, 20.4), (17.3, 6.1), angle, *SIZE))
    np.testing.assert_array_equal(found, shapely.contains(ellipse, CENTERS))


def test_ellipse_without_width_or_outside_is_empty():
    assert not drawn(fill_ellipse((5, 5), (0, 4), 0, *SIZE)).any()
    assert not drawn(fill_ellipse((500, 5), (3, 4), 0, *SIZE)).any()


@pytest.mark.parametrize("top", [-9, -2, 0, 35, 99])
@pytest.mark.parametrize("left", [-9, -2, 0, 50, 99])
def test_bitmap_is_cut_at_the_picture(top, left):
    bitmap = RNG.random((5, 6)) < 0.5
    expected = np.zeros((60, 80), bool)
    canvas = np.zeros((200, 200), bool)
    canvas[50 + top : 55 + top, 50 + left : 56 + left] = bitmap
    expected = canvas[50 : 50 + SIZE[0], 50 : 50 + SIZE[1]]
    found = drawn(fill_bitmap(bitmap, top, left, *SIZE))
    np.testing.assert_array_equal(found, expected)
