"""Reads a part of a TIFF file that is too large to be loaded whole."""

from pathlib import Path

import numpy as np


def tiff_size(path: Path) -> tuple[int, int]:
    """Reads `(height, width)` from the header of a TIFF file."""
    with _open(path) as tiff:
        page = tiff.pages[0]
        return page.imagelength, page.imagewidth


def read_tiff_window(
    path: Path, top: int, left: int, height: int, width: int
) -> np.ndarray:
    """Reads a rectangle of the first picture in a TIFF file, and little more.

    Uncompressed files are mapped into memory; of others only the strips or tiles that
    the rectangle touches are decoded.

    Args:
        path: TIFF file with interleaved channels.
        top: First row.
        left: First column.
        height: Number of rows; fewer are returned at the lower edge.
        width: Number of columns; fewer are returned at the right edge.

    Returns:
        Array of the file's type, `(height, width)` or `(height, width, channels)`.

    Raises:
        ImportError: If tifffile is not installed.
        ValueError: If the file is damaged, keeps its channels apart, or is compressed
            in a way that needs a codec that is not installed.
    """
    with _open(path) as tiff:
        page = tiff.pages[0]
        if page.planarconfig != 1 and page.samplesperpixel > 1:
            raise ValueError(
                "A large TIFF file must have interleaved channels. "
                f"Received: {str(path)!r} with planes apart"
            )
        try:
            if page.is_memmappable:
                start, shape = page.dataoffsets[0], page.shape
                data = np.memmap(
                    path, tiff.byteorder + page.dtype.char, "r", start, shape
                )
                return np.array(data[top : top + height, left : left + width])
            return _decode(tiff, page, top, left, height, width)
        except Exception as error:  # codecs raise whatever damaged bytes provoke
            raise ValueError(
                "A TIFF file must be whole and in a compression that tifffile decodes "
                "(LZW and JPEG need `pip install imagecodecs`). "
                f"Received: {str(path)!r} ({type(error).__name__}: {error})"
            ) from error


def _decode(tiff, page, top, left, height, width):
    rows, columns = page.imagelength, page.imagewidth
    height, width = min(height, rows - top), min(width, columns - left)
    if page.is_tiled:
        step_y, step_x = page.tilelength, page.tilewidth
    else:
        step_y, step_x = page.rowsperstrip, columns
    across = -(-columns // step_x)
    shape = (height, width, *page.shape[2:])
    result = np.zeros(shape, page.dtype)
    for row in range(top // step_y, -(-(top + height) // step_y)):
        for column in range(left // step_x, -(-(left + width) // step_x)):
            index = row * across + column
            tiff.filehandle.seek(page.dataoffsets[index])
            data = tiff.filehandle.read(page.databytecounts[index])
            segment = page.decode(data, index, jpegtables=page.jpegtables)[0]
            if segment is None:  # a sparse file leaves out what is empty
                continue
            segment = segment[0].reshape(*segment.shape[1:3], *shape[2:])
            y, x = row * step_y, column * step_x
            first, start = max(top, y), max(left, x)
            last = min(top + height, y + segment.shape[0])
            stop = min(left + width, x + segment.shape[1])
            result[first - top : last - top, start - left : stop - left] = segment[
                first - y : last - y, start - x : stop - x
            ]
    return result


def _open(path):
    try:
        import tifffile
    except ImportError as error:
        raise ImportError(
            "Large TIFF files are read with tifffile: `pip install 'kseg[data]'`."
        ) from error
    try:
        return tifffile.TiffFile(path)
    except Exception as error:
        raise ValueError(
            "A TIFF file must be there and whole. "
            f"Received: {str(path)!r} ({type(error).__name__}: {error})"
        ) from error
