"""Kinect scenes: as published in .pcd, drawn into .npz, and damaged."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from kseg.data.datasets import KinectScenes


def test_real_scenes(data_dir):
    root = data_dir("kinect-scenes")
    train, test = KinectScenes(root), KinectScenes(root, "test")
    assert (len(train), len(test)) == (12, 16)
    assert train.ids[:4] == ("learn0", "learn2", "learn5", "learn9")
    assert train.class_names == ("table", "object", "rest")
    sample = test.take(["test55"])[0]
    stored = np.load(root / "test55.npz")
    np.testing.assert_array_equal(sample.points[:, :3], stored["xyz"])
    np.testing.assert_array_equal(sample.points[:, 3:], stored["rgb"])
    assert ((sample.labels == 0) == (stored["label"] < 10)).all()
    assert ((sample.labels == 1) == (stored["label"] >= 20)).all()


@pytest.fixture
def scene(tmp_path):
    def write(**changes):
        arrays = {
            "xyz": np.ones((5, 3), "f4"),
            "rgb": np.full((5, 3), 9, "u1"),
            "label": np.array([0, 1, 9, 15, 20], "u1"),
        }
        arrays = {k: v for k, v in {**arrays, **changes}.items() if v is not None}
        np.savez(tmp_path / "learn1.npz", **arrays)
        return tmp_path

    return write


def test_labels_of_table_objects_and_the_rest(scene):
    assert KinectScenes(scene())[0].labels.tolist() == [2, 0, 0, 2, 1]


@pytest.mark.parametrize(
    "changes",
    [
        {"xyz": np.ones((4, 3), "f4")},
        {"xyz": np.full((5, 3), np.nan, "f4")},
        {"rgb": None},
        {"rgb": np.full((5, 3), np.nan, "f4")},
        {"rgb": np.full((5, 3), "red")},
        {"xyz": np.ones((0, 3)), "rgb": np.ones((0, 3)), "label": np.ones(0, "u1")},
        {"label": np.zeros(5, "f4")},
        {"label": np.array([None] * 5)},
    ],
)
def test_damaged_scenes_are_named(scene, changes):
    with pytest.raises(ValueError, match=r"learn1\.npz"):
        KinectScenes(scene(**changes))[0]


def test_rows_that_are_not_finite_are_named(scene):
    xyz = np.ones((5, 3), "f4")
    xyz[3, 2] = np.inf
    with pytest.raises(ValueError, match=r"learn1\.npz\[3\]=\[1\.0, 1\.0, inf"):
        KinectScenes(scene(xyz=xyz))[0]


def write_pcd(path, count, fields="x y z rgb label"):
    """Organised, as published; every third point is one that the camera missed."""
    kinds = ("<f4", "<f4", "<f4", "<u4", "<u4")
    rows = np.zeros(
        3 * count, [*zip(("x", "y", "z", "rgb", "label"), kinds, strict=True)]
    )
    rows["x"] = np.arange(3 * count)
    rows["rgb"] = 0x0A141E
    rows["label"] = 1 + 19 * (np.arange(3 * count) % 3 == 1)
    for name in ("x", "y", "z"):
        rows[name][2::3] = np.nan
    rows["label"][2::3] = 0
    header = (
        f"VERSION 0.7\nFIELDS {fields}\nSIZE 4 4 4 4 4\nTYPE F F F U U\n"
        f"COUNT 1 1 1 1 1\nWIDTH 3\nHEIGHT {count}\nPOINTS {3 * count}\nDATA binary\n"
    )
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(header.encode() + rows.tobytes())


def test_the_published_files(tmp_path):
    for name in ("learn/learn0", "learn/learn10", "learn/learn2", "test/test0"):
        write_pcd(tmp_path / f"{name}.pcd", 4)
    write_pcd(tmp_path / "learn/learn3.pcd", 10_000)
    scenes = KinectScenes(tmp_path)
    assert scenes.ids == ("learn0", "learn2", "learn3", "learn10")
    assert KinectScenes(tmp_path, "test").ids == ("test0",)
    points, labels = scenes[0].points, scenes[0].labels
    order = np.argsort(points[:, 0])
    assert points[order, 0].tolist() == [0, 1, 3, 4, 6, 7, 9, 10]
    assert labels[order].tolist() == [0, 1] * 4
    np.testing.assert_array_equal(points[:, 3:], [[10, 20, 30]] * 8)
    large = scenes[2]
    assert len(np.unique(large.points[:, 0])) == 16_384  # of 20,000
    np.testing.assert_array_equal(large.points[:, 0] % 3, large.labels)
    np.testing.assert_array_equal(large.points, KinectScenes(tmp_path)[2].points)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rows_of_published_files_that_are_not_finite_are_named(tmp_path, value):
    file = tmp_path / "learn/learn0.pcd"
    write_pcd(file, 4)
    data = bytearray(file.read_bytes())
    # The y of row 4 of 12, behind a row that the camera missed.
    data[-8 * 20 + 4 : -8 * 20 + 8] = np.float32(value).tobytes()
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"1 rows are not.*learn0\.pcd\[4\]=\[4\.0, "):
        KinectScenes(tmp_path)[0]


def test_a_scene_that_the_camera_missed_altogether_is_named(tmp_path):
    file = tmp_path / "learn/learn0.pcd"
    write_pcd(file, 1)
    at = len(file.read_bytes()) - 3 * 20
    rows = np.frombuffer(file.read_bytes()[at:], "<f4").reshape(3, 5).copy()
    rows[:, :3] = np.nan
    file.write_bytes(file.read_bytes()[:at] + rows.tobytes())
    with pytest.raises(ValueError, match=r"learn0\.pcd' with 0 such points"):
        KinectScenes(tmp_path)[0]


def test_real_published_files(data_dir):
    """Scenes of the download, where the .npz files are 16,384 of their points each."""
    root, drawn = data_dir("mOSD"), data_dir("kinect-scenes")
    scenes = [*KinectScenes(root), *KinectScenes(root, "test")]
    for scene in scenes:
        assert scene.points.shape == (16384, 6) and scene.labels.shape == (16384,)
        assert np.isfinite(scene.points).all()
        assert len(np.unique(scene.points, axis=0)) == 16384
        assert set(scene.labels) == {0, 1}
    shared = [scene for scene in scenes if (drawn / f"{scene.id}.npz").exists()]
    assert shared
    for scene in shared:
        split = "train" if scene.id.startswith("learn") else "test"
        other = KinectScenes(drawn, split).take([scene.id])[0]
        distances, index = cKDTree(other.points[:, :3]).query(scene.points[:, :3])
        same = distances == 0  # drawn in both
        assert same.sum() > 500
        np.testing.assert_array_equal(scene.points[same], other.points[index[same]])
        np.testing.assert_array_equal(scene.labels[same], other.labels[index[same]])


def test_damaged_published_files_are_named(tmp_path):
    file = tmp_path / "learn/learn0.pcd"
    write_pcd(file, 4, fields="x y z rgb other")
    with pytest.raises(ValueError, match=r"colours and labels.*learn0\.pcd"):
        KinectScenes(tmp_path)[0]
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"learn0\.pcd.*too short for 12 points"):
        KinectScenes(tmp_path)[0]


def test_other_folders_and_splits(tmp_path):
    with pytest.raises(
        ValueError, match="(?s)root of the Kinect scenes.*without samples"
    ):
        KinectScenes(tmp_path)
    with pytest.raises(ValueError, match="Received: split='validation'"):
        KinectScenes(tmp_path, "validation")
