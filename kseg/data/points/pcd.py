"""The Point Cloud Library's format (.pcd)."""

import numpy as np
from numba import njit

from kseg.data.points.cloud import Cloud, from_columns, from_text

_LONGEST_HEADER = 2**16
_TYPES = {
    *(("F", 4), ("F", 8), ("I", 1), ("I", 2), ("I", 4), ("I", 8)),
    *(("U", 1), ("U", 2), ("U", 4), ("U", 8)),
}


def parse_pcd(data: bytes, most_bytes: int) -> Cloud:
    """Reads a `.pcd` whose data are `ascii`, `binary` or `binary_compressed`.

    Raises:
        ValueError: If the content is damaged, cut short, or unpacks to too many bytes.
    """
    header, form, body = _split(data)
    dtype, count = _layout(header)
    size = count * dtype.itemsize
    if size > most_bytes:
        raise ValueError(f"it unpacks to {size} bytes, {most_bytes} at most")
    if form == "ascii":
        return from_columns(_parse_text(body, dtype, count))
    if form == "binary":
        if len(body) < size:
            raise ValueError(f"it is too short for {count} points")
        rows = np.frombuffer(body, dtype, count)
        return from_columns({name: rows[name] for name in dtype.names})
    packed, unpacked = np.frombuffer(body[:8], "<u4") if len(body) >= 8 else (0, 0)
    if unpacked != size or packed > len(body) - 8:
        raise ValueError(f"its {packed} bytes do not unpack to {count} points")
    plain = np.empty(size, np.uint8)
    if _unpack(np.frombuffer(body, np.uint8, int(packed), 8), plain) != size:
        raise ValueError("its packed data are damaged")
    columns, start = {}, 0
    for name in dtype.names:  # one column after the other
        kind = dtype[name]
        columns[name] = np.frombuffer(plain, kind.base, count * _length(kind), start)
        columns[name] = columns[name].reshape(count, *kind.shape)
        start += count * kind.itemsize
    return from_columns(columns)


def _split(data):
    """The header as a dict of words, the form of the data, and the data."""
    header, start = {}, 0
    while start < min(len(data), _LONGEST_HEADER):
        end = data.find(b"\n", start, start + _LONGEST_HEADER)
        if end < 0:
            break
        words = data[start:end].decode("latin-1").split()
        start = end + 1
        if not words or words[0].startswith("#"):
            continue
        if words[0].upper() == "DATA":
            if words[1:] not in (["ascii"], ["binary"], ["binary_compressed"]):
                raise ValueError(f"its data are {' '.join(words[1:])[:40]!r}")
            return header, words[1], data[start:]
        header[words[0].upper()] = words[1:]
    raise ValueError("it has no header that ends in DATA")


def _layout(header):
    """The dtype of a point, and the number of points."""
    try:
        names = header["FIELDS"] if "FIELDS" in header else header["COLUMNS"]
        sizes = [int(word) for word in header["SIZE"]]
        counts = [int(word) for word in header.get("COUNT", ["1"] * len(names))]
        kinds = header["TYPE"]
        width, height = int(header["WIDTH"][0]), int(header.get("HEIGHT", ["1"])[0])
        count = int(header.get("POINTS", [width * height])[0])
        fields = []
        for i, (name, kind, size, many) in enumerate(
            zip(names, kinds, sizes, counts, strict=True)
        ):
            if (kind, size) not in _TYPES or not 0 < many <= 4096:
                raise ValueError(f"field {name} is {many} x {kind}{size}")
            name = f"_{i}" if name == "_" else name  # padding
            code = f"<{kind.lower()}{size}"
            fields.append((name, code) if many == 1 else (name, code, (many,)))
        dtype = np.dtype(fields)
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"its header is incomplete ({error})") from error
    if not 0 <= count < 2**40 or width < 0 or height < 0 or width * height != count:
        raise ValueError(f"it has {count} points in {width} x {height}")
    return dtype, count


def _parse_text(body, dtype, count):
    width = sum(_length(dtype[name]) for name in dtype.names)
    words = body.split()
    if len(words) < count * width:
        raise ValueError(f"it has {len(words)} numbers for {count} points of {width}")
    table = np.array(words[: count * width], np.float64).reshape(count, width)
    columns, start = {}, 0
    for name in dtype.names:
        length = _length(dtype[name])
        values = table[:, start : start + length]
        values = values[:, 0] if length == 1 else values
        if name in ("rgb", "rgba") and dtype[name].kind == "f":
            columns[name] = values.astype(dtype[name])  # whose bits are the colour
        else:
            columns[name] = from_text(name, values, dtype[name].base)
        start += length
    return columns


def _length(kind):
    return int(np.prod(kind.shape, dtype=int))


@njit(cache=True, nogil=True)
def _unpack(packed, plain):
    """Undoes Marc Lehmann's LZF; returns the bytes written, or -1 if it is damaged."""
    i, o = 0, 0
    while i < len(packed):
        control = int(packed[i])
        i += 1
        if control < 32:
            length = control + 1
            if i + length > len(packed) or o + length > len(plain):
                return -1
            plain[o : o + length] = packed[i : i + length]
            i += length
            o += length
            continue
        length = control >> 5
        if length == 7:
            if i >= len(packed):
                return -1
            length += int(packed[i])
            i += 1
        if i >= len(packed):
            return -1
        source = o - ((control & 31) << 8) - int(packed[i]) - 1
        i += 1
        length += 2
        if source < 0 or o + length > len(plain):
            return -1
        for _ in range(length):  # may overlap with what it writes
            plain[o] = plain[source]
            o += 1
            source += 1
    return o
