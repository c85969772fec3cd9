"""What every data set of points is: a sequence of clouds, read when asked for."""

import dataclasses
from pathlib import Path

import numpy as np

from kseg.data.datasets.dataset import Dataset


@dataclasses.dataclass(frozen=True, eq=False)
class PointSample:
    """A cloud of points with its labels.

    Attributes:
        points: float32 array of shape `(points, channels)`, x, y, z first.
        labels: int32 class ids of shape `(points,)`; `()` where the whole cloud is of
            one class. `None` where they are unknown.
        id: Name of the sample, unique in its data set.
        category: For parts of objects the id of the kind of object, else `None`.
        origin: float64 array of shape `(3,)`, what was subtracted from the coordinates of
            the file; `None` for nothing.
    """

    points: np.ndarray
    labels: np.ndarray | None
    id: str
    category: int | None = None
    origin: np.ndarray | None = None


class PointDataset(Dataset):
    """A sequence of `PointSample`; slices and `take` work as for pictures.

    A subclass overrides `read_sample`. `paths` gives the file of the points and the
    file of the labels, which may be one.

    Attributes:
        up: Direction `(x, y, z)` to the ceiling, for pictures.
    """

    up = (0.0, 0.0, 1.0)

    def read_sample(self, id: str, points_path: Path, labels_path: Path) -> PointSample:
        raise NotImplementedError(f"{type(self).__name__} must define `read_sample`.")


def read_numbers(path: Path, columns: int, first: int = 1) -> np.ndarray:
    """Reads a text of `columns` numbers a line as a float64 array.

    Raises:
        ValueError: If a line holds other than that many finite numbers; the message
            has its number, counted from `first` and with blank lines.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"A point file must be readable text. Received: {str(path)!r} ({error})"
        ) from error
    return parse_numbers(lines, columns, path, first)


def parse_numbers(lines, columns, path, first=1):
    """The same of lines that are read already; blank ones are left out."""
    numbers = [number for number, line in enumerate(lines, first) if line.strip()]
    lines = [line for line in lines if line.strip()]
    try:
        # One call for the whole file is much faster than one for each line.
        values = np.array(" ".join(lines).split(), np.float64)
        if values.size == len(lines) * columns and np.isfinite(values).all():
            widths = {len(line.split()) for line in lines}
            if widths <= {columns}:
                return values.reshape(-1, columns)
    except ValueError:
        pass
    for number, line in zip(numbers, lines, strict=True):
        if not is_row(line, columns):
            raise ValueError(
                f"A line of a point file must hold {columns} finite numbers. "
                f"Received: {str(path)!r}, line {number}: {line[:80]!r}"
            )
    raise ValueError(f"A point file must hold numbers. Received: {str(path)!r}")


def is_row(line: str, columns: int) -> bool:
    """Tells whether a line holds that many finite numbers."""
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        return False
    return len(values) == columns and bool(np.isfinite(values).all())
