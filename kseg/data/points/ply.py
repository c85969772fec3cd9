"""The Polygon File Format (.ply): points in, labelled points out."""

from pathlib import Path

import numpy as np

from kseg.data.points.cloud import (
    Cloud,
    as_colors,
    as_labels,
    from_columns,
    from_text,
)
from kseg.files import checked_path, write_whole
from kseg.plot import palette

_TYPES = {
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "float": "f4",
    "double": "f8",
    "int8": "i1",
    "uint8": "u1",
    "int16": "i2",
    "uint16": "u2",
    "int32": "i4",
    "uint32": "u4",
    "float32": "f4",
    "float64": "f8",
}
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}
_LONGEST_HEADER = 2**16


def parse_ply(data: bytes) -> Cloud:
    """Reads the vertices of a `.ply`, ascii or binary of either order of bytes.

    Faces and other elements are left out.

    Raises:
        ValueError: If the content is damaged, cut short or has no points.
    """
    header, start = [], 0
    while not header or header[-1] != "end_header":
        # Bytes, because other ends of lines may be part of a comment's letters.
        end = data.find(b"\n", start, _LONGEST_HEADER)
        if not data.startswith(b"ply") or end < 0:
            raise ValueError("it does not begin with ply and a header")
        header.append(data[start:end].strip().decode("latin-1"))
        start = end + 1
    order, elements = _parse_header(header[:-1])
    body, start = data[start:], 0
    ascii = order == "="
    lines = body.splitlines() if ascii else []
    for name, count, dtype in elements:
        if name == "vertex":
            break
        if not ascii and dtype is None:
            raise ValueError(
                f"lists in front of the vertices ({name}) cannot be skipped"
            )
        start += count if ascii else count * dtype.itemsize
    else:
        raise ValueError("it has no element vertex")
    if dtype is None:
        raise ValueError("its vertices hold lists")
    if not ascii:
        # Before memory for them is asked for.
        if count * dtype.itemsize > len(body) - start:
            raise ValueError(f"it is too short for {count} vertices")
        rows = np.frombuffer(body, dtype, count, start)
        return from_columns({name: rows[name] for name in dtype.names})
    lines = [line.split() for line in lines[start : start + count]]
    if len(lines) < count:
        raise ValueError(f"it has {len(lines)} lines for {count} vertices")
    for number, line in enumerate(lines):
        if len(line) != len(dtype.names):
            raise ValueError(
                f"vertex {number} has {len(line)} values, not {len(dtype.names)}"
            )
    table = np.array(lines, np.float64).reshape(count, len(dtype.names))
    return from_columns(
        {
            name: from_text(name, table[:, index], dtype[name])
            for index, name in enumerate(dtype.names)
        }
    )


def _parse_header(lines):
    """Order of the bytes, and the elements: name, count, and dtype, `None` with lists."""
    order, elements = None, []
    for line in lines[1:]:
        words = line.split()
        match words:
            case [] | ["comment" | "obj_info", *_]:
                continue
            case ["format", form, _] if form in _ORDERS:
                order = _ORDERS[form]
            case ["element", name, count] if count.isdecimal() and len(count) < 13:
                elements.append((name, int(count), []))
            case ["property", "list", _, _, _] if elements:
                elements[-1][2].append(None)
            case ["property", kind, name] if elements and kind in _TYPES:
                elements[-1][2].append((name, (order or "") + _TYPES[kind]))
            case _:
                raise ValueError(f"its header has the line {line[:80]!r}")
    if order is None:
        raise ValueError("its header has no format that is known")
    return order, [
        (name, count, None if None in fields or not fields else np.dtype(fields))
        for name, count, fields in elements
    ]


def write_ply(path: str | Path, cloud: Cloud) -> None:
    """Writes a cloud as a binary `.ply` that is whole or not there.

    Labels go into the column `label`. A cloud with labels and without colours is painted
    in those of `kseg.plot.palette`, so that any viewer shows the classes. Colours of
    floats from 0 to 1, or of 16 bits, become those of 0 to 255. Coordinates that float32
    would round are written as float64.

    Args:
        path: File name that ends in `.ply`, in a folder that exists.
        cloud: The points.

    Raises:
        ValueError: If the name ends otherwise, a label is below 0 without colours, or
            colours or labels are none.
        OSError: If the file cannot be written; what was there before stays.
    """
    path = checked_path(path, ".ply")
    xyz, colors, labels = np.asarray(cloud.xyz), cloud.colors, cloud.labels
    try:
        colors = None if colors is None else as_colors(np.asarray(colors))
        labels = None if labels is None else as_labels(np.asarray(labels))
    except ValueError as error:
        raise ValueError(
            f"`cloud` must have colours and labels that a .ply holds. Received: {error}"
        ) from error
    if colors is None and labels is not None:
        lowest, most = int(np.min(labels, initial=0)), int(np.max(labels, initial=0))
        if lowest < 0 or most > 255:
            raise ValueError(
                "`cloud` must have labels from 0 to 255 to be painted, or colours. "
                f"Received: labels from {lowest} to {most}"
            )
        colors = np.array(palette(most + 1, background=False), np.uint8)[labels]
    single = xyz.astype(np.float32)
    exact = np.array_equal(single.astype(np.float64), xyz, equal_nan=True)
    fields = [(n, "<f4" if exact else "<f8", xyz[:, i]) for i, n in enumerate("xyz")]
    if cloud.normals is not None:
        names = ("nx", "ny", "nz")
        fields += [(n, "<f4", cloud.normals[:, i]) for i, n in enumerate(names)]
    if colors is not None:
        names = ("red", "green", "blue")
        fields += [(n, "u1", colors[:, i]) for i, n in enumerate(names)]
    if labels is not None:
        fields.append(("label", "<i4", labels))
    rows = np.empty(len(xyz), [(name, kind) for name, kind, _ in fields])
    for name, _, values in fields:
        rows[name] = values
    words = {"<f4": "float", "<f8": "double", "u1": "uchar", "<i4": "int"}
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    header += [f"property {words[kind]} {name}" for name, kind, _ in fields]
    text = "\n".join([*header, "end_header", ""])
    write_whole(path, text.encode("ascii") + rows.tobytes())
