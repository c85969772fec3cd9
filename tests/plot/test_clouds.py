import numpy as np
import pytest

from kseg.plot import cloud, palette

RED, BLUE = (255, 0, 0), (0, 0, 255)


def rows_of(picture, color):
    """Rows in which a colour or a darker shade of it is to be seen."""
    pixels = np.array(picture).astype(int)
    channel = int(np.argmax(color))
    others = np.delete(pixels, channel, 2)
    return np.flatnonzero(((pixels[..., channel] > 100) & (others == 0).all(2)).any(1))


@pytest.mark.parametrize("up", [(0, 0, 1), (0, 1, 0), (0, -3, 0), (1, 0, 0)])
def test_what_is_up_is_above(up):
    points = np.array([np.zeros(3), up], "float32")
    picture = cloud(points, [0, 1], (RED, BLUE), up=up, size=100)
    assert (picture.size, picture.mode) == ((100, 100), "RGB")
    assert rows_of(picture, BLUE).max() < 50 < rows_of(picture, RED).min()


@pytest.mark.parametrize("up", [(0, 0, 1), (0, 1, 0), (0, -1, 0)])
def test_the_picture_is_no_mirror_image(up):
    """Seen with x to the right, up and what is ahead of the eye are right-handed."""
    ahead = np.cross(up, (1, 0, 0))
    points = np.array([(0, 0, 0), ahead, (1, 0, 0)], float)
    picture = np.array(cloud(points, [0, 1, 2], (RED, BLUE, (0, 255, 0)), up=up))
    green = np.argwhere((picture[..., 1] > 100) & (picture[..., 0] == 0))
    red = np.argwhere((picture[..., 0] > 100) & (picture[..., 1] == 0))
    assert green[:, 1].mean() > red[:, 1].mean() + 100  # x goes to the right
    # From above, what lies ahead is higher in the picture.
    assert rows_of(picture, BLUE).mean() < red[:, 0].mean() - 50


def test_the_nearer_point_of_a_class_is_brighter_and_lower():
    points = np.array([[0, 0, 0], [0, 10, 0]], float)  # the second is farther
    pixels = np.array(cloud(points, 0, (RED,), size=100))
    near, far = (np.argwhere((pixels == (r, 0, 0)).all(2)) for r in (255, 0.6 * 255))
    assert near[:, 0].min() > far[:, 0].max() > 0
    assert len(near) + len(far) == (pixels[..., 1] == 0).sum()


@pytest.mark.parametrize("front", [0, 1])
def test_what_is_nearer_covers_what_is_farther(front):
    rng = np.random.default_rng(0)
    wall = rng.random((20_000, 3)) * [10, 0, 10]
    points = np.concatenate([wall, wall - [0, 5, 0]])  # the second stands in front
    labels = np.repeat([1 - front, front], len(wall))
    pixels = np.array(cloud(points, labels, (RED, BLUE), size=64))
    # They are equally large, but a part of the one behind is hidden.
    seen = [((pixels[..., c] > 100) & (pixels[..., 1] == 0)).sum() for c in (0, 2)]
    assert seen[front] > 1.5 * seen[1 - front] > 0


def test_a_rare_class_is_not_hidden_behind_the_walls():
    rng = np.random.default_rng(0)
    room = rng.random((50_000, 3))
    room[np.arange(50_000), rng.integers(0, 3, 50_000)] = rng.integers(0, 2, 50_000)
    chair = 0.5 + rng.random((50, 3)) / 10
    labels = np.repeat([0, 1], [50_000, 50])
    picture = cloud(np.concatenate([room, chair]), labels, (RED, BLUE))
    assert len(rows_of(picture, BLUE)) > 10


@pytest.mark.parametrize("count", [1, 3])
def test_points_at_one_place_are_a_dot_in_the_middle(count):
    pixels = np.array(cloud(np.full((count, 4), 7.0), np.zeros(count, int), size=100))
    rows, columns = np.nonzero((pixels != 255).any(2))
    assert abs(rows.mean() - 50) < 2 and abs(columns.mean() - 50) < 2
    assert (pixels[50, 50] == palette(1, background=False)[0]).all()


POINTS = np.zeros((2, 3))
BAD = {
    "flat": (np.zeros((2, 2)), [0, 0], r"points\.shape=\(2, 2\)"),
    "none": (np.zeros((0, 3)), [], r"points\.shape=\(0, 3\)"),
    "nan": ([[0, 0, 0], [0, np.nan, 0]], [0, 0], r"points with \[0.0, nan, 0.0\]"),
    "too few labels": (POINTS, [0], r"labels of int64, shape=\(1,\)"),
    "scores": (POINTS, [0.5, 0.5], "labels of float64"),
    "negative": (POINTS, [0, -1], "labels from -1 to 0"),
    "no colour": (POINTS, [0, 2], "class ids from 0 to 1.*labels from 0 to 2"),
}


@pytest.mark.parametrize(("points", "labels", "received"), BAD.values(), ids=BAD)
def test_wrong_clouds_are_named(points, labels, received):
    with pytest.raises(ValueError, match=f"Received: .*{received}|{received}"):
        cloud(points, labels, (RED, BLUE))
