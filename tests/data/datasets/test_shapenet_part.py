import json

import numpy as np
import pytest

from kseg.data.datasets import ShapeNetPart

NAME = "shapenetcore_partanno_segmentation_benchmark_v0_normal"
TABLE, SKATEBOARD = "04379243", "04225987"


@pytest.fixture
def tree(tmp_path, data_dir):
    """The four real shapes, listed as the data set lists its own."""
    folder = data_dir("shapenetpart") / "data" / NAME
    (tmp_path / "train_test_split").mkdir()
    ids = []
    for kind in (TABLE, SKATEBOARD):
        (tmp_path / kind).symlink_to(folder / kind)
        ids += [
            f"shape_data/{kind}/{f.stem}" for f in sorted((folder / kind).iterdir())
        ]
    file = tmp_path / "train_test_split/shuffled_train_file_list.json"
    file.write_text(json.dumps(ids))
    return tmp_path


def test_real_shapes(tree):
    dataset = ShapeNetPart(tree)
    assert (len(dataset), dataset.num_classes) == (4, 50)
    for sample in dataset:
        rows = np.loadtxt(tree / f"{sample.id}.txt")
        np.testing.assert_array_equal(sample.points, rows[:, :6].astype(np.float32))
        np.testing.assert_array_equal(sample.labels, rows[:, 6])
        # Parts by kind in PointNet's part segmentation: 44-46 and 47-49
        assert sample.category == (15 if TABLE in sample.id else 14)
        assert dataset.class_names[sample.labels[0]].startswith(
            "Table" if TABLE in sample.id else "Skateboard"
        )


def test_up_is_where_the_top_of_a_table_is(tree):
    dataset = ShapeNetPart(tree)
    for sample in dataset[:2]:
        heights = sample.points[:, :3] @ dataset.up
        top, legs = (heights[sample.labels == part] for part in (47, 48))
        assert top.min() > np.median(legs)


def test_listed_shape_that_is_absent_is_named(tree):
    file = tree / "train_test_split/shuffled_train_file_list.json"
    file.write_text(json.dumps([f"shape_data/{TABLE}/none"]))
    with pytest.raises(ValueError, match=rf"without 1 of 1 files: .*{TABLE}/none\.txt"):
        ShapeNetPart(tree)


@pytest.mark.parametrize("text", ["[", "[1]", '["shape_data/123/a"]'])
def test_damaged_list_is_an_error(tree, text):
    (tree / "train_test_split/shuffled_train_file_list.json").write_text(text)
    with pytest.raises(ValueError, match="damaged|unknown kinds"):
        ShapeNetPart(tree)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0 0 0 0 0 1 46", r"Table must be 47..49.*\[46"),
        ("0 0 0 0 0 1 47.5", r"Table must be 47..49.*47\.5"),
        ("0 0 0 0 0 47", r"7 finite numbers.*line 2: '0 0 0 0 0 47'"),
        ("0 0 0 0 0 nan 47", r"7 finite numbers.*line 2"),
        ("0 0 0 0 0 x 47", r"7 finite numbers.*line 2"),
    ],
)
def test_wrong_row_is_named(tree, row, message):
    (tree / TABLE).unlink()
    (tree / TABLE).mkdir()
    (tree / TABLE / "a.txt").write_text(f"0 0 0 0 0 1 47\n{row}\n")
    file = tree / "train_test_split/shuffled_train_file_list.json"
    file.write_text(json.dumps([f"shape_data/{TABLE}/a"]))
    with pytest.raises(ValueError, match=message):
        ShapeNetPart(tree)[0]
