"""Files of points -> clouds; every failure is a ValueError that names the file."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kseg.data.datasets.modelnet40 import read_off
from kseg.data.datasets.points import read_numbers
from kseg.data.npz import read_arrays
from kseg.data.points.cloud import Cloud, as_colors, as_labels, from_columns
from kseg.data.points.pcd import parse_pcd
from kseg.data.points.ply import parse_ply

SUFFIXES = (".las", ".laz", ".npz", ".off", ".pcd", ".ply", ".txt")
# What the arrays of a .npz are called.
_ARRAYS = {
    "xyz": ("xyz", "points", "pos", "coord"),
    "colors": ("rgb", "colors", "color"),
    "normals": ("normals", "normal"),
    "labels": ("label", "labels", "segment"),
}


def read_cloud(
    path: str | Path,
    *,
    columns: Sequence[str] | None = None,
    max_bytes: int = 2**30,
) -> Cloud:
    """Reads the points of a file, with the colours, normals and labels that it has.

    | suffix | what is read |
    |---|---|
    | `.ply` | the vertices, ascii or binary; `red`, `nx`, `label` and the like |
    | `.pcd` | ascii, binary and binary_compressed |
    | `.las`, `.laz` | with laspy: coordinates, colours, classification |
    | `.npz` | arrays `xyz`, `rgb`, `normals`, `label`; never Python objects |
    | `.txt` | a point per line, its numbers in the order of `columns` |
    | `.off` | the vertices of a mesh |

    Args:
        path: The file.
        columns: For `.txt`, the names of the numbers of a line, such as `("x", "y", "z",
            "red", "green", "blue", "label")`. Defaults to `None`: x, y, z alone.
        max_bytes: Most bytes of the file, and of what it unpacks to.

    Returns:
        A `Cloud`.

    Raises:
        ValueError: If the file is absent, damaged, empty, of another kind, or too large.
        ImportError: If a `.las` is to be read without laspy, or a `.laz` without lazrs.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"`path` must end in {', '.join(SUFFIXES)}. Received: path={str(path)!r}"
        )
    if columns is not None and suffix != ".txt":
        raise ValueError(
            "`columns` is for .txt; other files name their columns themselves. "
            f"Received: columns={columns}, path={str(path)!r}"
        )
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise ValueError(f"it has {size} bytes, {max_bytes} at most: `max_bytes`")
        if suffix == ".ply":
            cloud = parse_ply(path.read_bytes())
        elif suffix == ".pcd":
            cloud = parse_pcd(path.read_bytes(), max_bytes)
        elif suffix == ".npz":
            cloud = _read_npz(path, max_bytes)
        elif suffix == ".txt":
            cloud = _read_txt(path, columns)
        elif suffix == ".off":
            cloud = Cloud(read_off(path)[0])
        else:
            cloud = _read_las(path, max_bytes)
        if not len(cloud):
            raise ValueError("it has no points")
    except (OSError, ValueError, OverflowError) as error:
        raise ValueError(
            f"A file of points must be whole. Received: {str(path)!r}: {error}"
        ) from error
    return cloud


def _read_npz(path, max_bytes):
    names = [name for group in _ARRAYS.values() for name in group]
    arrays = read_arrays(path, names, max_bytes)
    found = {
        kind: next((arrays[name] for name in group if name in arrays), None)
        for kind, group in _ARRAYS.items()
    }
    xyz = found["xyz"]
    if xyz is None or xyz.ndim != 2 or xyz.shape[1] != 3 or xyz.dtype.kind not in "fiu":
        raise ValueError("it has no numbers `xyz` of shape (points, 3)")
    colors, normals, labels = (found[k] for k in ("colors", "normals", "labels"))
    return Cloud(
        xyz.astype(np.float64),
        None if colors is None else as_colors(colors),
        None if normals is None else normals.astype(np.float32),
        None if labels is None else as_labels(labels),
    )


def _read_txt(path, columns):
    names = ("x", "y", "z") if columns is None else tuple(columns)
    with path.open("rb") as file:
        first = file.readline(2**16).split()
    if len(first) != len(names):
        raise ValueError(
            f"its lines have {len(first)} numbers: name them with "
            f'columns=("x", "y", "z", …), of which {len(names)} were expected'
        )
    rows = read_numbers(path, len(names))
    return from_columns({name: rows[:, i] for i, name in enumerate(names)})


def _read_las(path, max_bytes):
    try:
        import laspy
    except ImportError as error:
        raise ImportError(
            "Reading .las needs laspy. Install it with: pip install 'kseg[points]'"
        ) from error
    _check_las(path)
    try:
        with laspy.open(path) as file:
            header = file.header
            size = header.point_count * header.point_format.size
            stored = path.stat().st_size - header.offset_to_point_data
            if size > max_bytes:
                raise ValueError(f"it unpacks to {size} bytes, {max_bytes} at most")
            if not header.are_points_compressed and size > stored:
                raise ValueError(f"it is too short for {header.point_count} points")
            if header.are_points_compressed and not laspy.LazBackend.detect_available():
                raise ImportError(
                    "Reading .laz needs lazrs. Install it with: pip install lazrs"
                )
            points = file.read()
    except (ImportError, ValueError):
        raise
    except Exception as error:  # laspy and lazrs each raise their own
        raise ValueError(f"{type(error).__name__}: {error}") from error
    colors = None
    if "red" in points.point_format.dimension_names:
        channels = [np.asarray(points[c], np.uint16) for c in ("red", "green", "blue")]
        colors = as_colors(np.stack(channels, axis=1))
    xyz = np.stack([points.x, points.y, points.z], axis=1).astype(np.float64)
    return Cloud(xyz, colors, None, np.asarray(points.classification, np.int32))


def _check_las(path):
    """Raises an error unless the records that the header counts fit into the file.

    laspy makes a list of as many, whatever a header of a few bytes says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(247)
    if len(header) < 104 or header[:4] != b"LASF":
        raise ValueError("it does not begin with a header of LASF")
    begin, points, records = struct.unpack_from("<HII", header, 94)
    fits = begin + 54 * records <= points <= size
    if header[25] >= 4 and len(header) == 247:  # from version 1.4 on
        begin, records = struct.unpack_from("<QI", header, 235)
        fits = fits and (not records or begin + 60 * records <= size)
    if not fits:
        raise ValueError("its header counts more records than it has room for")
