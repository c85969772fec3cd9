"""Looks through a whole data set: what is in it, what is wrong, how it looks."""

import dataclasses
import functools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kseg.data.checking import find_problem
from kseg.data.datasets.dataset import default_colors
from kseg.data.scanning import scan
from kseg.files import checked_path, write_whole
from kseg.plot import cloud, legend, overlay, sheet

_SHOWN = 20
_NAMES = 30  # more classes than this make no readable legend


@dataclasses.dataclass(frozen=True)
class Report:
    """What was found in a data set; `str(report)` is a table to print.

    Attributes:
        class_names: Tuple of names, one per class id.
        pixels: int64 array, the pixels (or points) of each class.
        samples_with: int64 array, the samples in which each class occurs.
        ignored: Pixels to ignore.
        sizes: Dict with the number of samples of each size `(height, width)` of the
            mask, behind the frames for clips; `(points,)` for points.
        problems: Tuple of messages, one for each sample that cannot be used.
        count: Number of samples.
        expected: Number of samples as published, or `None` if that is not known.
    """

    class_names: tuple[str, ...]
    pixels: np.ndarray
    samples_with: np.ndarray
    ignored: int
    sizes: dict[tuple[int, ...], int]
    problems: tuple[str, ...]
    count: int
    expected: int | None = None

    @property
    def frequencies(self) -> np.ndarray:
        """Share of each class among the pixels that are not ignored."""
        return self.pixels / max(1, self.pixels.sum())

    def __str__(self):
        of = f" of {self.expected} published" if self.expected else ""
        lines = [f"{self.count}{of} samples, {len(self.problems)} of them unusable"]
        common = sorted(self.sizes.items(), key=lambda item: (-item[1], item[0]))
        listed = [f"{'x'.join(map(str, size))} ({n})" for size, n in common[:5]]
        more = f" and {len(common) - 5} more" if len(common) > 5 else ""
        lines.append(f"sizes: {', '.join(listed) or 'none'}{more}")
        total = int(self.pixels.sum()) + self.ignored
        lines.append(f"ignored: {self.ignored / max(1, total):.2%}")
        width = max(map(len, ("class", *self.class_names)))
        lines.append(f"  id  {'class':{width}}     share   samples")
        rows = zip(self.class_names, self.frequencies, self.samples_with, strict=True)
        for class_id, (name, share, samples) in enumerate(rows):
            lines.append(f"{class_id:4}  {name:{width}}  {share:8.3%}  {samples:8}")
        lines += [f"- {problem}" for problem in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            lines.append(f"- … and {len(self.problems) - _SHOWN} more")
        return "\n".join(lines)


def report(
    dataset: Sequence, sheet_path: str | Path | None = None, pictures: int = 12
) -> Report:
    """Opens every sample, checks it, counts its classes, and draws a contact sheet.

    The samples that `kseg.data.check` would refuse are listed and the rest is counted.
    On a terminal a bar shows the progress.

    Args:
        dataset: A `kseg.data.datasets.Dataset`, or any sequence of `Sample` or
            `PointSample` with the attributes `class_names` and `ignore_class`; `colors`,
            if it has them, are those of the sheet.
        sheet_path: `.png` file to write: evenly spaced samples with their masks painted
            over (the last frames of clips), or clouds in the colours of their labels, and
            the legend. `None` writes none; nor is one written if no sample can be used.
        pictures: Number of samples on the sheet.

    Returns:
        A `Report`.

    Raises:
        ValueError: If the data set is empty, `pictures` is not positive, or `sheet_path`
            does not end in .png.
        OSError: If the sheet cannot be written; before any sample is opened, where its
            folder tells.
    """
    if len(dataset) == 0:
        raise ValueError("`dataset` must hold samples. Received: an empty data set")
    if pictures < 1:
        raise ValueError(
            f"`pictures` must be a positive integer. Received: pictures={pictures!r}"
        )
    if sheet_path is not None:
        Path(sheet_path).parent.mkdir(parents=True, exist_ok=True)
        sheet_path = checked_path(sheet_path, ".png", "sheet_path")
    count = len(dataset.class_names)
    found = scan(lambda i: _examine(dataset, i), range(len(dataset)), "Checking")
    pixels, samples_with = np.zeros(count, np.int64), np.zeros(count, np.int64)
    ignored, sizes, problems, usable = 0, Counter(), [], []
    for index, result in enumerate(found):
        if isinstance(result, str | Exception):
            problems.append(str(result))
            continue
        size, counts, without = result
        pixels += counts
        samples_with += counts > 0
        ignored += without
        sizes[size] += 1
        usable.append(index)
    if sheet_path is not None and usable:
        picture = _contact_sheet(dataset, usable, pictures)
        write_whole(sheet_path, functools.partial(picture.save, format="PNG"))
    return Report(
        tuple(dataset.class_names),
        pixels,
        samples_with,
        ignored,
        dict(sizes),
        tuple(problems),
        len(dataset),
        getattr(dataset, "expected", None),
    )


def _examine(dataset, index):
    """`(size, counts of the classes, ignored pixels)`, or what is wrong as text."""
    sample, count = dataset[index], len(dataset.class_names)
    if problem := find_problem(dataset, index, sample):
        return problem
    if hasattr(sample, "points"):
        counts = np.bincount(sample.labels.ravel(), minlength=count)
        return sample.points.shape[:1], counts, 0
    mask = sample.mask
    ignore = mask == dataset.ignore_class
    counts = np.bincount(mask[~ignore], minlength=count)
    return mask.shape, counts, int(ignore.sum())


def _contact_sheet(dataset, usable, pictures):
    """Evenly spaced samples, painted, and the legend in a tile of its own."""
    names = dataset.class_names
    colors = getattr(dataset, "colors", None)
    if colors is None:
        colors = default_colors(len(names))
    places = np.linspace(0, len(usable) - 1, min(pictures, len(usable)))
    tiles, titles = [], []
    for index in dict.fromkeys(usable[round(place)] for place in places):
        sample = dataset[index]
        if hasattr(sample, "points"):
            up = getattr(dataset, "up", (0.0, 0.0, 1.0))
            tiles.append(cloud(sample.points, sample.labels, colors, up=up))
        else:
            height, width = sample.mask.shape[-2:]
            image = sample.image.reshape(-1, height, width, 3)[-1]  # of a clip the last
            mask = sample.mask.reshape(-1, height, width)[-1]
            ignore = dataset.ignore_class
            tiles.append(overlay(image, mask, colors, ignore_class=ignore))
        titles.append(sample.id)
    if len(names) <= _NAMES:
        tiles.append(legend(names, colors))
        titles.append("classes")
    return sheet(tiles, titles)
