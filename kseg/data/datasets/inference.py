"""What the values of a folder of masks mean: 0/255, class ids, palette, colours."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kseg.data.datasets.dataset import default_colors
from kseg.data.reading import mask_values, open_mask
from kseg.data.scanning import raise_problems, scan

_MOST_UNNAMED = 128  # soft mattes have more values than that


@dataclasses.dataclass(frozen=True)
class Meaning:
    """How stored mask values become class ids.

    Attributes:
        class_names: One name per class id.
        colors: One RGB triple per class id.
        scaled: Whether every value but 0 is the foreground (0/255 masks).
        report: What was inferred, for printing.
    """

    class_names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    scaled: bool
    report: dict


@dataclasses.dataclass(frozen=True)
class _Survey:
    """What one mask file holds: its kind, its values, the palette of the values."""

    kind: str
    values: frozenset[int]
    palette: tuple[tuple[int, tuple[int, int, int]], ...]


def infer(
    masks: Sequence[Path], class_names: Sequence[str] | None, ignore_class: int
) -> Meaning:
    """Infers from the values of all masks what they mean.

    Every mask is read, because a class may occur in the last one only; a file is
    not read again in this process while its time and size stay the same.

    Args:
        masks: Mask files.
        class_names: The name of each class id, if known.
        ignore_class: The stored value of pixels to ignore.

    Returns:
        The `Meaning`.

    Raises:
        ValueError: If a mask cannot be read, a value is no class id, or the values
            leave open what they mean.
    """
    results = scan(_survey, masks, "Reading masks")
    problems = [str(r) for r in results if isinstance(r, Exception)]
    raise_problems(problems, len(masks), "masks")
    surveys = dict(zip(masks, results, strict=True))
    palette = _one_palette(surveys)

    reserved = {ignore_class} if ignore_class != 255 else set()
    grey = _union(s.values for s in surveys.values() if s.kind != "1-bit") - reserved
    stored = _union(s.values for s in surveys.values())
    two_classes = class_names is None or len(class_names) == 2
    # Index 255 of PASCAL VOC's palette is no white but the colour of "ignore".
    white = palette.get(255, (255, 255, 255)) == (255, 255, 255)
    scaled = two_classes and 255 in grey and grey <= {0, 255} and white
    if scaled:
        ids, ignored = {int(value > 0) for value in stored - reserved}, reserved
    else:
        ids, ignored = stored - reserved - {255}, reserved or {255}
        if reserved and 255 in stored:
            _refuse(
                surveys,
                {255},
                "Samples reserve 255 for pixels to ignore, and 255 "
                f"occurs beside `ignore_class={ignore_class}`. Renumber that class.",
            )
        if class_names is None and ids <= {0, 1}:
            _refuse_mixed(surveys)

    names = tuple(class_names) if class_names else _unnamed(surveys, ids)
    wrong = {value for value in ids if not 0 <= value < len(names)}
    if wrong:
        _refuse(
            surveys,
            wrong,
            f"The masks must hold class ids 0..{len(names) - 1}, one per name in "
            f"`class_names={names}`, or {ignore_class} (ignored). Does id 0, often "
            "the background, have its name? Are 0/255 masks blurred at their edges?",
        )
    colors = default_colors(len(names))
    kinds = sorted({s.kind for s in surveys.values()})
    report = {
        "masks": "0/255 (255 is class 1)" if scaled else "class ids",
        "stored as": ", ".join(kinds),
        "class_names": list(names),
        "classes that never occur": [
            name for i, name in enumerate(names) if i not in ids
        ],
        "ignored value": next(iter(ignored & stored), None),
    }
    if not scaled:
        colors = tuple(palette.get(i, color) for i, color in enumerate(colors))
    return Meaning(names, colors, scaled, report)


def infer_colors(
    colors: Mapping[tuple[int, int, int], int], class_names: Sequence[str] | None
) -> Meaning:
    """Takes the meaning of painted masks from `colors`, RGB triple -> class id."""
    ids = {int(class_id) for class_id in colors.values()} - {255}
    count = len(class_names) if class_names else max(ids, default=-1) + 1
    channels = {c for color in colors for c in (*color, 0, 0, 0)[:3]}
    shapes = {len(color) for color in colors}
    fits = all(0 <= i < min(count, 255) for i in ids)
    if count < 2 or shapes != {3} or not fits or not channels <= set(range(256)):
        raise ValueError(
            "`colors` must map RGB triples of 0..255 to at least two class ids "
            "counted from 0, or to 255 for pixels to ignore; an id must have its name "
            f"if there are `class_names`. Received: colors={dict(colors)}, "
            f"class_names={class_names}"
        )
    names = tuple(class_names) if class_names else _default_names(count)
    of_id = {}
    for color, class_id in colors.items():
        of_id.setdefault(class_id, tuple(map(int, color)))
    default = default_colors(count)
    report = {
        "masks": "colours",
        "class_names": list(names),
        "classes that never occur": [n for i, n in enumerate(names) if i not in ids],
        "ignored value": of_id.get(255),
    }
    return Meaning(
        names, tuple(of_id.get(i, default[i]) for i in range(count)), False, report
    )


def _survey(path):
    status = path.stat() if path.exists() else None  # absent: open_mask says so
    return _survey_file(
        path, status and (status.st_ino, status.st_mtime_ns, status.st_size)
    )


@functools.cache
def _survey_file(path, version):
    image = open_mask(path)
    mask = mask_values(image, path)
    if mask.dtype == np.uint8:
        values = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
    else:
        values = np.unique(mask)
    values = frozenset(values.tolist())
    palette = ()
    if image.mode in ("P", "PA"):
        colors = np.reshape(image.getpalette("RGB") or [], (-1, 3)).tolist()
        palette = tuple((v, tuple(colors[v])) for v in values if v < len(colors))
    kind = {"1": "1-bit", "P": "palette", "PA": "palette"}.get(image.mode, "greyscale")
    return _Survey(kind, values, palette)


def _one_palette(surveys):
    """Merges the palettes; an index of two colours has no meaning of its own."""
    merged = {}
    for path, survey in surveys.items():
        for value, color in survey.palette:
            other, first = merged.setdefault(value, (color, path))
            if other != color:
                raise ValueError(
                    "Palette masks must share one palette, or their indices mean "
                    "nothing. Save the masks with one palette, or pass the meaning of "
                    "the colours, as in `colors={(0, 0, 0): 0, (128, 0, 0): 1}`. "
                    f"Received: index {value} is {other} in {str(first)!r} and "
                    f"{color} in {str(path)!r}"
                )
    return {value: color for value, (color, _) in merged.items()}


def _refuse_mixed(surveys):
    """0/1 masks and 0/255 masks in one folder, unless 255 is clearly "ignore"."""
    files = {
        value: [path for path, s in surveys.items() if value in s.values]
        for value in (1, 255)
    }
    if files[1] and files[255] and not set(files[1]) & set(files[255]):
        raise ValueError(
            "The masks must tell whether 255 is the foreground or to be ignored: "
            "some hold 1, others 255, none both. Save them all as 0/1 masks, or pass "
            "`class_names` (as in `class_names=('background', 'person')`, or a name per "
            "line in a file classes.txt in the mask folder) to have 255 ignored. "
            f"Received: 1 in {str(files[1][0])!r}, "
            f"255 in {str(files[255][0])!r}"
        )


def _unnamed(surveys, ids):
    """Names for class ids without names, if the ids themselves leave no doubt."""
    wish = (
        "Pass `class_names`, the name of every class id from 0 on (for the command "
        "line: one per line in a file classes.txt in the mask folder or beside it)"
    )
    if len(ids) < 2:
        _refuse(
            surveys,
            ids,
            "The masks must hold at least two classes to infer them. "
            f"{wish}, if this is right.",
        )
    # A sparse or huge set of values is rarely a numbering of classes.
    if 2 * len(ids) < max(ids) + 1 or len(ids) > _MOST_UNNAMED or min(ids) < 0:
        _refuse(
            surveys,
            ids,
            f"The masks must hold class ids 0, 1, 2, … to infer the classes. {wish}, if "
            "these are ids of which some do not occur; threshold the masks if they "
            "are soft 0/255 masks (antialiased or mattes); renumber them if they are "
            "grey levels or instance ids.",
        )
    return _default_names(max(ids) + 1)


def _default_names(count):
    return ("background", "foreground") if count == 2 else tuple(map(str, range(count)))


def _refuse(surveys, values, message):
    example = next((p for p, s in surveys.items() if s.values & values), None)
    listed = ", ".join(map(str, sorted(values)[:10])) + (", …" * (len(values) > 10))
    where = f" (as in {str(example)!r})" if example else ""
    raise ValueError(f"{message} Received: values {listed or 'none'}{where}")


def _union(sets):
    return frozenset().union(*sets)
