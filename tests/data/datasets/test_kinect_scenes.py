import numpy as np
import pytest

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
        {"label": np.zeros(5, "f4")},
        {"label": np.array([None] * 5)},
    ],
)
def test_damaged_scenes_are_named(scene, changes):
    with pytest.raises(ValueError, match=r"learn1\.npz"):
        KinectScenes(scene(**changes))[0]


def test_other_folders_and_splits(tmp_path):
    with pytest.raises(
        ValueError, match="(?s)root of the Kinect scenes.*without samples"
    ):
        KinectScenes(tmp_path)
    with pytest.raises(ValueError, match="Received: split='validation'"):
        KinectScenes(tmp_path, "validation")
