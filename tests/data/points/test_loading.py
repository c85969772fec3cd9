"""Batches of clouds."""

import keras
import numpy as np
import pytest

from kseg import losses, metrics, models
from kseg.data import augment
from kseg.data.datasets import KinectScenes, shapenet_part
from kseg.data.datasets.points import PointSample
from kseg.data.points import Blocks, loader


def samples(count=10, points=40, seed=0):
    rng = np.random.default_rng(seed)
    return [
        PointSample(
            np.concatenate(
                [np.full((points, 1), i), rng.random((points, 3))], axis=1
            ).astype("float32"),
            np.arange(points, dtype="int32"),
            f"s{i}",
            i % 3,
        )
        for i in range(count)
    ]


def flat(batches):
    return [np.concatenate([b[i] for b in batches]) for i in range(2)]


def test_shapes_and_dtypes():
    clouds, labels = loader(samples(), 4, 16)[0]
    assert clouds.shape == (4, 16, 4) and clouds.dtype == np.float32
    assert labels.shape == (4, 16) and labels.dtype == np.int32


def test_points_and_labels_stay_together():
    data = samples()
    for cloud, labels in zip(*loader(data, 10, 16)[0], strict=True):
        own = data[int(cloud[0, 0])]
        np.testing.assert_array_equal(cloud, own.points[labels])
        assert len(set(labels.tolist())) == 16  # different points


def test_fewer_points_than_wanted_are_all_there_and_repeated():
    cloud, labels = (x[0] for x in loader(samples(1, 5), 1, 12)[0])
    assert set(labels.tolist()) == set(range(5)) and cloud.shape == (12, 4)
    cloud, _ = (x[0] for x in loader(samples(1, 1), 1, 3)[0])
    np.testing.assert_array_equal(cloud, np.repeat(cloud[:1], 3, axis=0))


def noise(points, labels, rng):
    return points + rng.normal(size=points.shape), labels


def test_batches_are_a_function_of_seed_epoch_and_index():
    def collect(epoch=0, **arguments):
        batches = loader(samples(), 2, 8, augment=noise, **arguments)
        batches.epoch = epoch
        return flat(list(batches))

    expected = collect(seed=3)
    for workers in (0, 2):
        for one, other in zip(collect(seed=3, workers=workers), expected, strict=True):
            np.testing.assert_array_equal(one, other)
    for other in (collect(seed=4), collect(epoch=1, seed=3)):
        assert not np.array_equal(other[0], expected[0])


def test_takes_the_transforms_of_points():
    data = samples()
    batches = loader(data, 10, 16, augment=augment.points.standard(), seed=1)
    clouds, labels = batches[0]
    assert clouds.shape == (10, 16, 4) and labels.shape == (10, 16)
    moved = [
        np.abs(c[:, :3] - d.points[y, :3]).max()
        for c, y, d in zip(clouds, labels, data, strict=True)
    ]
    assert min(moved) > 0


def test_what_an_augmentation_makes_infinite_is_named_with_its_row():
    def divide(points, labels, rng):
        points = points.copy()
        points[5, 1] = np.inf
        return points, labels

    with pytest.raises(ValueError, match=r"Sample \d+ is.*augmented points\[5\]=\["):
        loader(samples(), 2, 8, augment=divide)[0]


def test_what_is_drawn_does_not_depend_on_the_size_of_the_batches():
    one, other = (flat(list(loader(samples(), size, 8, seed=1))) for size in (2, 5))
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


