"""What the readers of published data sets share: trees, lists of ids, label tables."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np

_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class Layout:
    """The tree of a data set as its publishers made it, and where it comes from.

    Attributes:
        name: Name of the data set.
        page: Page it can be downloaded from.
        tree: The expected files, one indented line each.
        markers: Paths or patterns below the root that no other data set has together.
    """

    name: str
    page: str
    tree: str
    markers: tuple[str, ...]

    def fits(self, root: Path) -> bool:
        """Tells whether a folder is laid out this way."""
        return all(any(root.glob(marker)) for marker in self.markers)

    def refuse(self, root: Path, problem: str) -> NoReturn:
        """Raises the `ValueError` that shows the tree and the page."""
        raise ValueError(
            f"`path` must be the root of {self.name}:\n{self.tree}\n"
            f"It can be downloaded from {self.page}\n"
            f"Received: path={str(root)!r} {problem}"
        )

    def require(self, root: Path, *entries: str) -> None:
        """Raises `ValueError` unless all entries are below `root`."""
        missing = [entry for entry in entries if not (root / entry).exists()]
        if missing:
            self.refuse(root, f"without {', '.join(missing)}")

    def complete(self, root: Path, items: Iterable[tuple]) -> list[tuple]:
        """Returns items `(id, image path, mask path)` if there are any and all exist."""
        items = list(items)
        if not items:
            self.refuse(root, "without samples of this split")
        files = dict.fromkeys(path for item in items for path in item[1:])
        missing = [str(path) for path in files if not path.is_file()]
        if missing:
            more = ", …" if len(missing) > _SHOWN else ""
            self.refuse(
                root,
                f"without {len(missing)} of {len(files)} files: "
                f"{', '.join(missing[:_SHOWN])}{more}",
            )
        return items

    def ids(self, root: Path, file: str) -> list[str]:
        """Reads a list of ids, one in each line."""
        return self.text(root, file).split()

    def text(self, root: Path, file: str) -> str:
        """Reads a file of text below `root`."""
        self.require(root, file)
        try:
            return (root / file).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self.refuse(root, f"with a damaged {file} ({error})")


def choose(argument: str, value: object, choices: Iterable) -> None:
    """Raises `ValueError` unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(
            f"`{argument}` must be one of {', '.join(map(repr, choices))}. "
            f"Received: {argument}={value!r}"
        )


def recode(mask: np.ndarray, table: Mapping[int, int], path: Path) -> np.ndarray:
    """Replaces stored values by class ids; a value without entry is an error."""
    size = max(max(table), int(mask.max(initial=0))) + 1
    lookup = np.full(size, -1, np.int32)
    lookup[list(table)] = list(table.values())
    # A negative value would count from the end.
    ids = np.where(mask < 0, -1, lookup[np.maximum(mask, 0)])
    if (ids < 0).any():
        wrong = np.unique(mask[ids < 0])[:_SHOWN].tolist()
        raise ValueError(
            f"A mask must hold the values of this data set, {_ranges(table)}. "
            f"Received: {str(path)!r} with {', '.join(map(str, wrong))}"
        )
    return ids.astype(np.uint8 if ids.max(initial=0) <= 255 else np.int32)


def recode_colors(
    rgb: np.ndarray, table: Mapping[tuple[int, int, int], int], path: Path
) -> np.ndarray:
    """Replaces colours `(height, width, 3)` by class ids; an unknown one is an error."""
    packed = rgb.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    codes = np.array([r << 16 | g << 8 | b for r, g, b in table], np.int32)
    order = np.argsort(codes)
    nearest = order[np.searchsorted(codes[order], packed).clip(max=len(codes) - 1)]
    wrong = codes[nearest] != packed
    if wrong.any():
        some = np.unique(rgb[wrong], axis=0)[:_SHOWN].tolist()
        raise ValueError(
            f"A mask must hold the {len(table)} colours of this data set. "
            f"Received: {str(path)!r} with {', '.join(str(tuple(c)) for c in some)}"
        )
    return np.array(list(table.values()), np.uint8)[nearest]


def read_mat(path: Path, key: str) -> np.ndarray:
    """Reads one variable of a MATLAB file; a damaged one is a `ValueError`."""
    import scipy.io

    try:
        return scipy.io.loadmat(path, variable_names=(key,))[key]
    except Exception as error:  # the parser raises whatever a damaged file provokes
        raise ValueError(
            f"A .mat file must be whole and hold `{key}`. "
            f"Received: {str(path)!r} ({type(error).__name__}: {error})"
        ) from error


def _ranges(values):
    """Integers as text, runs joined: `0..33, 255`."""
    runs = []
    for value in sorted(values):
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ", ".join(str(a) if a == b else f"{a}..{b}" for a, b in runs)
