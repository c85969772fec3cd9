"""Arrays of `.npz` files that nobody need trust."""

import zipfile
from pathlib import Path

import numpy as np


def read_arrays(path: str | Path, names, most_bytes: int) -> dict[str, np.ndarray]:
    """Reads those of the named arrays that a `.npz` holds.

    No Python object is unpickled, and nothing is unpacked that the archive says, or an
    array's header says, is larger than allowed.

    Args:
        path: The file.
        names: Names of arrays.
        most_bytes: Most bytes that these may take together.

    Returns:
        Dict from name to array.

    Raises:
        ValueError: If the file is absent, damaged, too large, or holds other than numbers.
    """
    path, arrays = Path(path), {}
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            names = [name for name in names if f"{name}.npy" in sizes]
            total = sum(sizes[f"{name}.npy"] for name in names)
            if total > most_bytes:
                raise ValueError(f"it unpacks to {total} bytes, {most_bytes} at most")
            for name in names:
                with archive.open(f"{name}.npy") as file:
                    arrays[name] = _read_array(file, sizes[f"{name}.npy"])
    except MemoryError:
        raise
    except Exception as error:  # zipfile and NumPy raise whatever damage provokes
        raise ValueError(
            "A .npz file must be whole, and hold plain arrays. "
            f"Received: {str(path)!r} ({type(error).__name__}: {error})"
        ) from error
    return arrays


def _read_array(file, size):
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"version {version} of the format is not known")
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not read")
    if dtype.kind not in "fiub":
        raise ValueError(f"it holds {dtype}, which are not numbers")
    # Else a header of a few bytes could ask for any memory.
    count = 1
    for length in shape:
        count *= length
    if count * dtype.itemsize > size:
        raise ValueError(f"an array of shape {shape} does not fit into {size} bytes")
    data = file.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise ValueError("an array is cut short")
    array = np.frombuffer(data, dtype)
    return array.reshape(shape, order="F" if fortran else "C")
