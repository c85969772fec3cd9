import numpy as np
import pytest
from PIL import Image

from kseg.data.datasets import KITTIRoad, KITTISemantic


@pytest.fixture
def road(data_dir):
    return data_dir("kitti-road") / "data_tiny/data_road"


@pytest.mark.parametrize("labels", ["road", "lane"])
def test_magenta_is_road_and_black_is_ignored(road, labels):
    # Oracle: the road devkit: road where blue > 0, evaluated where red > 0.
    dataset = KITTIRoad(road, labels=labels)
    assert dataset.ids == ("um_000000", "um_000001")
    for sample in dataset:
        number = sample.id.split("_")[1]
        rgb = np.array(
            Image.open(road / f"training/gt_image_2/um_{labels}_{number}.png")
        )
        assert sample.image.shape == rgb.shape == (375, 1242, 3)
        np.testing.assert_array_equal(sample.mask == 1, rgb[..., 2] > 0)
        np.testing.assert_array_equal(sample.mask == 255, rgb[..., 0] == 0)
    assert dataset.num_classes == 1
    assert dataset.class_names == ("background", labels)


def test_lane_takes_the_marked_roads_alone(tmp_path, write):
    for id in ("um_000000", "umm_000000", "uu_000000"):
        write(tmp_path / f"training/image_2/{id}.png", np.zeros((1, 1, 3)))
        gt = id.replace("_", "_road_")
        write(tmp_path / f"training/gt_image_2/{gt}.png", [[(255, 0, 255)]])
    write(tmp_path / "training/gt_image_2/um_lane_000000.png", [[(255, 0, 0)]])
    assert KITTIRoad(tmp_path).ids == ("um_000000", "umm_000000", "uu_000000")
    assert KITTIRoad(tmp_path, labels="lane").ids == ("um_000000",)
    (tmp_path / "training/gt_image_2/uu_road_000000.png").unlink()
    with pytest.raises(ValueError, match="without 1 of 6 files: .*uu_road_000000"):
        KITTIRoad(tmp_path)


def test_other_color_is_named(tmp_path, write):
    write(tmp_path / "training/image_2/um_000000.png", np.zeros((1, 1, 3)))
    write(tmp_path / "training/gt_image_2/um_road_000000.png", [[(0, 255, 0)]])
    with pytest.raises(ValueError, match=r"um_road_000000.*with \(0, 255, 0\)"):
        KITTIRoad(tmp_path)[0]


def test_semantic_labels_become_train_ids(tmp_path, write):
    # Ids of cityscapesScripts: 7 road, 26 car, 29 caravan (not evaluated)
    write(tmp_path / "training/image_2/000000_10.png", np.zeros((1, 3, 3)))
    write(tmp_path / "training/semantic/000000_10.png", [[7, 26, 29]])
    dataset = KITTISemantic(tmp_path)
    assert (dataset.ids, dataset.expected) == (("000000_10",), 200)
    np.testing.assert_array_equal(dataset[0].mask, [[0, 13, 255]])


def test_semantic_photo_without_mask_is_named(tmp_path, write):
    write(tmp_path / "training/image_2/000001_10.png", np.zeros((1, 3, 3)))
    (tmp_path / "training/semantic").mkdir()
    with pytest.raises(ValueError, match=r"without 1 of 2.*semantic/000001_10\.png"):
        KITTISemantic(tmp_path)
