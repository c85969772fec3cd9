"""What counts as an image, and how it is resized."""

import numpy as np
import pytest
from PIL import Image

from kseg.mobile.images import PHOTOS, as_pair, read_image, resize_image, resize_map


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (12, 20, 3), "uint8")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "1", "CMYK"])
def test_every_mode_of_pil_becomes_rgb(pixels, mode):
    picture = Image.fromarray(pixels).convert(mode)
    expected = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(read_image(picture), expected)


def test_exif_orientation_is_applied(pixels, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # EXIF 2.3, table 4: row 0 is the right-hand side
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(
        read_image(tmp_path / "turned.png"), np.rot90(pixels, -1)
    )


def test_sixteen_bit_grays_are_scaled_and_not_clipped(tmp_path):
    gray = (np.arange(256, dtype="uint16") * 257).reshape(16, 16)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    expected = np.arange(256, dtype="uint8").reshape(16, 16)
    image = read_image(tmp_path / "gray.png")
    np.testing.assert_array_equal(image, np.stack([expected] * 3, -1))


def test_arrays_of_one_and_four_channels_and_of_none(pixels):
    gray = pixels[..., 0]
    np.testing.assert_array_equal(read_image(gray), np.stack([gray] * 3, -1))
    np.testing.assert_array_equal(read_image(gray[..., None]), read_image(gray))
    alpha = np.dstack([pixels, gray])
    np.testing.assert_array_equal(read_image(alpha), pixels)


@pytest.mark.parametrize(
    ("array", "hint"),
    [
        (np.zeros((4, 5, 3), "float32"), r"\(255 \* image\)"),
        (np.full((4, 5, 3), 200.0), r"pass image.round"),
        (np.zeros((4, 5, 3), "int64"), "dtype=int64"),
        (np.zeros((4, 5), bool), "dtype=bool"),
    ],
)
def test_other_dtypes_are_refused_with_the_fix(array, hint):
    with pytest.raises(TypeError, match=f"`image` must be a uint8.*{hint}"):
        read_image(array)


@pytest.mark.parametrize(
    "shape", [(0, 5, 3), (5, 0, 3), (0, 0), (3, 40, 50), (2, 4, 5, 3), (7,), (4, 5, 2)]
)
def test_shapes_that_are_no_image_are_refused(shape):
    with pytest.raises(ValueError, match=r"`image` must have shape.*Received: shape="):
        read_image(np.zeros(shape, "uint8"))


def test_files_that_are_no_image_are_named(pixels, tmp_path):
    Image.fromarray(pixels).resize((200, 200)).save(tmp_path / "photo.jpg")
    whole = (tmp_path / "photo.jpg").read_bytes()
    (tmp_path / "photo.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no image")
    Image.fromarray(pixels).save(tmp_path / "cut.png")
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    for name in ("photo.jpg", "text.png", "cut.png"):
        with pytest.raises(ValueError, match=f"complete image file.*{name}"):
            read_image(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"missing\.png"):
        read_image(tmp_path / "missing.png")
    with pytest.raises(TypeError, match="of type NoneType"):
        read_image(None)
    with pytest.raises(ValueError, match="mode 'F'"):
        read_image(Image.fromarray(np.zeros((4, 4), "float32")))


def test_reduction_is_antialiased():
    # Every 8x8 block of a fine checkerboard averages to 127.5.
    board = np.indices((64, 64)).sum(0) % 2 * 255
    image = np.stack([board.astype("uint8")] * 3, -1)
    small = resize_image(image, (8, 8))
    assert np.abs(small.astype(int) - 127.5).max() <= 1.5
    assert resize_image(image, (4, 6), channels=1).shape == (4, 6, 1)


def test_maps_grow_by_half_pixel_bilinear_and_ids_by_the_nearest():
    ramp = np.array([[0.0, 1.0]], "float32")
    # Centres of four pixels over two: 0.25, 0.75, 1.25, 1.75 of width 2.
    np.testing.assert_allclose(resize_map(ramp, (1, 4)), [[0, 0.25, 0.75, 1]])
    ids = np.array([[0, 300]], "int32")
    np.testing.assert_array_equal(resize_map(ids, (2, 4)), [[0, 0, 300, 300]] * 2)
    assert resize_map(ids, (2, 4)).dtype == np.int32


def test_sizes_are_pairs():
    assert as_pair(7) == (7, 7)
    assert as_pair([np.int64(3), 4]) == (3, 4)
    for size in (0, (1, 2, 3), (1.5, 2), (-1, 4)):
        with pytest.raises(ValueError, match="`size` must be a positive integer or"):
            as_pair(size)


def test_the_bundled_photos_are_small_and_enough_for_integers():
    photos = sorted(PHOTOS.glob("*.jpg"))
    assert len(photos) == 8
    assert all(read_image(photo).shape[0] == 224 for photo in photos)
    assert sum(photo.stat().st_size for photo in photos) < 100_000
    assert "Apache-2.0" in (PHOTOS / "README.md").read_text("utf-8")
