import builtins
import tracemalloc

import numpy as np
import pytest

from kseg.data.datasets.tiff import read_tiff_window, tiff_size

tifffile = pytest.importorskip("tifffile", reason="the extra `data`")

PICTURE = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
WINDOWS = [(0, 0, 10, 10), (13, 31, 40, 20), (60, 80, 10, 10), (0, 0, 70, 90)]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rowsperstrip": 16, "compression": "zlib"},
        {"tile": (32, 16), "compression": "zlib"},
        {"tile": (32, 16)},
        {"compression": "zlib", "predictor": True},
    ],
    ids=["plain", "strips", "tiles", "raw tiles", "predictor"],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_window_is_a_part_of_the_picture(tmp_path, options, window, channels):
    picture = PICTURE if channels == 3 else PICTURE[..., 0]
    kind = "rgb" if channels == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric=kind, **options)
    top, left, height, width = window
    expected = picture[top : top + height, left : left + width]
    found = read_tiff_window(tmp_path / "a.tif", *window)
    np.testing.assert_array_equal(found, expected)
    assert tiff_size(tmp_path / "a.tif") == (70, 90)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "tile": (32, 32)}])
def test_window_ends_at_the_edge(tmp_path, options):
    tifffile.imwrite(tmp_path / "a.tif", PICTURE, photometric="rgb", **options)
    found = read_tiff_window(tmp_path / "a.tif", 65, 85, 20, 20)
    np.testing.assert_array_equal(found, PICTURE[65:, 85:])


def test_other_byte_order(tmp_path):
    values = np.arange(600, dtype=np.uint16).reshape(20, 30)
    tifffile.imwrite(tmp_path / "a.tif", values, byteorder=">")
    found = read_tiff_window(tmp_path / "a.tif", 5, 5, 4, 4)
    np.testing.assert_array_equal(found, values[5:9, 5:9])


def test_large_file_is_not_loaded_whole(tmp_path):
    """A sparse file of 1.2 GB, which takes no room on the disk."""
    path, size = tmp_path / "large.tif", 20_000
    picture = tifffile.memmap(
        path, shape=(size, size, 3), dtype=np.uint8, photometric="rgb"
    )
    picture[12_345, 6_789] = (1, 2, 3)
    picture.flush()
    del picture
    assert path.stat().st_size > size * size * 3
    tracemalloc.start()
    try:
        tile = read_tiff_window(path, 12_300, 6_700, 500, 500)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert tile[45, 89].tolist() == [1, 2, 3]
    assert tile.sum() == 6
    assert peak < 3 * tile.nbytes


def test_compressed_file_decodes_only_what_is_touched(tmp_path):
    """Damage elsewhere goes unnoticed, damage inside is named."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, PICTURE, photometric="rgb", compression="zlib", rowsperstrip=10
    )
    with tifffile.TiffFile(path) as tiff:
        start, count = tiff.pages[0].dataoffsets[3], tiff.pages[0].databytecounts[3]
    content = bytearray(path.read_bytes())
    content[start : start + count] = bytes(count)
    path.write_bytes(content)
    for top in (0, 40):
        found = read_tiff_window(path, top, 0, 30, 90)
        np.testing.assert_array_equal(found, PICTURE[top : top + 30])
    with pytest.raises(ValueError, match=r"whole.*Received: .*a\.tif"):
        read_tiff_window(path, 25, 0, 10, 10)


def test_planes_apart_are_refused(tmp_path):
    planes = PICTURE.transpose(2, 0, 1)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")
    with pytest.raises(ValueError, match=r"interleaved.*a\.tif"):
        read_tiff_window(path, 0, 0, 5, 5)


@pytest.mark.parametrize("content", [None, b"", b"no picture at all"])
def test_file_that_is_no_tiff_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(ValueError, match=r"there and whole. Received: .*a\.tif"):
        tiff_size(tmp_path / "a.tif")


def test_without_tifffile_the_extra_is_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def missing(name, *args):
        if name == "tifffile":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"pip install 'kseg\[data\]'"):
        tiff_size(tmp_path / "a.tif")


def test_real_geotiff(data_dir):
    # Oracle: the whole picture as tifffile reads it.
    file = next(iter(sorted(data_dir("aerial").rglob("*.tif*"))))
    whole = tifffile.imread(file)
    if whole.shape[0] < 10:
        pytest.skip("planes apart")
    found = read_tiff_window(file, 100, 200, 50, 60)
    np.testing.assert_array_equal(found, whole[100:150, 200:260])
