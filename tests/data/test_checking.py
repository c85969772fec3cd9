import types

import numpy as np
import pytest
from PIL import Image

from kseg.data import Sample, check
from kseg.data.datasets import CCP, CamVid, Dataset, PointDataset, PointSample

PHOTO = np.zeros((6, 9, 3), np.uint8)


def make(folder, masks, images=None):
    items = []
    for i, mask in enumerate(masks):
        image, path = folder / f"{i}.jpg", folder / f"{i}.png"
        Image.fromarray(PHOTO if images is None else images[i]).save(image)
        Image.fromarray(np.asarray(mask, np.uint8)).save(path)
        items.append((str(i), image, path))
    return Dataset(items, ("a", "b", "c"))


def test_valid_samples_pass(tmp_path):
    mask = np.zeros((6, 9))
    mask[0, :3] = 1, 2, 255
    check(make(tmp_path, [mask, np.full((6, 9), 255)]))


def test_one_pixel_passes(tmp_path):
    check(make(tmp_path, [np.zeros((1, 1))], [np.zeros((1, 1, 3), np.uint8)]))


def test_all_problems_are_collected(tmp_path):
    dataset = make(
        tmp_path,
        [np.zeros((6, 9)), np.full((6, 9), 3), np.zeros((9, 6)), np.zeros((6, 9))],
    )
    photo = (tmp_path / "0.jpg").read_bytes()
    (tmp_path / "0.jpg").write_bytes(photo[: len(photo) // 2])
    with pytest.raises(ValueError, match="^3 of 4 samples") as caught:
        check(dataset)
    truncated, label, size = str(caught.value).splitlines()[1:]
    assert "0.jpg" in truncated
    assert "0..2 or 255" in label
    assert "1.png' with 3" in label
    assert "2.jpg' of (6, 9)" in size
    assert "2.png' of (9, 6)" in size


def test_many_wrong_labels_are_cut_short(tmp_path):
    mask = np.arange(54).reshape(6, 9)
    with pytest.raises(ValueError, match=r"with 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, …"):
        check(make(tmp_path, [mask]))


def test_empty_data_set_is_refused():
    with pytest.raises(ValueError, match="Received: an empty data set"):
        check(Dataset([], ("a", "b")))


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (PHOTO.astype(np.float32), np.zeros((6, 9), np.uint8), "uint8 of shape"),
        (PHOTO[..., 0], np.zeros((6, 9), np.uint8), "uint8 of shape"),
        (PHOTO, np.zeros((6, 9)), "must hold integers"),
        (PHOTO, np.zeros((6, 9, 1), np.uint8), "must have the size"),
        (PHOTO, np.full((6, 9), -1), "with -1"),
    ],
)
def test_sequence_of_the_users_own_is_checked_too(image, mask, message):
    class Samples(list):
        class_names = ("a", "b")
        ignore_class = 255

    with pytest.raises(ValueError, match=message) as caught:
        check(Samples([Sample(image, mask, "mine")]))
    assert "sample 'mine'" in str(caught.value)


class Own(list):
    class_names, ignore_class = ("a", "b", "c"), 255


CLIP = np.zeros((4, 6, 9, 3), np.uint8)


@pytest.mark.parametrize("shape", [(4, 6, 9), (6, 9)])
def test_clips_have_a_mask_for_each_frame_or_for_the_last(shape):
    mask = np.ones(shape, np.uint8)
    check(Own([Sample(CLIP, mask, "a")]))
    mask[..., 2, 3] = 7
    with pytest.raises(ValueError, match="mask of sample 'a' with 7"):
        check(Own([Sample(CLIP, mask, "a")]))


@pytest.mark.parametrize("shape", [(3, 6, 9), (9, 6), (4, 6), (4, 6, 9, 1)])
def test_masks_that_do_not_fit_a_clip_are_named(shape):
    with pytest.raises(ValueError, match=r"of \(4, 6, 9\), mask of sample 'a' of"):
        check(Own([Sample(CLIP, np.zeros(shape, np.uint8), "a")]))


POINTS = np.zeros((2, 3), np.float32)
CLOUDS = {
    "flat": (POINTS[:, :2], [0, 1], r"shape \(points, 3 or more\).*\(2, 2\)"),
    "none": (POINTS[:0], [], r"of shape \(0, 3\)"),
    "nan": (POINTS * np.nan, [0, 1], "finite.*sample 'a'"),
    "no labels": (POINTS, None, "sample 'a' without"),
    "too few": (POINTS, [0], r"labels \(1,\)"),
    "too high": (POINTS, [0, 3], r"0\.\.1.*with 0\.\.3"),
}


@pytest.mark.parametrize(("points", "labels", "message"), CLOUDS.values(), ids=CLOUDS)
def test_clouds_are_checked(points, labels, message):
    class Clouds(PointDataset):
        def read_sample(self, id, points_path, labels_path):
            one_for_all = PointSample(POINTS, np.array(1, np.int32), id)
            return PointSample(points, labels, id) if id == "a" else one_for_all

    labels = None if labels is None else np.array(labels, np.int32)
    dataset = Clouds([("a", "x", "x"), ("b", "x", "x")], ("table", "object"))
    check(dataset[1:])
    with pytest.raises(ValueError, match=f"(?s)1 of 2 samples.*{message}"):
        check(dataset)


def test_real_data_passes(data_dir):
    check(CCP(data_dir("ccp"), "validation")[:20])
    check(CamVid(data_dir("camvid"), "validation")[:20])


def test_check_is_a_function_of_the_package():
    assert isinstance(check, types.FunctionType)
