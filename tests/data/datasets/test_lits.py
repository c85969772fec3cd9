import builtins
import gzip

import numpy as np
import pytest

from kseg.data.datasets import LiTS

nibabel = pytest.importorskip("nibabel", reason="the extra `data`")

# Axis codes of the file -> its affine, for voxels of 1 mm
RAS = np.eye(4)


@pytest.fixture
def make(tmp_path):
    """Writes volume and segmentation, given in RAS order, in other orientations."""

    def make(number, values, labels, codes="RAS", suffix=".nii"):
        folder = tmp_path / "Training Batch 1"
        folder.mkdir(exist_ok=True)
        target = nibabel.orientations.ornt_transform(
            nibabel.io_orientation(RAS), nibabel.orientations.axcodes2ornt(codes)
        )
        for kind, array in (("volume", values), ("segmentation", labels)):
            image = nibabel.Nifti1Image(array, RAS).as_reoriented(target)
            assert "".join(nibabel.aff2axcodes(image.affine)) == codes
            nibabel.save(image, folder / f"{kind}-{number}{suffix}")
        return tmp_path

    return make


def ramp(shape=(4, 5, 3)):
    values = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    return values, (values % 3).astype(np.uint8)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAS", "PIR", "SRA", "AIL"])
def test_slices_are_seen_by_a_radiologist(make, codes):
    """Up is the front, left the patient's right, whatever the file's orientation."""
    values, labels = ramp()
    dataset = LiTS(make(0, values, labels, codes), window=(127.5, 255))
    assert dataset.ids == ("volume-0/000", "volume-0/001", "volume-0/002")
    for k, sample in enumerate(dataset):
        # In RAS x grows to the right, y to the front, z to the top.
        seen = np.array(
            [[values[x, y, k] for x in range(3, -1, -1)] for y in range(4, -1, -1)]
        )
        np.testing.assert_array_equal(sample.image, np.stack([seen] * 3, -1))
        np.testing.assert_array_equal(sample.mask, seen % 3)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR"])
def test_volume_is_its_slices(make, codes):
    root = make(12, *ramp(), codes)
    slices, volumes = LiTS(root), LiTS(root, volumes=True)
    assert volumes.ids == ("volume-12",)
    volume = volumes[0]
    assert (volume.image.shape, volume.mask.shape) == ((3, 5, 4, 1), (3, 5, 4))
    for sample, image, mask in zip(slices, volume.image, volume.mask, strict=True):
        np.testing.assert_array_equal(sample.image[..., :1], image)
        np.testing.assert_array_equal(sample.mask, mask)


def test_window_is_level_and_width(make):
    values = np.zeros((5, 1, 1), np.int16)
    values[:, 0, 0] = (-1000, -150, 10, 250, 3000)
    dataset = LiTS(make(0, values, np.zeros((5, 1, 1), np.uint8)))
    # 50 +- 200: below is black, above is white, 10 is at 160 / 400 = 0.4 of 255
    assert dataset[0].image[0, ::-1, 0].tolist() == [0, 0, 102, 255, 255]


def test_volumes_are_in_the_order_of_their_numbers(make):
    for number, suffix in ((10, ".nii"), (2, ".nii.gz")):
        root = make(number, *ramp((2, 2, 1)), suffix=suffix)
    assert LiTS(root).ids == ("volume-2/000", "volume-10/000")
    assert LiTS(root)[0].mask.shape == (2, 2)


def test_real_ct(tmp_path, data_dir):
    """A CT volume of TotalSegmentator with its liver as segmentation."""
    folder = data_dir("totalsegmentator")
    organs = nibabel.load(folder / "example_seg.nii.gz")
    liver = (np.asarray(organs.dataobj) == 5).astype(np.uint8)
    nibabel.save(
        nibabel.Nifti1Image(liver, organs.affine), tmp_path / "segmentation-0.nii"
    )
    (tmp_path / "volume-0.nii.gz").symlink_to(folder / "example_ct_sm.nii.gz")
    dataset = LiTS(tmp_path)
    assert len(dataset) == 30
    assert dataset[0].image.shape == (101, 122, 3)
    # Oracle: the counts of the file
    found = sum(int((sample.mask == 1).sum()) for sample in dataset)
    assert found == liver.sum()


def test_uncompressed_slice_is_read_alone(make, monkeypatch):
    root = make(0, *ramp((6, 7, 30)))
    dataset = LiTS(root)
    read = []
    real = nibabel.arrayproxy.ArrayProxy.__getitem__

    def spy(self, where):
        result = real(self, where)
        read.append(result.shape)
        return result

    monkeypatch.setattr(nibabel.arrayproxy.ArrayProxy, "__getitem__", spy)
    dataset[3]
    assert read == [(6, 7, 1), (6, 7, 1)]


def test_label_of_another_data_set_is_named(make):
    values, _ = ramp()
    root = make(0, values, np.full(values.shape, 3, np.uint8))
    with pytest.raises(
        ValueError, match=r"0..2. Received.*segmentation-0\.nii' with 3"
    ):
        LiTS(root)[0]


def test_volume_without_segmentation_is_named(make):
    root = make(0, *ramp())
    (root / "Training Batch 1/segmentation-0.nii").unlink()
    with pytest.raises(
        ValueError, match=r"without 1 of 2 files: .*segmentation-0\.nii"
    ):
        LiTS(root)


def test_segmentation_of_another_size_is_named(make):
    root = make(0, *ramp())
    other = nibabel.Nifti1Image(np.zeros((4, 5, 2), np.uint8), RAS)
    nibabel.save(other, root / "Training Batch 1/segmentation-0.nii")
    with pytest.raises(ValueError, match=r"one size.*\(4, 5, 3\).*\(4, 5, 2\)"):
        LiTS(root)


def test_damaged_volume_is_named(make):
    root = make(0, *ramp((40, 40, 30)), suffix=".nii.gz")
    file = root / "Training Batch 1/volume-0.nii.gz"
    whole = gzip.decompress(file.read_bytes())
    file.write_bytes(gzip.compress(whole[:20_000]))
    with pytest.raises(ValueError, match=r"whole. Received: .*volume-0\.nii\.gz"):
        LiTS(root)[29]
    file.write_bytes(b"no")
    with pytest.raises(ValueError, match=r"there and whole. Received: .*volume-0"):
        LiTS(root)


@pytest.mark.parametrize("window", [(50,), (50, 0), (50, -1)])
def test_window_of_no_width_is_an_error(tmp_path, window):
    with pytest.raises(ValueError, match="`window`.*Received: window="):
        LiTS(tmp_path, window=window)


def test_without_nibabel_the_extra_is_named(make, monkeypatch):
    root = make(0, *ramp())
    real = builtins.__import__

    def missing(name, *args):
        if name == "nibabel":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"pip install 'kseg\[data\]'"):
        LiTS(root)
