"""Calibration images from everything a user may have."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from kseg.mobile.exporting.calibration import evenly, read_calibration, read_masks
from kseg.mobile.images import PHOTOS

SIZE = (16, 24)


@pytest.fixture
def photos():
    return np.random.default_rng(0).integers(0, 256, (5, *SIZE, 3), "uint8")


def test_every_source_gives_the_same_images(photos, tmp_path):
    paths = [tmp_path / "a" / f"{index}.png" for index in range(5)]
    (tmp_path / "a").mkdir()
    for path, photo in zip(paths, photos, strict=True):
        Image.fromarray(photo).save(path)
    (tmp_path / "notes.txt").write_text("not an image")
    for source in (
        tmp_path,
        str(tmp_path),
        paths,
        photos,
        list(photos),
        [Image.fromarray(photo) for photo in photos],
        [SimpleNamespace(image=photo, mask=None) for photo in photos],
        photos.astype("float32"),
    ):
        images = read_calibration(source, SIZE, 3, limit=8)
        np.testing.assert_array_equal(np.concatenate(images), photos)
        assert images[0].dtype == np.uint8


def test_photos_are_resized_and_made_gray_as_the_net_wants_them():
    images = read_calibration(None, SIZE, 1, limit=100)
    assert [image.shape for image in images] == [(1, *SIZE, 1)] * 8
    paths = sorted(PHOTOS.glob("*.jpg"))
    expected = Image.open(paths[3]).convert("L").resize(SIZE[::-1], Image.BILINEAR)
    np.testing.assert_array_equal(images[3][0, ..., 0], np.asarray(expected))


def test_of_too_many_images_some_are_taken_at_even_distances():
    ramp = np.arange(101, dtype="uint8")[:, None, None, None]
    ramp = np.broadcast_to(ramp, (101, *SIZE, 3))
    images = read_calibration(ramp, SIZE, 3, limit=5)
    assert [int(image[0, 0, 0, 0]) for image in images] == [0, 25, 50, 75, 100]


def test_what_is_no_image_is_taken_as_it_is():
    scans = np.random.default_rng(0).normal(0, 500, (3, *SIZE, 1))
    images = read_calibration(scans, SIZE, 1, limit=8)
    np.testing.assert_array_equal(np.concatenate(images), scans.astype("float32"))
    with pytest.raises(ValueError, match=r"float arrays of shape \(16, 24, 5\)"):
        read_calibration(None, SIZE, 5, limit=8)


@pytest.mark.parametrize("scale", [1 / 255, 2.0, -1.0])
def test_images_of_another_range_are_refused(photos, scale):
    with pytest.raises(ValueError, match=r"images of 0-255.*Received: values from"):
        read_calibration(photos * scale, SIZE, 3, limit=8)


def test_sources_that_cannot_be_are_refused(photos, tmp_path):
    with pytest.raises(FileNotFoundError, match="existing folder"):
        read_calibration(tmp_path / "missing", SIZE, 3, limit=8)
    with pytest.raises(ValueError, match="at least one image.*none in"):
        read_calibration(tmp_path, SIZE, 3, limit=8)
    with pytest.raises(ValueError, match=r"`calibration` must be of shape"):
        read_calibration(photos[0], SIZE, 3, limit=8)
    with pytest.raises(TypeError, match="of type generator"):
        read_calibration((photo for photo in photos), SIZE, 3, limit=8)
    with pytest.raises(ValueError, match="net's input shape"):
        read_calibration(photos.astype("float32"), (8, 8), 3, limit=8)
    (tmp_path / "broken.png").write_bytes(b"not a png")
    with pytest.raises(ValueError, match=r"complete image file.*broken\.png"):
        read_calibration(tmp_path, SIZE, 3, limit=8)


def test_images_without_a_bright_pixel_are_floats_made_uint8(photos):
    with pytest.raises(
        ValueError, match=r"0-255. Received: uint8 images of which none"
    ):
        read_calibration((photos / 255).astype("uint8"), SIZE, 3, limit=8)
    dark = np.zeros_like(photos)  # night is no mistake
    assert len(read_calibration(dark, SIZE, 3, limit=8)) == 5


def test_masks_are_those_of_the_images_that_were_read():
    ramp = np.arange(101, dtype="uint8")[:, None, None]
    masks = np.broadcast_to(ramp % 3, (101, *SIZE))
    images = np.broadcast_to(ramp[..., None], (101, *SIZE, 3))
    read = read_calibration(images, SIZE, 3, limit=5)
    compared = evenly(len(read), 3)
    found = read_masks(masks, images, 5, compared, 3)
    values = [int(read[index][0, 0, 0, 0]) for index in compared]
    assert values == [0, 50, 100]
    assert [int(mask[0, 0]) for mask in found] == [value % 3 for value in values]


def test_samples_have_masks_of_their_own(photos):
    mask = np.array([[0, 255], [2, 1]])
    samples = [SimpleNamespace(image=photo, mask=mask) for photo in photos]
    samples[1].mask = None
    found = read_masks(None, samples, 8, [0, 1], 3)
    np.testing.assert_array_equal(found[0], mask)
    assert found[1] is None
    assert read_masks(None, photos, 8, [0, 1], 3) is None
    assert read_masks(None, samples[1:2], 8, [0], 3) is None
    with pytest.raises(ValueError, match=r"class ids below 2, or 255.*Received: \[2\]"):
        read_masks(None, samples, 8, [0], 1)
