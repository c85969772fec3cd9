import shutil

import numpy as np
import pytest
from PIL import Image

from kseg.data.datasets import DIVAHisDB

PAGE = "e-codices_csg-0863_004_max"
IMAGES = "img-CS863/img/training"
TRUTH = "pixel-level-gt-CS863/pixel-level-gt/training"


@pytest.fixture
def tree(tmp_path, data_dir):
    """A real page of the manuscript CS863 under the name of the data set."""
    (tmp_path / IMAGES).mkdir(parents=True)
    (tmp_path / TRUTH).mkdir(parents=True)
    folder = data_dir("handwriting")
    (tmp_path / IMAGES / f"{PAGE}.jpg").symlink_to(folder / f"{PAGE}.jpg")
    (tmp_path / TRUTH / f"{PAGE}.png").symlink_to(folder / f"{PAGE}_gt.png")
    return tmp_path


def test_bits_of_a_real_page(tree):
    dataset = DIVAHisDB(tree)
    assert dataset.ids == (f"CS863/{PAGE}",)
    truth = np.array(Image.open(tree / TRUTH / f"{PAGE}.png"))
    bits, sample = dataset.read_bits(0), dataset[0]
    assert sample.mask.shape == truth.shape[:2] == sample.image.shape[:2]
    for i, bit in enumerate((1, 2, 4, 8)):
        np.testing.assert_array_equal(bits[..., i], truth[..., 2] & bit > 0)
    np.testing.assert_array_equal(sample.mask == 255, truth[..., 0] == 128)


def test_highest_bit_wins(tmp_path, write):
    blue = [1, 2, 4, 8, 6, 10, 12, 14]
    truth = [[(0, 0, b) for b in blue], [(128, 0, b) for b in blue]]
    write(tmp_path / IMAGES / "p.jpg", np.zeros((2, 8, 3)))
    write(tmp_path / TRUTH / "p.png", truth)
    dataset = DIVAHisDB(tmp_path)
    assert dataset.class_names == (
        *("background", "comment", "decoration", "main text body"),
    )
    expected = [[0, 1, 2, 3, 2, 3, 3, 3], [255] * 8]
    np.testing.assert_array_equal(dataset[0].mask, expected)


@pytest.mark.parametrize("color", [(0, 0, 0), (0, 0, 16), (0, 1, 1), (127, 0, 1)])
def test_other_colors_are_named(tmp_path, write, color):
    write(tmp_path / IMAGES / "p.jpg", np.zeros((1, 2, 3)))
    write(tmp_path / TRUTH / "p.png", [[(0, 0, 1), color]])
    with pytest.raises(ValueError, match=r"p\.png' with .* at row 0, column 1") as e:
        DIVAHisDB(tmp_path)[0]
    assert str(color) in str(e.value)


def test_manuscripts_may_lie_deeper_and_without_the_archives_level(tmp_path, write):
    for name in ("CB55", "CS18"):
        base = tmp_path / "unpacked" / name
        write(base / f"img-{name}/public-test/p.jpg", np.zeros((1, 1, 3)))
        write(base / f"pixel-level-gt-{name}/public-test/p.png", [[(0, 0, 8)]])
    assert DIVAHisDB(tmp_path, "test").ids == ("CB55/p", "CS18/p")
    assert DIVAHisDB(tmp_path, "test", "CS18").ids == ("CS18/p",)
    with pytest.raises(ValueError, match="without pages or truth of CS863"):
        DIVAHisDB(tmp_path, "test", "CS863")


def test_manuscript_without_truth_is_an_error(tree):
    shutil.rmtree(tree / "pixel-level-gt-CS863")
    with pytest.raises(ValueError, match="without pages or truth of CS863"):
        DIVAHisDB(tree)
