"""Perspective and elastic maps against scipy, and against what they must keep."""

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from kseg.data.augment import (
    Compose,
    Plan,
    RandomCrop,
    RandomElastic,
    RandomFlip,
    RandomPerspective,
    RandomRotation,
)


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), "uint8")


def labels(height, width, cell=9):
    y, x = np.mgrid[:height, :width]
    return ((y // cell * 3 + x // cell) % 7).astype("uint8")


def centers(height, width):
    y, x = np.mgrid[:height, :width] + 0.5
    return np.stack([x.ravel(), y.ravel()], -1)


def assert_sampled_at(plan, points, height, width):
    """Image and mask of the plan are scipy's at these points of the sample."""
    image, mask = noise(height, width), labels(height, width)
    x, y = points.T.reshape(2, *plan.size)
    seen, kept = plan.image(image), plan.mask(mask)
    deep = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1)
    assert deep.mean() > 0.3
    for channel in range(3):
        expected = scipy.ndimage.map_coordinates(
            image[..., channel].astype(float), [y - 0.5, x - 0.5], order=1
        )
        assert np.abs(seen[..., channel] - expected)[deep].max() <= 1
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    expected = scipy.ndimage.map_coordinates(
        mask, [y - 0.5, x - 0.5], order=0, mode="nearest"
    )
    edge = np.minimum(np.abs(x - np.rint(x)), np.abs(y - np.rint(y))) < 1e-6
    expected = np.where(inside, expected, 255)
    np.testing.assert_array_equal(kept[~edge], expected[~edge])


def test_perspective_equals_pils():
    height, width = 60, 80
    plan = RandomPerspective(0.2).extend(
        Plan.of(height, width), np.random.default_rng(3), None
    )
    matrix = plan.matrix / plan.matrix[2, 2]
    assert np.abs(matrix[2, :2]).max() > 1e-4
    expected = Image.fromarray(labels(height, width)).transform(
        (width, height),
        Image.Transform.PERSPECTIVE,
        matrix.ravel()[:8].tolist(),
        Image.Resampling.NEAREST,
        fillcolor=255,
    )
    np.testing.assert_array_equal(plan.mask(labels(height, width)), expected)
    points = np.c_[centers(height, width), np.ones(height * width)] @ matrix.T
    assert_sampled_at(plan, points[:, :2] / points[:, 2:], height, width)


def test_perspective_moves_corners_within_its_factor_and_as_far():
    corners = np.array([[0, 0], [80, 0], [0, 60], [80, 60]], float)
    rng = np.random.default_rng(0)
    plans = [
        RandomPerspective(0.1).extend(Plan.of(60, 80), rng, None) for _ in range(200)
    ]
    moves = np.array([(p.locate(corners) - corners) / (80, 60) for p in plans])
    assert np.abs(moves).max() <= 0.1 + 1e-9
    assert abs(moves.std() - 0.1 / np.sqrt(3)) < 0.004  # of a uniform distribution
    assert abs(moves.mean()) < 0.005


def test_perspective_keeps_lines_straight():
    plan = RandomPerspective(0.2).extend(
        Plan.of(60, 80), np.random.default_rng(1), None
    )
    line = np.linspace([3, 5], [70, 44], 9)
    moved = plan.locate(line)
    x, y = (moved - moved[0]).T
    np.testing.assert_allclose(x * y[-1], y * x[-1], rtol=0, atol=1e-8)


def test_beyond_the_horizon_lies_nothing():
    plan = Plan.of(40, 40).project(np.array([[1, 0, 0], [0, 1, 0], [0.05, 0, -0.5]]))
    kept = plan.mask(np.zeros((40, 40), "uint8"))
    assert np.all(kept[:, :10] == 255)  # w <= 0 up to x = 10
    seen = plan.image(np.full((40, 40, 3), 9, "uint8"), fill=(1, 1, 1))
    assert np.all(seen[:, :10] == 1)


@pytest.mark.parametrize("points", [(3, 3), (2, 2), (5, 4)])
def test_displacements_are_scipys_cubic_spline(points):
    height, width = 50, 70
    moves = np.random.default_rng(0).normal(0, 4, (*points, 2))
    plan = Plan.of(height, width).displace(moves)
    places = centers(height, width)
    grid = (places / (width, height) * (points[1] - 1, points[0] - 1))[:, ::-1].T
    expected = [
        scipy.ndimage.map_coordinates(moves[..., axis], grid, order=3, mode="mirror")
        for axis in (0, 1)
    ]
    np.testing.assert_allclose(
        plan.locate(places) - places, np.transpose(expected), rtol=0, atol=1e-9
    )
    assert_sampled_at(plan, places + np.transpose(expected), height, width)


def test_equal_displacements_are_a_shift():
    image, mask = noise(40, 60), labels(40, 60)
    plan = Plan.of(40, 60).displace(np.full((3, 3, 2), [4.0, -3.0]))
    np.testing.assert_array_equal(plan.image(image)[3:, :-4], image[:-3, 4:])
    np.testing.assert_array_equal(plan.mask(mask)[3:, :-4], mask[:-3, 4:])
    assert np.all(plan.mask(mask)[:3] == 255)
    assert np.all(plan.mask(mask)[:, -4:] == 255)


@pytest.mark.parametrize("size", [(64, 64), (128, 256)])
def test_elastic_has_u_nets_statistics_in_pixels_of_the_result(size):
    source, rng = (200, 100), np.random.default_rng(0)
    pixel = np.array([100 / size[1], 200 / size[0]])
    grid = np.stack(np.meshgrid([0, 50, 100], [0, 100, 200]), -1).reshape(-1, 2)
    plans = [RandomElastic().extend(Plan.of(*source), rng, size) for _ in range(400)]
    moves = np.array([(plan.locate(grid) - grid) / pixel for plan in plans])
    # 7200 numbers: three standard errors.
    assert abs(moves.std() - 10) < 0.25
    assert abs(moves.mean()) < 0.36
    flat = moves.reshape(400, -1)
    assert np.abs(np.corrcoef(flat.T) - np.eye(18)).max() < 0.2  # each on its own


def test_a_row_of_all_is_one_map():
    """Crop, flip, bend, perspective, bend, turn: the maps written out, one by one."""
    height, width = 90, 120
    rng = np.random.default_rng(5)
    first, second = rng.normal(0, 3, (2, 3, 3, 2))
    tilt = np.array([[1.02, 0.03, -2.0], [-0.02, 0.97, 3.0], [2e-4, -3e-4, 1.0]])
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    plan = (
        Plan.of(height, width)
        .crop(10, 20, 60, 80)
        .turn(np.diag([-1.0, 1.0]))
        .displace(first)
        .project(tilt)
        .displace(second)
        .turn(turn)
        .resize(70, 90)
    )

    def bend(points, moves):
        grid = (points / (80, 60) * 2)[:, ::-1].T.clip(0, 2)
        return points + np.transpose(
            [
                scipy.ndimage.map_coordinates(
                    moves[..., a], grid, order=3, mode="mirror"
                )
                for a in (0, 1)
            ]
        )

    points = centers(70, 90) * (80 / 90, 60 / 70)
    points = (points - (40, 30)) @ turn.T + (40, 30)
    points = bend(points, second)
    points = np.c_[points, np.ones(len(points))] @ tilt.T
    points = bend(points[:, :2] / points[:, 2:], first)
    points = (80, 0) + points * (-1, 1) + (20, 10)
    np.testing.assert_allclose(plan.locate(centers(70, 90)), points, rtol=0, atol=1e-9)
    assert_sampled_at(plan, points, height, width)


def test_an_image_made_of_its_mask_stays_aligned_with_it():
    mask = labels(300, 240, cell=60)
    image = np.repeat(mask[..., None] * 30, 3, -1)
    row = Compose(
        [RandomCrop((0.4, 1.0)), RandomFlip(), RandomElastic(4.0), RandomPerspective()]
    )
    for seed in range(10):
        seen, kept = row(image, mask, np.random.default_rng(seed), (96, 80))
        flat = scipy.ndimage.maximum_filter(kept, 9) == (
            scipy.ndimage.minimum_filter(kept, 9)
        )
        valid = flat & (kept != 255)
        valid[:5], valid[-5:], valid[:, :5], valid[:, -5:] = False, False, False, False
        assert valid.mean() > 0.1
        np.testing.assert_array_equal(seen[valid][:, 0], kept[valid] * 30)
        assert set(np.unique(kept)) <= {*range(7), 255}


@pytest.mark.parametrize("transform", [RandomElastic(0), RandomPerspective(0)])
def test_strength_zero_is_no_resampling(transform):
    out, _ = transform(noise(20, 30), None, np.random.default_rng(1), (20, 30))
    np.testing.assert_array_equal(out, noise(20, 30))


@pytest.mark.parametrize("make", [RandomElastic, RandomPerspective])
def test_they_act_as_often_as_they_are_told(make):
    rng = np.random.default_rng(0)
    plain = Plan.of(40, 40)
    plans = [make(probability=0.3).extend(plain, rng, (40, 40)) for _ in range(400)]
    acted = np.mean([plan is not plain for plan in plans])
    assert abs(acted - 0.3) < 0.07


@pytest.mark.parametrize("source", [(1, 1), (1, 300), (2, 3), (57, 33)])
def test_any_size_comes_out_at_the_size_asked_for(source):
    row = Compose([RandomElastic(1.0), RandomRotation(180), RandomPerspective(0.2)])
    image, mask = np.full((*source, 3), 77, "uint8"), np.full(source, 3, "uint8")
    for seed in range(5):
        out, kept = row(image, mask, np.random.default_rng(seed), (12, 20))
        assert out.shape == (12, 20, 3)
        assert set(np.unique(kept)) <= {3, 255}
        assert np.all(out[kept == 3] == 77)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomPerspective(0.25),
        lambda: RandomPerspective(-0.1),
        lambda: RandomPerspective(probability=2),
        lambda: RandomElastic(-1),
        lambda: RandomElastic(points=1),
        lambda: RandomElastic(points=2.5),
        lambda: RandomElastic(probability=-1),
    ],
)
def test_arguments_out_of_range_are_named(make):
    with pytest.raises(ValueError, match=r"`\w+` must .* Received: \w+="):
        make()
