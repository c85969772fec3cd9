import numpy as np
import pytest

from kseg.data.datasets import CamVid, CamVidColor, open_dataset


@pytest.fixture
def make(tmp_path, write):
    def make(ids, mask):
        for id in ids:
            size = (*np.shape(mask)[:2], 3)
            write(tmp_path / f"701_StillsRaw_full/{id}.png", np.zeros(size))
            write(tmp_path / f"LabeledApproved_full/{id}_L.png", mask)
        return tmp_path

    return make


def test_colors_become_classes_and_void_is_ignored(make):
    # label_colors.txt: Animal first, Wall last, Road 128 64 128
    mask = [[(64, 128, 64), (64, 192, 0)], [(128, 64, 128), (0, 0, 0)]]
    dataset = open_dataset(make(["0001TP_006690"], mask))
    assert isinstance(dataset, CamVidColor)
    names = [*dataset.class_names, None]
    found = [names[min(i, 31)] for i in dataset[0].mask.ravel().tolist()]
    assert found == ["Animal", "Wall", "Road", None]
    assert dataset[0].mask[1, 1] == 255
    assert len(dataset.class_names) == len(set(dataset.colors)) == 31


def test_splits_are_those_of_segnet(make, data_dir):
    """The names of SegNet's frames fall into the same splits here."""
    lists = {s: CamVid(data_dir("camvid"), s).ids for s in ("train", "validation")}
    assert [len(ids) for ids in lists.values()] == [367, 101]
    some = {split: ids[::9] for split, ids in lists.items()}
    # From test.txt of the tutorial, first and last of each video
    some["test"] = (
        "0001TP_008550",
        "0001TP_010380",
        "Seq05VD_f00000",
        "Seq05VD_f05100",
    )
    root = make([id for ids in some.values() for id in ids], [[(0, 0, 0)]])
    for split, ids in some.items():
        assert set(CamVidColor(root, split).ids) == set(ids)
    assert len(CamVidColor(root, "all")) == sum(map(len, some.values()))


def test_all_of_segnets_names_fall_into_their_split(data_dir):
    from kseg.data.datasets.camvid_color import _split

    for split in ("train", "validation"):
        assert {_split(id) for id in CamVid(data_dir("camvid"), split).ids} == {split}


def test_unknown_color_is_named(make):
    root = make(["0001TP_006690"], [[(1, 2, 3)]])
    with pytest.raises(ValueError, match=r"006690_L\.png' with \(1, 2, 3\)"):
        CamVidColor(root)[0]


def test_frame_without_labels_is_named(make):
    root = make(["0001TP_006690"], [[(0, 0, 0)]])
    (root / "LabeledApproved_full/0001TP_006690_L.png").unlink()
    with pytest.raises(ValueError, match="without 1 of 2 files: .*006690_L"):
        CamVidColor(root)
