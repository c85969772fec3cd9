"""Folders of labelled clouds."""

import numpy as np
import pytest

from kseg.data.points import (
    Blocks,
    Cloud,
    CloudFolder,
    loader,
    predict_rooms,
    read_cloud,
    write_ply,
)


def write(folder, name, far=0.0, labels=(0, 1, 1, 0), **more):
    xyz = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [np.nan] * 3]) + [far, far, 0]
    cloud = Cloud(xyz, labels=np.array(labels), **more)
    write_ply(folder / name, cloud)


def test_reads_sorted_files_and_leaves_out_what_a_camera_missed(tmp_path):
    for name, far in (("b.ply", 5e6), ("a.ply", 0.0)):
        write(tmp_path, name, far, colors=np.full((4, 3), 7, "u1"))
    (tmp_path / "notes.md").write_text("none")
    dataset = CloudFolder(tmp_path, ["wall", "door"])
    assert dataset.ids == ("a.ply", "b.ply")
    expected = [[0, 0, 0, 7, 7, 7], [1, 0, 0, 7, 7, 7], [0, 1, 0, 7, 7, 7]]
    assert [sample.origin.tolist() for sample in dataset] == [[0] * 3, [5e6, 5e6, 0]]
    for sample in dataset:
        np.testing.assert_array_equal(sample.points, expected)
        assert sample.labels.tolist() == [0, 1, 1]
    assert loader(Blocks(dataset), 2, 4)[0][0].shape == (2, 4, 9)
    plain = CloudFolder(tmp_path, ["wall", "door"], channels="xyz")
    assert plain[0].points.shape == (3, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("suffix", ["ply", "npz"])
def test_rows_of_the_file_that_are_not_finite_are_named(tmp_path, suffix, value):
    xyz = np.array([[np.nan] * 3, [1, 2, 3], [4, value, 6]])
    if suffix == "ply":
        write_ply(tmp_path / "a.ply", Cloud(xyz))
    else:
        np.savez(tmp_path / "a.npz", xyz=xyz)
    with pytest.raises(ValueError, match=rf"'a\.{suffix}'\[2\]=\[4\.0, {value}, 6"):
        CloudFolder(tmp_path, ["wall"], channels="xyz")[0]


def test_a_predicted_room_becomes_a_labelled_ply(tmp_path):
    """File to file: geographic coordinates in, the same points with classes out."""
    (tmp_path / "rooms").mkdir()
    xyz = np.random.default_rng(0).uniform(0, 3, (200, 3)) + [5e5, 5e6, 0]
    write_ply(tmp_path / "rooms/a.ply", Cloud(xyz, np.full((200, 3), 51)))
    blocks = Blocks(CloudFolder(tmp_path / "rooms", ["low", "high"]))
    extent = np.ptp(xyz[:, 2])

    def model(points):  # is the point in the upper half of the room?
        height = points[..., 8:]
        return np.concatenate([1 - height, height], -1)

    (scores,) = predict_rooms(model, blocks, 64)
    room = blocks.rooms[0]
    found = Cloud(room.points[:, :3] + room.origin, labels=scores.argmax(-1))
    write_ply(tmp_path / "a.ply", found)
    again = read_cloud(tmp_path / "a.ply")
    np.testing.assert_allclose(again.xyz, xyz, rtol=0, atol=1e-6)
    expected = xyz[:, 2] - xyz[:, 2].min() > extent / 2
    np.testing.assert_array_equal(again.labels, expected)
    assert len(np.unique(again.colors, axis=0)) == 2


def test_files_without_labels_can_be_predicted_and_not_trained_on(tmp_path):
    write_ply(tmp_path / "a.ply", Cloud(np.eye(3), np.full((3, 3), 51)))
    blocks = Blocks(CloudFolder(tmp_path, ["wall", "door"]))
    assert blocks[0].labels is None
    (scores,) = predict_rooms(lambda points: points[..., 6:8], blocks, 4)
    np.testing.assert_allclose(scores, np.eye(3)[:, :2], atol=1e-6)
    with pytest.raises(
        ValueError, match=r"Sample 'a\.ply/0_0'.*Labels must be integers"
    ):
        loader(blocks, 1, 4)[0]


def test_what_cannot_be_used_is_named(tmp_path):
    with pytest.raises(ValueError, match="a folder with files"):
        CloudFolder(tmp_path, ["wall"])
    write(tmp_path, "a.ply")
    with pytest.raises(ValueError, match=r"must have normals.*a\.ply"):
        CloudFolder(tmp_path, ["wall", "door"], channels="normals")[0]
    with pytest.raises(ValueError, match=r"Labels must be 0..0.*a\.ply' with \[1\]"):
        CloudFolder(tmp_path, ["wall"])[0]
    with pytest.raises(ValueError, match="Received: channels='rgb'"):
        CloudFolder(tmp_path, ["wall"], channels="rgb")
