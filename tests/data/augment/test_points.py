"""Clouds of points: what each change keeps, and the statistics of what it draws."""

import numpy as np
import pytest
import scipy.stats

from kseg.data.augment import points as augment
from kseg.data.datasets import PointSample
from kseg.data.points import loader

ALL = [
    augment.RandomRotation,
    augment.RandomJitter,
    augment.RandomScale,
    augment.RandomDropout,
    augment.standard,
]


def cloud(count=500, channels=6, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, channels)).astype("float32")
    return points, np.arange(count, dtype="int32")


def rotations(transform, count=2000):
    """The matrices that a transform draws, read off the turned unit vectors."""
    basis, labels = np.eye(3, dtype="float32"), np.arange(3)
    rng = np.random.default_rng(0)
    return np.array([transform(basis, labels, rng)[0].T for _ in range(count)])


@pytest.mark.parametrize("make", ALL)
def test_the_same_generator_gives_the_same_and_the_input_stays(make):
    points, labels = cloud()
    first, second = (make()(points, labels, np.random.default_rng(3)) for _ in range(2))
    other = make()(points, labels, np.random.default_rng(4))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0], other[0])
    assert first[0].dtype == "float32" and first[0].shape == points.shape
    assert first[1].dtype == "int32" and first[1].shape == labels.shape
    np.testing.assert_array_equal(points, cloud()[0])
    np.testing.assert_array_equal(labels, cloud()[1])


@pytest.mark.parametrize("make", ALL)
def test_one_label_of_the_whole_cloud_stays(make):
    points, label = make()(cloud()[0], np.int32(7), np.random.default_rng(0))
    assert points.shape == (500, 6)
    assert label.shape == () and label == 7


@pytest.mark.parametrize("axis", ["x", "y", "z", None])
def test_rotations_are_rotations(axis):
    for matrix in rotations(augment.RandomRotation(axis), 30):
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), rtol=0, atol=1e-6)
        assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-6)
        if axis:
            k = "xyz".index(axis)
            np.testing.assert_array_equal(matrix[k], np.eye(3)[k])


def test_rotation_about_z_is_scipys_and_its_angles_are_alike_often():
    rotation = scipy.spatial.transform.Rotation
    matrices = rotations(augment.RandomRotation("z", 40))
    angles = rotation.from_matrix(matrices).as_euler("xyz", degrees=True)
    assert np.abs(angles[:, :2]).max() < 1e-3
    assert np.abs(angles[:, 2]).max() <= 40
    fit = scipy.stats.kstest(angles[:, 2], scipy.stats.uniform(-40, 80).cdf)
    assert fit.pvalue > 0.01


def test_free_rotation_prefers_no_direction():
    matrices = rotations(augment.RandomRotation(None))
    # Of Haar's measure: each entry is uniform from -1 to 1 (Archimedes), the cosine of
    # the angle follows from the trace, with density (1 - cos) / pi.
    for i, j in np.ndindex(3, 3):
        fit = scipy.stats.kstest(matrices[:, i, j], scipy.stats.uniform(-1, 2).cdf)
        assert fit.pvalue > 0.001
    cos = (np.trace(matrices, axis1=1, axis2=2) - 1) / 2
    angle = np.arccos(cos.clip(-1, 1))
    fit = scipy.stats.kstest(angle, lambda a: (a - np.sin(a)) / np.pi)
    assert fit.pvalue > 0.001


def test_normals_turn_along_and_other_channels_stay():
    points, labels = cloud(channels=9)
    points[:, 6:] = points[:, :3]  # a normal that points away from the origin
    seen, _ = augment.RandomRotation(None, normals=6)(
        points, labels, np.random.default_rng(0)
    )
    np.testing.assert_array_equal(seen[:, 6:], seen[:, :3])
    np.testing.assert_array_equal(seen[:, 3:6], points[:, 3:6])
    assert not np.allclose(seen[:, :3], points[:, :3])
    without, _ = augment.RandomRotation(None)(points, labels, np.random.default_rng(0))
    np.testing.assert_array_equal(without[:, 3:], points[:, 3:])


def test_jitter_is_normal_cut_off_and_of_places_only():
    points, labels = np.zeros((20_000, 6), "float32"), np.zeros(20_000, int)
    seen, _ = augment.RandomJitter(0.01, 0.02)(points, labels, np.random.default_rng(0))
    assert np.abs(seen).max() <= np.float32(0.02)
    assert np.all(seen[:, 3:] == 0)
    inside = np.abs(seen[:, :3]) < 0.0199
    assert abs(inside.mean() - 0.9545) < 0.004  # within two deviations
    assert abs((np.abs(seen[:, :3]) < 0.01).mean() - 0.6827) < 0.006