def test_categories_are_a_second_input(data_dir):
    folder = next((data_dir("shapenetpart") / "data").glob("shapenet*"))
    shapes = []
    for kind, category in (("04225987", 14), ("04379243", 15)):
        for file in sorted((folder / kind).iterdir()):
            rows = np.loadtxt(file)
            labels = rows[:, 6].astype(int)
            shapes.append(PointSample(rows[:, :6], labels, file.stem, category))
    batches = loader(shapes, len(shapes), 64, num_categories=16, shuffle=False)
    (clouds, categories), labels = batches[0]
    assert clouds.shape == (len(shapes), 64, 6) and labels.shape == (len(shapes), 64)
    np.testing.assert_array_equal(categories.sum(1), 1)
    assert categories.argmax(1).tolist() == [shape.category for shape in shapes]
    model = models.points.a_cnn_part_segmentation(
        (64, 6), 50, samples=(16, 8), neighbors=(4, 6), width_multiplier=1 / 16
    )
    parts = [parts for _, _, parts in shapenet_part.CATEGORIES]
    model.compile(
        "adam",
        losses.SparseCrossEntropy(),
        metrics=[metrics.PartIoU(50, parts)],
        run_eagerly=True,
    )
    history = model.fit(batches, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    # Over two categories, with parts of their own alone to choose from.
    assert 0 < history["instance_mean_iou"][0] <= 1


def test_one_label_per_cloud():
    data = [PointSample(s.points, np.array(2), s.id) for s in samples()]
    clouds, labels = loader(data, 5, 8)[0]
    assert clouds.shape == (5, 8, 4) and labels.tolist() == [2] * 5


def test_fit_on_blocks_of_a_real_scene(data_dir):
    """With weighted cross-entropy and the mean IoU, which take points as they are."""
    scenes = KinectScenes(data_dir("kinect-scenes"))[:2]
    blocks = Blocks(scenes, 0.6, up=1, min_points=100)
    model = models.points.pointnet_semantic_segmentation(
        (128, 9), 3, width_multiplier=1 / 16
    )
    weights = losses.class_weights(scenes)
    assert weights[1] > weights[0] > 0 == weights[2]
    loss = losses.SparseCrossEntropy(class_weights=weights)
    model.compile(
        keras.optimizers.Adam(0.01),
        loss,
        metrics=[metrics.MeanIoU(3)],
        run_eagerly=True,
    )
    history = model.fit(loader(blocks, 4, 128), epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all() and len(history["mean_iou"]) == 2


@pytest.mark.parametrize(
    "sample,message",
    [
        (PointSample(np.zeros((0, 3)), np.zeros(0, int), "e"), "at least 1 points"),
        (PointSample(np.zeros((2, 2)), np.zeros(2, int), "e"), "x, y, z first"),
        (PointSample(np.zeros((2, 3)), np.zeros(3, int), "e"), "one per point"),
        (PointSample(np.zeros((2, 3)), np.zeros(2), "e"), "Labels must be integers"),
        (
            PointSample(np.array([[0, 0, 0], [0, np.inf, 0]]), np.zeros(2, int), "e"),
            r"points\[1\]=\[0.0, inf, 0.0\]",
        ),
    ],
)
def test_bad_samples_are_named(sample, message):
    with pytest.raises(ValueError, match=f"Sample 0 is broken.*{message}"):
        loader([sample], 1, 4)[0]


@pytest.mark.parametrize(
    "other",
    [
        PointSample(np.zeros((2, 4)), np.zeros(2, int), "e"),
        PointSample(np.zeros((2, 3)), np.array(0), "e"),
    ],
    ids=["channels", "labels"],
)
def test_samples_that_do_not_go_together_are_named(other):
    first = PointSample(np.zeros((2, 3)), np.zeros(2, int), "f")
    with pytest.raises(ValueError, match="Sample 1 is broken.*as many channels"):
        loader([first, other], 2, 2, shuffle=False)[0]


def test_a_folder_is_no_data_set():
    with pytest.raises(TypeError, match=r"CloudFolder\('rooms', class_names\)"):
        loader("rooms", 4, 256)


def test_other_mistakes_are_errors():
    with pytest.raises(ValueError, match="at least one sample"):
        loader([], 1, 4)
    with pytest.raises(TypeError, match="Received: augment=3"):
        loader(samples(), 1, 4, augment=3)
    with pytest.raises(ValueError, match="Received: num_points=0"):
        loader(samples(), 1, 0)
    with pytest.raises(ValueError, match=r"`augment` must return.*Received: \(\(3, 4"):
        loader(samples(), 1, 4, augment=lambda p, y, rng: (p[1:], y))[0]
    with pytest.raises(ValueError, match="category below it. Received: category=2"):
        loader(samples(), 10, 4, num_categories=2)[0]
