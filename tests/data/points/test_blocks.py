"""Blocks of rooms, and votes of the blocks for whole rooms."""

import numpy as np
import pytest
from sklearn.metrics import jaccard_score

from kseg.data.datasets import KinectScenes
from kseg.data.datasets.points import PointSample
from kseg.data.points import Blocks, predict_rooms
from kseg.metrics import MeanIoU


def room(points, name="r"):
    points = np.array(points, np.float32)
    colors = np.full_like(points, 51)
    labels = np.arange(len(points), dtype=np.int32) % 13
    return PointSample(np.concatenate([points, colors], 1), labels, name)


def random_room(count=300, extent=(2.5, 1.2, 3), low=(0, 0, 0), name="r"):
    rng = np.random.default_rng(0)
    extent = np.array(extent)
    points = np.concatenate(
        [[0 * extent], rng.uniform(0, extent, (count, 3)), [extent]]
    )
    return room(points + low, name)


def test_blocks_without_overlap_hold_each_point_once():
    sample = random_room()
    xyz = sample.points[:, :3]
    cut = Blocks([sample], stride=1.0)
    assert cut.ids == tuple(f"r/{x}_{y}" for x in range(3) for y in range(2))
    inside = np.concatenate([indices for _, indices in cut.inside])
    np.testing.assert_array_equal(np.sort(inside), np.arange(302))
    for block, (number, inside) in zip(cut, cut.inside, strict=True):
        x, y = map(int, block.id.split("/")[1].split("_"))
        expected = (xyz[:, 0] // 1 == x) & (xyz[:, 1] // 1 == y)
        assert number == 0
        np.testing.assert_array_equal(inside, np.flatnonzero(expected))
        np.testing.assert_array_equal(block.labels, sample.labels[expected])
        assert block.points.shape[1] == 9
        back = block.points[:, :3] + [x + 0.5, y + 0.5, 0]
        np.testing.assert_allclose(back, xyz[expected], atol=1e-6)
        np.testing.assert_allclose(block.points[:, 3:6], 0.2, rtol=1e-6)
        np.testing.assert_allclose(
            block.points[:, 6:], xyz[expected] / [2.5, 1.2, 3], atol=1e-6
        )


def test_overlapping_blocks_are_those_of_pointnet():
    """As room2blocks of charlesq34/pointnet, sem_seg/indoor3d_util.py, counts them."""
    sample = random_room(2000, (3.2, 2.1, 3))
    xyz = sample.points[:, :3]
    limit = xyz.max(0)
    counts = [int(np.ceil((limit[axis] - 1.0) / 0.5)) + 1 for axis in range(2)]
    expected = {}
    for i in range(counts[0]):
        for j in range(counts[1]):
            low = np.array([i, j]) * 0.5
            inside = ((xyz[:, :2] >= low) & (xyz[:, :2] < low + 1.0)).all(1)
            expected[f"r/{i}_{j}"] = np.flatnonzero(inside)
    cut = Blocks([sample])
    assert list(cut.ids) == list(expected)
    for id, (_, inside) in zip(cut.ids, cut.inside, strict=True):
        missing = np.setdiff1d(inside, expected[id])
        assert len(inside) - len(missing) == len(expected[id])
        # Only what lies on the last line is added.
        assert np.isin(xyz[missing, :2], limit[:2]).any(1).all()


@pytest.mark.parametrize("up", [0, 1, 2])
def test_columns_stand_along_the_axis_that_points_up(up):
    extent = np.full(3, 2.0)
    extent[up] = 30.0
    cut = Blocks([random_room(400, extent, low=(-5, 7, 1))], stride=1.0, up=up)
    assert len(cut) == 4
    floor = [axis for axis in range(3) if axis != up]
    for block in cut:
        assert np.abs(block.points[:, floor]).max() <= 0.5 + 1e-6
        assert np.ptp(block.points[:, up]) > 20


def test_a_wall_on_the_last_line_belongs_to_the_block_before():
    cut = Blocks([room([[0, 0, 0], [2, 1, 1]])], stride=1.0)
    assert cut.ids == ("r/0_0", "r/1_0")


def test_a_point_far_away_does_not_cost_the_cells_in_between():
    cut = Blocks([room([[0, 0, 0], [0.2, 0.2, 1], [2**23, 2**23, 0]])])
    assert cut.ids == ("r/0_0", f"r/{2**24 - 2}_{2**24 - 2}")
    assert [inside.tolist() for _, inside in cut.inside] == [[0, 1], [2]]


def test_a_room_smaller_than_a_block_is_one_block():
    cut = Blocks([room([[0.1, 0.2, 0.3]]), random_room(50, (0.5, 0.7, 3), name="s")])
    assert cut.ids == ("r/0_0", "s/0_0")
    np.testing.assert_array_equal(cut[0].points[0, 6:], [0, 0, 0])


def test_few_points_are_left_out():
    sample = random_room()
    cut = Blocks([sample], stride=1.0, min_points=30)
    assert [len(b.points) for b in cut] == [
        len(b.points) for b in Blocks([sample], stride=1.0) if len(b.points) >= 30
    ]
    assert 0 < len(cut) < 6


def test_slices_and_take_keep_points_and_blocks_together():
    cut = Blocks([random_room(), random_room(name="s")])
    for part in (cut[3:7], cut.take(["s/1_0", "r/0_0"])):
        for sample, (number, inside) in zip(part, part.inside, strict=True):
            np.testing.assert_array_equal(
                sample.labels, cut.rooms[number].labels[inside]
            )
    assert cut[3:7][0].id == cut.ids[3]


def test_normals_and_colours_of_real_scenes(data_dir):
    scenes = KinectScenes(data_dir("kinect-scenes"))[:1]
    cut = Blocks(scenes, 0.6, up=1, viewpoint=(0, 0, 0))
    assert cut.class_names == ("table", "object", "rest")
    covered = np.unique(np.concatenate([inside for _, inside in cut.inside]))
    assert len(covered) == 16384
    for block, (_, inside) in zip(cut, cut.inside, strict=True):
        np.testing.assert_allclose(
            np.linalg.norm(block.points[:, 3:6], axis=1), 1, 1e-4
        )
        own = cut.rooms[0].points[inside]
        # Turned to the camera, from which everything was seen.
        assert (np.sum(block.points[:, 3:6] * -own[:, :3], axis=1) >= -1e-6).all()
        np.testing.assert_allclose(block.points[:, 6:], own[:, 3:6] / 255, rtol=1e-6)


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"size": 0}, "Received: size=0"),
        ({"stride": 1.5}, "Received: stride=1.5, size=1.0"),
        ({"up": 3}, "Received: up=3"),
        ({"min_points": 0}, "Received: min_points=0"),
    ],
)
def test_bad_numbers(arguments, message):
    with pytest.raises(ValueError, match=message):
        Blocks([random_room()], **arguments)


