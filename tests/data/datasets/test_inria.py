import numpy as np
import pytest

from kseg.data.datasets import InriaAerial, open_dataset

tifffile = pytest.importorskip("tifffile", reason="the extra `data`")


@pytest.fixture
def make(tmp_path):
    """Writes pictures `{name: (height, width)}` with masks."""

    def make(sizes):
        rng = np.random.default_rng(0)
        made = {}
        for kind in ("images", "gt"):
            (tmp_path / "train" / kind).mkdir(parents=True)
        for name, size in sizes.items():
            image = rng.integers(0, 256, (*size, 3), np.uint8)
            mask = rng.integers(0, 2, size, np.uint8) * 255
            images, masks = (
                tmp_path / f"train/{kind}/{name}.tif" for kind in ("images", "gt")
            )
            tifffile.imwrite(images, image, photometric="rgb")
            tifffile.imwrite(masks, mask)
            made[name] = image, mask
        return tmp_path, made

    return make


def test_tiles_together_are_the_picture(make):
    root, made = make({"vienna7": (60, 40)})
    dataset = InriaAerial(root, tile=20)
    assert len(dataset) == 6
    assert dataset.ids[:3] == (
        "vienna7/0000_0000",
        "vienna7/0000_0020",
        "vienna7/0020_0000",
    )
    image, mask = made["vienna7"]
    found = [[dataset[2 * y + x] for x in range(2)] for y in range(3)]
    for part, whole in (("image", image), ("mask", mask // 255)):
        rows = [np.concatenate([getattr(s, part) for s in row], 1) for row in found]
        np.testing.assert_array_equal(np.concatenate(rows), whole)
    assert dataset.num_classes == 1


def test_last_tile_is_moved_back_to_the_edge(make):
    root, made = make({"austin10": (50, 30)})
    dataset = InriaAerial(root, tile=30)
    assert dataset.ids == ("austin10/0000_0000", "austin10/0020_0000")
    image, mask = made["austin10"]
    np.testing.assert_array_equal(dataset[1].image, image[20:])
    np.testing.assert_array_equal(dataset[1].mask, mask[20:] == 255)


def test_first_five_pictures_of_a_city_validate(make):
    root, _ = make(
        {f"{c}{n}": (4, 4) for c in ("tyrol-w", "kitsap") for n in (1, 5, 6, 36)}
    )
    pictures = {
        split: [id.split("/")[0] for id in InriaAerial(root, split, tile=4).ids]
        for split in ("train", "validation", "all")
    }
    assert pictures["validation"] == ["kitsap1", "kitsap5", "tyrol-w1", "tyrol-w5"]
    assert pictures["train"] == ["kitsap6", "kitsap36", "tyrol-w6", "tyrol-w36"]
    assert len(pictures["all"]) == 8


def test_published_counts_of_tiles(make):
    root, _ = make({"austin6": (500, 500)})
    # 155 pictures of 5000x5000
    assert open_dataset(root).expected == 155 * 100
    assert InriaAerial(root, tile=400).expected == 155 * 13 * 13


def test_mask_of_another_size_is_named(make):
    root, _ = make({"austin6": (40, 40)})
    tifffile.imwrite(root / "train/gt/austin6.tif", np.zeros((40, 41), np.uint8))
    with pytest.raises(ValueError, match=r"gt/austin6\.tif' of \(40, 41\)"):
        InriaAerial(root, tile=20)


def test_picture_smaller_than_a_tile_is_named(make):
    root, _ = make({"austin6": (40, 40)})
    with pytest.raises(ValueError, match=r"at least 500. Received.*of \(40, 40\)"):
        InriaAerial(root)


def test_wrong_values_are_named(make):
    root, _ = make({"austin6": (4, 4)})
    tifffile.imwrite(root / "train/gt/austin6.tif", np.full((4, 4), 7, np.uint8))
    with pytest.raises(ValueError, match=r"0, 255. Received.*austin6\.tif' with 7"):
        InriaAerial(root, tile=4)[0]


def test_deep_picture_is_refused(make):
    root, _ = make({"austin6": (4, 4)})
    deep = np.zeros((4, 4, 3), np.uint16)
    tifffile.imwrite(root / "train/images/austin6.tif", deep, photometric="rgb")
    with pytest.raises(ValueError, match="RGB of 8 bits.*uint16"):
        InriaAerial(root, tile=4)[0]


def test_picture_without_mask_is_named(make):
    root, _ = make({"austin6": (4, 4), "austin7": (4, 4)})
    (root / "train/gt/austin7.tif").unlink()
    with pytest.raises(ValueError, match=r"without 1 of 4 files: .*gt/austin7\.tif"):
        InriaAerial(root, tile=4)


@pytest.mark.parametrize("tile", [0, 2.5])
def test_tile_must_be_a_positive_integer(tmp_path, tile):
    with pytest.raises(ValueError, match=f"`tile`.*Received: tile={tile}"):
        InriaAerial(tmp_path, tile=tile)
