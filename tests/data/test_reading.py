import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from kseg.data.reading import (
    read_image,
    read_mask,
    read_mask_colors,
    read_orientation,
)
from kseg.mobile import images

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (13, 21, 3), np.uint8)
IDS = RNG.integers(0, 7, (13, 21), np.uint8)


def png(width, height, depth, color_type, rows):
    """A PNG file by the W3C specification, in depths that PIL does not write."""

    def chunk(name, data):
        checksum = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
        + chunk(b"IEND", b"")
    )


def encoded(array, file_format, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, file_format, **options)
    return buffer.getvalue()


def mode_of(path):
    with Image.open(path) as image:
        return image.mode


# Photos


@pytest.mark.parametrize("extension", ["png", "bmp", "tiff", "PNG"])
def test_image_of_lossless_format_is_exact(tmp_path, extension):
    path = tmp_path / f"a.{extension}"
    Image.fromarray(PHOTO).save(path)
    image = read_image(path)
    np.testing.assert_array_equal(image, PHOTO)
    assert image.dtype == np.uint8
    assert image.flags.writeable  # torch warns about arrays that are not


def test_image_path_as_string_with_unicode_and_spaces(tmp_path):
    path = tmp_path / "é ü 写真 🙂.png"
    Image.fromarray(PHOTO).save(path)
    np.testing.assert_array_equal(read_image(str(path)), PHOTO)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_image_is_turned_upright_as_pil_does(tmp_path, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / "a.jpg"
    Image.fromarray(PHOTO).save(path, exif=exif, quality=95)
    expected = np.array(ImageOps.exif_transpose(Image.open(path)))
    np.testing.assert_array_equal(read_image(path), expected)
    assert read_orientation(path) == orientation


def test_image_with_damaged_exif_is_read_as_stored(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(PHOTO).save(path, exif=b"Exif\0\0garbage", quality=95)
    np.testing.assert_array_equal(read_image(path), np.array(Image.open(path)))
    assert read_orientation(path) == 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_image_of_any_mode_becomes_rgb(tmp_path, mode):
    # Uniform red or its grey, so that dithering and palettes have one answer.
    source = Image.new("RGB", (5, 4), (255, 0, 0)).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    source.save(path)
    expected = np.array(source.convert("RGB"))
    np.testing.assert_array_equal(read_image(path), expected)


def test_palette_image_with_transparency_reads_without_warning(tmp_path):
    source = Image.fromarray(IDS).convert("P")
    path = tmp_path / "a.png"
    source.save(path, transparency=bytes([0, 128, 255]))
    np.testing.assert_array_equal(read_image(path), np.array(source.convert("RGB")))
    np.testing.assert_array_equal(read_mask_colors(path), read_image(path))


def test_image_of_one_pixel(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (1, 1), (1, 2, 3)).save(path)
    np.testing.assert_array_equal(read_image(path), [[[1, 2, 3]]])


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_16_bit_image_is_scaled_not_clipped(tmp_path, name):
    # Of the full range, as PNG has it (W3C, "Sample depth rescaling"): 65535 is white.
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(values).save(tmp_path / name)
    expected = np.rint(np.arange(65536) * (255 / 65535)).reshape(256, 256, 1)
    image = read_image(tmp_path / name)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, np.repeat(expected, 3, -1))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_training_and_phone_read_one_file_alike(tmp_path, mode):
    if mode == "I;16":
        picture = Image.fromarray(RNG.integers(0, 65536, (13, 21)).astype(np.uint16))
    else:
        picture = Image.fromarray(PHOTO).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    picture.save(path)
    assert mode_of(path) == mode
    np.testing.assert_array_equal(read_image(path), images.read_image(path))


@pytest.mark.parametrize("color_type", [2, 6])
def test_training_and_phone_read_16_bit_colours_alike(tmp_path, color_type):
    channels = {2: 3, 6: 4}[color_type]
    path = tmp_path / "deep.png"
    path.write_bytes(png(2, 1, 16, color_type, [b"\1\2\xfe\xff" * channels]))
    np.testing.assert_array_equal(read_image(path), images.read_image(path))


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_training_and_phone_refuse_values_of_unknown_range(tmp_path, dtype):
    path = tmp_path / "deep.tif"
    Image.fromarray(PHOTO[..., 0].astype(dtype)).save(path)
    for read in (read_image, images.read_image):
        with pytest.raises(ValueError, match=r"bits per .*Received: .* mode '[IF]'"):
            read(path)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_file_is_named(tmp_path, file_format, share):
    data = encoded(RNG.integers(0, 256, (64, 64, 3), np.uint8), file_format)
    path = tmp_path / "cut off.img"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match=r"whole file.*Received: '.*cut off\.img'"):
        read_image(path)


def test_corrupted_png_is_named(tmp_path):
    data = bytearray(encoded(PHOTO, "PNG"))
    start = data.index(b"IDAT") + 4
    data[start : start + 40] = bytes(40)
    path = tmp_path / "broken.png"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"Received: '.*broken\.png'"):
        read_image(path)
    with pytest.raises(ValueError, match=r"Received: '.*broken\.png'"):
        read_mask(path)


@pytest.mark.parametrize("content", [b"", b"\0", b"not a picture at all" * 10])
def test_file_that_is_no_picture_is_named(tmp_path, content):
    path = tmp_path / "text.jpg"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"UnidentifiedImageError.*text\.jpg"):
        read_image(path)


def test_absent_file_and_dangling_link_are_named(tmp_path):
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "gone.png")
    for path in (link, tmp_path / "none.png"):
        with pytest.raises(ValueError, match=f"FileNotFoundError.*{path.name}"):
            read_image(path)
        with pytest.raises(ValueError, match=f"FileNotFoundError.*{path.name}"):
            read_mask(path)


