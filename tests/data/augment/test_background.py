"""Backgrounds: what the mask leaves is replaced, the rest and the mask stay."""

import numpy as np
import pytest
from PIL import Image

from kseg.data.augment import Compose, RandomBackground, RandomCrop, RandomRotation

MASK = np.zeros((60, 80), "uint8")
MASK[20:50, 30:70] = 1
MASK[:, :5] = 255
PHOTO = np.full((60, 80, 3), 7, "uint8")
PHOTO[MASK == 1] = 200


def replace(background, seed=0, image=PHOTO, mask=MASK, size=(60, 80)):
    return background(image, mask, np.random.default_rng(seed), size)


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_background_becomes_one_colour_and_the_rest_stays(dtype):
    color = [np.full((9, 9, 3), (10, 20, 30), "uint8")]
    transform = RandomBackground(color, probability=1.0)
    image, mask = replace(transform, mask=MASK.astype(dtype))
    np.testing.assert_array_equal(mask, MASK)
    assert np.all(image[MASK == 0] == (10, 20, 30))
    np.testing.assert_array_equal(image[MASK != 0], PHOTO[MASK != 0])


def test_several_classes():
    color = [np.full((9, 9, 3), 99, "uint8")]
    image, _ = replace(RandomBackground(color, (1, 255), 1.0))
    assert np.all(image[MASK != 0] == 99)
    assert np.all(image[MASK == 0] == 7)


def test_the_border_is_as_soft_as_the_images_and_the_geometry_is_one():
    """A white object on black before white on a black background: no change."""
    photo = np.where(MASK[..., None] == 1, 255, 0).astype("uint8").repeat(3, -1)
    mask = np.where(MASK == 1, 1, 0).astype("uint8")
    geometry = [RandomCrop((0.5, 0.8)), RandomRotation(30)]
    black = RandomBackground([np.zeros((4, 4, 3), "uint8")], probability=1.0)
    gray = RandomBackground([np.full((4, 4, 3), 255, "uint8")], probability=1.0)
    for seed in range(5):
        plain, kept = replace(Compose(geometry), seed, photo, mask, (90, 100))
        same, _ = replace(Compose([*geometry, black]), seed, photo, mask, (90, 100))
        inside = kept != 255
        soft = inside & (plain[..., 0] > 0) & (plain[..., 0] < 255)
        assert soft.sum() > 20
        # alpha * 255 times alpha, as the photo is mixed with its own black already.
        alpha = plain[..., 0] / 255
        expected = 255 * alpha**2
        assert np.abs(same[..., 0] - expected)[inside].max() <= 1
        white, _ = replace(Compose([*geometry, gray]), seed, photo, mask, (90, 100))
        assert np.all(white[(kept == 0) & (plain[..., 0] == 0)] == 255)


@pytest.mark.parametrize("made_up", ["color", "noise"])
def test_made_up_backgrounds(made_up):
    transform = RandomBackground(made_up, probability=1.0)
    behind = [replace(transform, seed)[0][MASK == 0] for seed in range(3)]
    assert len({part.tobytes() for part in behind}) == 3
    for part in behind:
        assert (np.ptp(part, axis=0) == 0).all() == (made_up == "color")
        assert made_up == "color" or abs(part.mean() - 127.5) < 3


@pytest.mark.parametrize("kind", ["folder", "paths", "arrays"])
def test_backgrounds_of_files_and_arrays_are_all_used(kind, tmp_path):
    values = (40, 80, 120)
    arrays = [np.full((30 + v, 50, 3), v, "uint8") for v in values]
    paths = [tmp_path / f"{v}.png" for v in values]
    for path, array in zip(paths, arrays, strict=True):
        Image.fromarray(array).save(path)
    (tmp_path / "notes.txt").write_text("no picture")
    backgrounds = {"folder": str(tmp_path), "paths": paths, "arrays": arrays}[kind]
    transform = RandomBackground(backgrounds, probability=1.0)
    seen = [int(replace(transform, seed)[0][0, 10, 0]) for seed in range(40)]
    assert set(seen) == set(values)


def test_it_is_a_part_of_the_picture_and_depends_on_the_generator_alone():
    ramp = np.arange(200, dtype="uint8")[:, None, None] + np.zeros((1, 90, 3), "uint8")
    transform = RandomBackground([ramp], probability=1.0)
    image, _ = replace(transform, 3)
    np.testing.assert_array_equal(image, replace(transform, 3)[0])
    assert not np.array_equal(image, replace(transform, 4)[0])
    column = image[:, 6, 0].astype(int)
    assert np.all(np.diff(column) >= 0) and np.ptp(column) >= 90


def test_it_acts_as_often_as_it_is_told():
    transform = RandomBackground("color", probability=0.25)
    acted = [not np.array_equal(replace(transform, s)[0], PHOTO) for s in range(300)]
    assert abs(np.mean(acted) - 0.25) < 0.08


def test_without_a_mask_nothing_is_done():
    image, _ = replace(RandomBackground("color", probability=1.0), mask=None)
    np.testing.assert_array_equal(image, PHOTO)


def test_each_frame_of_a_clip_is_cut_out_by_its_own_mask():
    masks = np.stack([MASK, np.roll(MASK, 3, 1), np.roll(MASK, 6, 1)])
    clip = np.where(masks[..., None] == 1, 200, 7).astype("uint8").repeat(3, -1)
    transform = RandomBackground([np.full((4, 4, 3), 50, "uint8")], probability=1.0)
    images, kept = replace(transform, image=clip, mask=masks)
    np.testing.assert_array_equal(kept, masks)
    assert np.all(images[masks == 0] == 50)
    assert np.all(images[masks == 1] == 200)


def test_backgrounds_that_make_no_sense_are_named(tmp_path):
    wrong = [tmp_path, "nowhere", [], [3], [np.zeros((4, 4), "uint8")]]
    for backgrounds in [*wrong, [np.zeros((4, 4, 3))]]:
        with pytest.raises(ValueError, match="`backgrounds` must .* Received: back"):
            RandomBackground(backgrounds)
    with pytest.raises(ValueError, match="`classes` must .* Received: classes="):
        RandomBackground("color", classes="person")
    with pytest.raises(ValueError, match="`probability` must"):
        RandomBackground("color", probability=2)


def test_a_background_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"broken\.jpg"):
        replace(RandomBackground(tmp_path, probability=1.0))


def test_a_clip_with_the_mask_of_its_last_frame_alone_is_an_error():
    clip = np.stack([PHOTO] * 3)
    with pytest.raises(
        ValueError, match=r"a mask for each frame.*mask of shape \(60, 80"
    ):
        replace(RandomBackground("color", probability=1.0), image=clip)
    image, _ = replace(RandomBackground("color", probability=0.0), image=clip)
    np.testing.assert_array_equal(image, clip)