def test_bad_rooms_are_named():
    with pytest.raises(ValueError, match=r"colours.*Received: 'r' of shape \(1, 3\)"):
        Blocks([PointSample(np.zeros((1, 3)), np.zeros(1, int), "r")])
    with pytest.raises(ValueError, match=r"points of 'r'.*least 1 points"):
        Blocks([PointSample(np.zeros((0, 6)), np.zeros(0, int), "r")])
    with pytest.raises(ValueError, match=r"Received: 'r' with labels of shape \(\)"):
        Blocks([PointSample(np.zeros((1, 6)), np.array(0), "r")])
    broken = random_room()
    broken.points[7, 2] = np.nan
    with pytest.raises(ValueError, match=r"points of 'r'\[7\]="):
        Blocks([broken])


def by_channel(points):
    """Scores from what the point itself has: a vote must not depend on the cloud."""
    return np.stack([points[..., 6], points[..., 7], points[..., 8]], -1)


@pytest.mark.parametrize("num_points,votes", [(16, 1), (500, 1), (64, 3)])
def test_every_point_of_every_room_gets_its_own_scores(num_points, votes):
    rooms = [random_room(), random_room(200, (1.7, 3.1, 2), name="s")]
    cut = Blocks(rooms)
    found = list(predict_rooms(by_channel, cut, num_points, votes=votes))
    for sample, scores in zip(rooms, found, strict=True):
        xyz = sample.points[:, :3]
        np.testing.assert_allclose(scores, xyz / np.ptp(xyz, axis=0), atol=1e-6)


def test_votes_of_overlapping_blocks_are_averaged():
    """The model gives each point the x of its block's middle."""
    sample = random_room(500, (2.0, 1.0, 1.0))
    xyz = sample.points[:, :3]

    def model(points):  # x in the room, less x from the middle
        return (points[..., 6] * 2.0 - points[..., 0])[..., None]

    cut = Blocks([sample], stride=0.5)
    (scores,) = predict_rooms(model, cut, 4096, batch_size=3)
    middles = np.array([0.5, 1.0, 1.5])
    inside = np.abs(xyz[:, :1] - middles) <= 0.5
    # However often a block's clouds are filled up with a point.
    expected = (inside * middles).sum(1) / inside.sum(1)
    assert set(inside.sum(1)) == {1, 2}
    np.testing.assert_allclose(scores[:, 0], expected, rtol=1e-5)


def test_the_mean_iou_over_rooms_is_that_of_all_their_points():
    """As S3DIS is evaluated: the points of all rooms together, then class by class."""
    rooms = [random_room(), random_room(90, (0.6, 0.8, 2), name="s")]
    rng = np.random.default_rng(0)
    for sample in rooms:
        sample.labels[:] = rng.integers(0, 3, len(sample.labels))

    metric, predicted = MeanIoU(3), []
    for sample, scores in zip(
        rooms, predict_rooms(by_channel, Blocks(rooms), 64), strict=True
    ):
        metric.update_state(sample.labels[None], scores[None])
        predicted.append(scores.argmax(-1))
    labels = np.concatenate([sample.labels for sample in rooms])
    expected = jaccard_score(labels, np.concatenate(predicted), average="macro")
    assert float(metric.result()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("num_points", [1, 8])
def test_a_room_of_one_point_gets_its_score(num_points):
    (scores,) = predict_rooms(
        lambda points: points[..., 3:6], Blocks([room([[1, 2, 3]])]), num_points
    )
    np.testing.assert_allclose(scores, [[0.2, 0.2, 0.2]], rtol=1e-6)


def test_the_same_seed_gives_the_same_votes():
    cut = Blocks([random_room()])

    def model(points):
        return points - points.mean(axis=1, keepdims=True)

    one, same, other = (
        next(predict_rooms(model, cut, 32, seed=seed)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0


def test_points_in_no_block_are_an_error():
    cut = Blocks([random_room()], stride=1.0, min_points=30)
    with pytest.raises(ValueError, match=r"min_points=1.*points of 'r' in no block"):
        next(predict_rooms(by_channel, cut, 32))
    with pytest.raises(ValueError, match=r"scores of shape \(4, 32\) for 4 x 32"):
        next(predict_rooms(lambda x: x[..., 0], Blocks([random_room()]), 32))
