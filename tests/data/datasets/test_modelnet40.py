import numpy as np
import pytest

from kseg.data.datasets import ModelNet40
from kseg.data.datasets.modelnet40 import read_off

SQUARE = "4 1 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n4 0 1 2 3\n"


@pytest.fixture
def tree(tmp_path, data_dir):
    """Two real bathtubs; that of ModelNet10 are those of ModelNet40."""
    folder = data_dir("modelnet10") / "ModelNet10/bathtub/train"
    (tmp_path / "bathtub/train").mkdir(parents=True)
    for name in ("bathtub_0001.off", "bathtub_0003.off"):
        (tmp_path / "bathtub/train" / name).symlink_to(folder / name)
    return tmp_path


def test_real_meshes_become_points_in_the_unit_sphere(tree):
    dataset = ModelNet40(tree, num_points=500)
    assert dataset.ids == ("bathtub/bathtub_0001", "bathtub/bathtub_0003")
    assert (dataset.num_classes, dataset.class_names[1]) == (40, "bathtub")
    for sample in dataset:
        assert (sample.points.shape, sample.points.dtype) == ((500, 3), np.float32)
        assert (sample.labels.shape, int(sample.labels)) == ((), 1)
        radii = np.linalg.norm(sample.points, axis=1)
        np.testing.assert_allclose(radii.max(), 1, rtol=1e-6)
        np.testing.assert_allclose(sample.points.mean(0), 0, atol=1e-6)


def test_points_depend_on_id_and_seed_alone(tree):
    a, b = ModelNet40(tree), ModelNet40(tree)[1:]
    np.testing.assert_array_equal(a[1].points, b[0].points)
    assert (ModelNet40(tree, seed=1)[1].points != a[1].points).any()


def test_counts_of_a_real_file(data_dir):
    file = data_dir("modelnet10") / "ModelNet10/bathtub/train/bathtub_0001.off"
    header = file.read_text().split("\n")[1]
    vertices, triangles = read_off(file)
    assert header == f"{len(vertices)} {len(triangles)} 0"


@pytest.mark.parametrize("head", ["OFF\n", "OFF", "OFF # made by hand\n"])
def test_square_becomes_two_triangles(tmp_path, head):
    """Some files of ModelNet40 lack the line break after OFF."""
    (tmp_path / "a.off").write_text(head + SQUARE)
    vertices, triangles = read_off(tmp_path / "a.off")
    assert vertices.tolist()[2] == [1, 1, 0]
    assert triangles.tolist() == [[0, 1, 2], [0, 2, 3]]


def test_points_are_spread_by_area(tmp_path):
    """Of two triangles, one nine times as large, a tenth of the points in the small."""
    text = "OFF\n6 2 0\n0 0 0\n3 0 0\n0 3 0\n10 0 0\n11 0 0\n10 1 0\n3 0 1 2\n3 3 4 5\n"
    (tmp_path / "chair/train").mkdir(parents=True)
    (tmp_path / "chair/train/c.off").write_text(text)
    points = ModelNet40(tmp_path, num_points=20_000)[0].points
    middle = (points[:, 0].min() + points[:, 0].max()) / 2
    share = (points[:, 0] > middle).mean()
    assert abs(share - 0.1) < 4 * (0.1 * 0.9 / 20_000) ** 0.5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PLY\n",
        "OFF\n",
        "OFF\n" + SQUARE[:20],
        "OFF\n" + SQUARE[:-4],
        "OFF\n" + SQUARE.replace("2 3", "2 4"),
    ],
)
def test_damaged_file_is_named(tmp_path, text):
    (tmp_path / "a.off").write_text(text)
    with pytest.raises(ValueError, match=r"OFF file must be whole.*a\.off"):
        read_off(tmp_path / "a.off")


def test_number_of_points_must_be_positive(tmp_path):
    with pytest.raises(ValueError, match="`num_points`.*num_points=0"):
        ModelNet40(tmp_path, num_points=0)
