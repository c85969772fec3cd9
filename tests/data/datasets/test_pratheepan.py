import numpy as np
import pytest
from PIL import Image

from kseg.data.datasets import Pratheepan


@pytest.fixture
def tree(tmp_path, data_dir):
    folder = data_dir("pratheepan")
    for part in ("FacePhoto", "FamilyPhoto"):
        for ours, theirs in (
            (f"Pratheepan_Dataset/{part}", "images"),
            (f"Ground_Truth/GroundT_{part}", "masks"),
        ):
            (tmp_path / ours).parent.mkdir(exist_ok=True)
            (tmp_path / ours).symlink_to(folder / part / theirs)
    return tmp_path


@pytest.mark.parametrize(
    ("split", "count"), [("face", 32), ("family", 46), ("all", 78)]
)
def test_counts_are_the_published_ones(tree, split, count):
    assert len(Pratheepan(tree, split)) == Pratheepan(tree, split).expected == count


def test_white_is_skin(tree):
    dataset = Pratheepan(tree, "family")
    assert dataset.num_classes == 1
    for index in range(3):
        stored = np.array(Image.open(dataset.paths(index)[1]).convert("L"))
        np.testing.assert_array_equal(dataset[index].mask, stored == 255)


def test_missing_half_is_named(tree):
    (tree / "Ground_Truth/GroundT_FamilyPhoto").unlink()
    assert len(Pratheepan(tree, "face")) == 32
    with pytest.raises(ValueError, match="without Ground_Truth/GroundT_FamilyPhoto"):
        Pratheepan(tree)


def test_grey_pixel_is_an_error(tmp_path, write):
    write(tmp_path / "Pratheepan_Dataset/FacePhoto/a.jpg", np.zeros((1, 2, 3)))
    write(tmp_path / "Ground_Truth/GroundT_FacePhoto/a.png", [[0, 128]])
    with pytest.raises(ValueError, match=r"0, 255. Received.*a\.png' with 128"):
        Pratheepan(tmp_path, "face")[0]
