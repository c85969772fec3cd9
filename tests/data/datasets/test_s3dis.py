import numpy as np
import pytest

from kseg.data.datasets import S3DIS

CLASSES = (
    "ceiling floor wall beam column window door table chair sofa bookcase board clutter"
)


@pytest.fixture
def make(tmp_path):
    def make(room, objects):
        folder = tmp_path / room / "Annotations"
        folder.mkdir(parents=True)
        for name, text in objects.items():
            (folder / f"{name}.txt").write_text(text)
        return tmp_path

    return make


def test_real_points_in_the_published_layout(make, data_dir):
    """Points of Area_1/office_2 written as the objects they belong to."""
    folder = data_dir("mmdet3d") / "tests/data/s3dis"
    points = np.fromfile(folder / "points/Area_1_office_2.bin", "f4").reshape(-1, 6)
    labels = np.fromfile(folder / "semantic_mask/Area_1_office_2.bin", "i8")
    names = CLASSES.split()
    objects = {
        f"{names[label]}_1": "".join(
            " ".join(map(str, row)) + "\n" for row in points[labels == label].tolist()
        )
        for label in np.unique(labels)
    }
    dataset = S3DIS(make("Area_1/office_2", objects), "test", test_area=1)
    sample = dataset[0]
    assert (dataset.ids, dataset.class_names) == (("Area_1/office_2",), tuple(names))
    order = np.concatenate(
        [np.flatnonzero(labels == names.index(n)) for n in sorted(names)]
    )
    np.testing.assert_array_equal(sample.labels, labels[order])
    moved = points[order] - [*points[:, :3].min(0), 0, 0, 0]
    np.testing.assert_allclose(sample.points, moved, atol=1e-6)


def test_areas_make_the_splits(make):
    for area in range(1, 7):
        root = make(f"Area_{area}/hallway_1", {"wall_1": "0 0 0 1 2 3\n"})
    assert S3DIS(root, "test").ids == ("Area_5/hallway_1",)
    assert [id[5] for id in S3DIS(root).ids] == list("12346")
    assert len(S3DIS(root, "all")) == 6
    assert S3DIS(root, "test", test_area=2).ids == ("Area_2/hallway_1",)
    # Oracle: the list of rooms in charlesq34/pointnet, sem_seg/meta/anno_paths.txt.
    assert (S3DIS(root).expected, S3DIS(root, "test").expected) == (204, 68)


def test_missing_area_is_named(make):
    root = make("Area_1/hallway_1", {"wall_1": "0 0 0 1 2 3\n"})
    with pytest.raises(ValueError, match="without rooms in Area_2"):
        S3DIS(root)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # The known line of Area_5/hallway_6/Annotations/ceiling_1.txt
        ("22.350 6.692 3.048 185\x00187 182", [22.35, 6.692, 3.048, 185, 187, 182]),
        ("22.350 6.692 3.048 185\x10187 182", [22.35, 6.692, 3.048, 185, 187, 182]),
        # As in the file of the whole room Area_3/hallway_2
        ("19.302 -9.1\x160 1.785 146 137 106", [19.302, -9.1, 1.785, 146, 137, 106]),
    ],
)
def test_stray_character_is_repaired_and_reported(make, line, expected):
    text = f"0 -10 0 1 2 3\n{line}\n"
    dataset = S3DIS(make("Area_5/hallway_6", {"ceiling_1": text}), "test")
    with pytest.warns(UserWarning, match=r"ceiling_1\.txt', line 2: read '"):
        sample = dataset[0]
    assert len(sample.points) == 2
    np.testing.assert_allclose(
        sample.points[1] - [0, 10, 0, 0, 0, 0], expected, rtol=1e-6
    )


@pytest.mark.parametrize("line", ["1 2 3 4 5", "1 2 3 4 5 x", "1 2\x003 4 5"])
def test_line_beyond_repair_is_named(make, line):
    root = make("Area_5/hallway_6", {"wall_1": f"0 0 0 1 2 3\n{line}\n"})
    with pytest.raises(ValueError, match=r"6 finite numbers.*wall_1\.txt', line 2"):
        S3DIS(root, "test")[0]


def test_stairs_are_clutter(make):
    root = make("Area_5/lobby_1", {"stairs_1": "0 0 0 1 2 3\n"})
    assert S3DIS(root, "test")[0].labels.tolist() == [12]


def test_room_without_objects_is_named(make):
    with pytest.raises(ValueError, match="lobby_1.*without any"):
        S3DIS(make("Area_5/lobby_1", {}), "test")[0]
