"""Run lengths <-> bitmaps, as COCO and CVAT write them."""

import numpy as np


def decode_runs(counts, height: int, width: int, order: str) -> np.ndarray:
    """Expands run lengths that alternate between outside and inside.

    Args:
        counts: Integers whose sum is `height * width`; the first run is outside.
        height: Height of the bitmap.
        width: Width of the bitmap.
        order: `"C"` for runs along rows (CVAT), `"F"` along columns (COCO).

    Returns:
        bool array of shape `(height, width)`.
    """
    inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(inside, counts).reshape((height, width), order=order)


def encode_runs(inside: np.ndarray, order: str) -> list[int]:
    """Returns the run lengths of a bool array; the first run is outside."""
    values = inside.ravel(order=order)
    changes = np.flatnonzero(np.diff(values)) + 1
    bounds = np.concatenate([[0], changes, [values.size]])
    counts = np.diff(bounds).tolist()
    return [0, *counts] if values.size and values[0] else counts


def unpack_counts(text: str) -> list[int]:
    """Reads the run lengths of COCO's compressed form.

    Five bits per character from code 48 on, the sixth says that more follow; from
    the fourth number on, the difference to the last but one is stored.

    Raises:
        ValueError: If a character is none of these, or the last number is cut off.
    """
    counts, value, shift = [], 0, 0
    for position, character in enumerate(text):
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError(f"no run length at character {position}")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift  # negative numbers fill up with ones
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("the last run length is cut off")
    return counts


def pack_counts(counts) -> str:
    """Writes run lengths in COCO's compressed form; see `unpack_counts`."""
    characters = []
    for index, count in enumerate(counts):
        value = int(count) - (int(counts[index - 2]) if index > 2 else 0)
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != (-1 if bits & 16 else 0)
            characters.append(chr(48 + bits + (32 if more else 0)))
    return "".join(characters)
