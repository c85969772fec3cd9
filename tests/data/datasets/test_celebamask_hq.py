import numpy as np
import pytest
from PIL import Image

from kseg.data.datasets import CelebAMaskHQ, open_dataset

# g_mask.py of CelebAMask-HQ, label_list: class ids from 1 on
PARTS = [
    *("skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow"),
    *("r_brow", "l_ear", "r_ear", "mouth", "u_lip", "l_lip"),
    *("hair", "hat", "ear_r", "neck_l", "neck", "cloth"),
]
HEAD = "idx  orig_idx  orig_file\n"


@pytest.fixture
def tree(tmp_path, data_dir, write):
    """Two real masks cut into parts, photos of twice their size as published."""
    masks = sorted((data_dir("celebamask") / "masks").glob("*.png"))[:2]
    for number, file in zip((0, 2001), masks, strict=True):
        mask = np.array(Image.open(file))
        for class_id, part in enumerate(PARTS, 1):
            if (mask == class_id).any():
                name = f"{number // 2000}/{number:05}_{part}.png"
                rgb = np.repeat((mask == class_id)[..., None] * 255, 3, -1)
                write(tmp_path / "CelebAMask-HQ-mask-anno" / name, rgb)
        photo = np.arange(512 * 512 * 3).reshape(512, 512, 3) % 251
        write(tmp_path / f"CelebA-HQ-img/{number}.jpg", photo)
    text = f"{HEAD}0  119613  119613.jpg\n2001  190000  190000.jpg\n"
    (tmp_path / "CelebA-HQ-to-CelebA-mapping.txt").write_text(text)
    return tmp_path, [np.array(Image.open(file)) for file in masks]


def test_parts_put_together_are_the_mask(tree):
    dataset = CelebAMaskHQ(tree[0], "all")
    assert dataset.ids == ("0", "2001")
    assert dataset.class_names == ("background", *PARTS)
    for sample, mask in zip(dataset, tree[1], strict=True):
        np.testing.assert_array_equal(sample.mask, mask)


def test_photo_is_reduced_by_the_mean_of_four_pixels(tree):
    dataset = CelebAMaskHQ(tree[0], "all")
    photo = np.array(Image.open(dataset.paths(0)[0]), np.float64)
    mean = photo.reshape(256, 2, 256, 2, 3).mean((1, 3))
    np.testing.assert_allclose(dataset[0].image, mean, atol=0.5)


def test_splits_are_those_of_celeba(tree):
    # g_partition.py: test from number 182638 of CelebA on
    assert open_dataset(tree[0], "train").ids == ("0",)
    assert CelebAMaskHQ(tree[0], "test").ids == ("2001",)
    with pytest.raises(ValueError, match="without samples of this split"):
        CelebAMaskHQ(tree[0], "validation")


def test_borders_of_the_splits(tree):
    file = tree[0] / "CelebA-HQ-to-CelebA-mapping.txt"
    file.write_text(f"{HEAD}0 162770 a\n2001 162771 b\n")
    assert CelebAMaskHQ(tree[0], "train").ids == ("0",)
    assert CelebAMaskHQ(tree[0], "validation").ids == ("2001",)
    file.write_text(f"{HEAD}0 182637 a\n2001 182638 b\n")
    assert CelebAMaskHQ(tree[0], "validation").ids == ("0",)
    assert CelebAMaskHQ(tree[0], "test").ids == ("2001",)


def test_later_part_wins_where_two_overlap(tmp_path, write):
    write(tmp_path / "CelebA-HQ-img/5.jpg", np.zeros((2, 2, 3)))
    folder = tmp_path / "CelebAMask-HQ-mask-anno/0"
    write(folder / "00005_skin.png", [[255, 255], [255, 0]])
    write(folder / "00005_hair.png", [[0, 255], [0, 0]])
    (tmp_path / "CelebA-HQ-to-CelebA-mapping.txt").write_text(f"{HEAD}5 7 7.jpg\n")
    np.testing.assert_array_equal(CelebAMaskHQ(tmp_path)[0].mask, [[1, 13], [1, 0]])
    write(folder / "00005_hat.png", np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"one size.*_hat\.png' of \(3, 2\)"):
        CelebAMaskHQ(tmp_path)[0]


def test_face_without_parts_is_named(tree):
    for file in (tree[0] / "CelebAMask-HQ-mask-anno/1").iterdir():
        file.unlink()
    with pytest.raises(ValueError, match=r"without 1 of 4.*1/02001_skin\.png"):
        CelebAMaskHQ(tree[0], "all")


def test_photo_of_another_shape_is_named(tree, write):
    write(tree[0] / "CelebA-HQ-img/0.jpg", np.zeros((300, 256, 3)))
    with pytest.raises(ValueError, match=r"multiple.*0\.jpg' of \(300, 256\)"):
        CelebAMaskHQ(tree[0], "all")[0]


def test_damaged_mapping_is_an_error(tree):
    (tree[0] / "CelebA-HQ-to-CelebA-mapping.txt").write_text(f"{HEAD}0 x\n")
    with pytest.raises(ValueError, match="damaged CelebA-HQ-to-CelebA-mapping.txt"):
        CelebAMaskHQ(tree[0])