def test_scale_is_one_factor_for_all():
    points, labels = cloud()
    factors = []
    for seed in range(200):
        seen, _ = augment.RandomScale((0.5, 3.0))(
            points, labels, np.random.default_rng(seed)
        )
        factors.append(seen[0, 0] / points[0, 0])
        np.testing.assert_allclose(seen[:, :3], points[:, :3] * factors[-1], rtol=1e-5)
        np.testing.assert_array_equal(seen[:, 3:], points[:, 3:])
    assert 0.5 <= min(factors) < 0.55 and 2.95 < max(factors) <= 3.0


def test_dropout_keeps_points_with_their_labels_and_the_number():
    points, labels = cloud(1000)
    gone = []
    for seed in range(200):
        seen, kept = augment.RandomDropout(0.8)(
            points, labels, np.random.default_rng(seed)
        )
        np.testing.assert_array_equal(seen, points[kept])
        gone.append(1 - len(np.unique(kept)) / 1000)
        stays = kept == labels
        assert stays.mean() == pytest.approx(1 - gone[-1])
    fit = scipy.stats.kstest(gone, scipy.stats.uniform(0, 0.8).cdf)
    assert fit.pvalue > 0.01


def test_dropout_of_one_point_and_of_none():
    one = np.ones((1, 3), "float32"), np.zeros(1, int)
    for seed in range(20):
        seen, _ = augment.RandomDropout()(*one, np.random.default_rng(seed))
        np.testing.assert_array_equal(seen, one[0])
    points, labels = cloud()
    seen, kept = augment.RandomDropout(0)(points, labels, np.random.default_rng(0))
    np.testing.assert_array_equal(kept, labels)


def test_rows_draw_one_after_the_other():
    points, labels = cloud()
    row = augment.Compose([augment.RandomScale(), augment.RandomDropout()])
    seen, kept = row(points, labels, np.random.default_rng(0))
    rng = np.random.default_rng(0)
    expected = augment.RandomDropout()(*augment.RandomScale()(points, labels, rng), rng)
    np.testing.assert_array_equal(seen, expected[0])
    np.testing.assert_array_equal(kept, expected[1])


@pytest.mark.parametrize(
    "make",
    [
        lambda: augment.RandomRotation("up"),
        lambda: augment.RandomRotation(degrees=-1),
        lambda: augment.RandomRotation(None, degrees=20),
        lambda: augment.RandomRotation(normals=2),
        lambda: augment.RandomJitter(-1),
        lambda: augment.RandomScale((0, 1)),
        lambda: augment.RandomDropout(1),
        lambda: augment.RandomDropout(-0.1),
    ],
)
def test_arguments_that_make_no_sense_are_named(make):
    with pytest.raises(ValueError, match=r"`\w+`.* must .* Received: \w+="):
        make()


def test_clouds_that_do_not_fit_are_refused():
    rng = np.random.default_rng(0)
    for points, labels in [
        (np.zeros((4, 2)), np.zeros(4, int)),
        (np.zeros(3), np.zeros(3, int)),
        (np.zeros((4, 3)), np.zeros(5, int)),
    ]:
        with pytest.raises(ValueError, match="`points` must .* Received: points of"):
            augment.RandomScale()(points, labels, rng)
    with pytest.raises(ValueError, match="`normals` must .*normals=3"):
        augment.RandomRotation(normals=3)(np.zeros((4, 5)), np.zeros(4, int), rng)
    with pytest.raises(TypeError, match="`transforms` must be"):
        augment.Compose([augment.RandomScale])


def test_batches_depend_on_seed_epoch_and_index_alone_and_labels_follow():
    class Clouds:
        ids = tuple("abcdef")

        def __len__(self):
            return 6

        def __getitem__(self, index):
            points, labels = cloud(80, seed=index)
            points[:, 3] = labels
            return PointSample(points, labels, self.ids[index])

    def batches(epoch=0, seed=0, **arguments):
        recipe = augment.standard()
        made = loader(Clouds(), 2, 50, augment=recipe, seed=seed, **arguments)
        made.epoch = epoch
        return made

    def clouds_by_sample(*args, **arguments):
        made = batches(*args, **arguments)
        points, labels = (np.concatenate(part) for part in zip(*made, strict=True))
        np.testing.assert_array_equal(points[..., 3], labels)
        order = made._order(made.epoch)
        return {i: p.tobytes() for i, p in zip(order.tolist(), points, strict=True)}

    expected = clouds_by_sample()
    assert clouds_by_sample(workers=3) == expected
    assert clouds_by_sample(workers=0, shuffle=False) == expected
    for other in (clouds_by_sample(epoch=1), clouds_by_sample(seed=1)):
        assert all(other[index] != expected[index] for index in range(6))