def test_folder_in_place_of_an_image_is_named(tmp_path):
    with pytest.raises(ValueError, match="IsADirectoryError"):
        read_image(tmp_path)


def test_decompression_bomb_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(60_000, 60_000, 8, 2, [b"\0"]))
    with pytest.raises(ValueError, match=r"MAX_IMAGE_PIXELS.*tiles.*bomb\.png"):
        read_image(path)
    with pytest.raises(ValueError, match=r"MAX_IMAGE_PIXELS.*tiles.*bomb\.png"):
        read_mask(path)


# Masks


def test_greyscale_mask_gives_its_values(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(IDS).save(path)
    mask = read_mask(path)
    np.testing.assert_array_equal(mask, IDS)
    assert mask.dtype == np.uint8
    assert mask.flags.writeable


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palette_mask_gives_indices_whatever_the_colours(tmp_path, bits):
    ids = IDS & (2**bits - 1)
    image = Image.fromarray(ids)
    image.putpalette([200, 30, 40, 0, 0, 0, 255, 255, 255] + [9] * 759)
    path = tmp_path / "a.png"
    image.save(path, bits=bits)
    assert mode_of(path) == "P"
    np.testing.assert_array_equal(read_mask(path), ids)


def test_one_bit_mask_gives_0_and_1(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(IDS > 2).save(path)
    assert mode_of(path) == "1"
    mask = read_mask(path)
    np.testing.assert_array_equal(mask, IDS > 2)
    assert mask.dtype == np.uint8


@pytest.mark.parametrize(("factor", "dtype"), [(1, np.uint8), (5000, np.int32)])
def test_16_bit_mask_keeps_its_values(tmp_path, factor, dtype):
    ids = IDS.astype(np.uint16) * factor
    for name in ("a.png", "a.tif"):
        Image.fromarray(ids).save(tmp_path / name)
        mask = read_mask(tmp_path / name)
        np.testing.assert_array_equal(mask, ids)
        assert mask.dtype == dtype


@pytest.mark.parametrize("bits", [2, 4])
def test_greyscale_mask_of_2_or_4_bits_is_refused(tmp_path, bits):
    # PIL reads sample value 1 of a 4-bit file as 17, and of a 2-bit file as 85.
    path = tmp_path / "packed.png"
    path.write_bytes(png(2, 1, bits, 0, [b"\x12"]))
    with pytest.raises(ValueError, match=rf"8-bit PNG.*packed\.png.*L;{bits}"):
        read_mask(path)


@pytest.mark.parametrize("color_type", [2, 4, 6])
def test_16_bit_colour_mask_is_refused(tmp_path, color_type):
    channels = {2: 3, 4: 2, 6: 4}[color_type]
    path = tmp_path / "deep.png"
    path.write_bytes(png(1, 1, 16, color_type, [b"\1\2" * channels]))
    with pytest.raises(ValueError, match=r"depths.*deep\.png"):
        read_mask(path)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_grey_mask_saved_with_more_channels_gives_its_grey_values(tmp_path, mode):
    path = tmp_path / "a.png"
    Image.fromarray(IDS).convert(mode).save(path)
    np.testing.assert_array_equal(read_mask(path), IDS)


def test_coloured_mask_is_refused_with_the_way_out(tmp_path):
    path = tmp_path / "road.png"
    Image.new("RGB", (2, 2), (255, 0, 255)).save(path)
    with pytest.raises(
        ValueError, match=r"`colors=.*classes\.txt.*road\.png.*\(255, 0, 255\)"
    ):
        read_mask(path)
    assert (read_mask_colors(path) == [255, 0, 255]).all()


def test_transparent_mask_is_refused(tmp_path):
    path = tmp_path / "glass.png"
    Image.new("RGBA", (2, 2), (1, 1, 1, 254)).save(path)
    with pytest.raises(ValueError, match=r"opaque.*glass\.png"):
        read_mask(path)
    with pytest.raises(ValueError, match=r"opaque.*glass\.png"):
        read_mask_colors(path)


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP"])
def test_lossy_mask_is_refused_even_if_named_png(tmp_path, file_format):
    path = tmp_path / "mask.png"
    path.write_bytes(encoded(IDS, file_format))
    with pytest.raises(ValueError, match=rf"without loss.*mask\.png.*{file_format}"):
        read_mask(path)


def test_tiff_mask_compressed_as_jpeg_is_refused(tmp_path):
    path = tmp_path / "mask.tif"
    Image.fromarray(IDS).save(path, compression="jpeg")
    with pytest.raises(ValueError, match=r"without loss.*mask\.tif' of format jpeg"):
        read_mask(path)


@pytest.mark.parametrize(
    "name", ["a.bmp", "a.gif", "a.tif", "a.tga", "a.pgm", "lzw.tif", "deflate.tif"]
)
def test_mask_of_any_lossless_format_is_exact(tmp_path, name):
    compression = {"lzw.tif": "tiff_lzw", "deflate.tif": "tiff_adobe_deflate"}
    options = {"compression": compression[name]} if name in compression else {}
    Image.fromarray(IDS).save(tmp_path / name, **options)
    np.testing.assert_array_equal(read_mask(tmp_path / name), IDS)


def test_big_endian_16_bit_mask(tmp_path):
    image = Image.new("I;16B", (3, 2), 300)
    image.save(tmp_path / "a.tif")
    assert mode_of(tmp_path / "a.tif") == "I;16B"
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), np.full((2, 3), 300))


def test_floating_point_mask_is_refused(tmp_path):
    path = tmp_path / "depth.tif"
    Image.fromarray(IDS.astype(np.float32)).save(path)
    with pytest.raises(ValueError, match=r"integer class id.*depth\.tif.*'F'"):
        read_mask(path)
