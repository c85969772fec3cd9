"""Opens every sample of a data set before a run depends on it."""

from collections.abc import Sequence

import numpy as np

from kseg.data.scanning import raise_problems, scan


def check(dataset: Sequence) -> None:
    """Verifies that every sample can be read and holds valid labels.

    Opens each pair once, in threads, with a progress bar on a terminal if there
    are many. Checked are: both files decode; image and mask have one size; the
    image is uint8 of shape `(height, width, 3)`; the mask holds integers, each of
    them a class id or the ignore class. Clips have a mask for each frame, or one for
    the last. Of clouds: the points are finite, and each has a class id, or the cloud
    has one.

    Args:
        dataset: A `kseg.data.datasets.Dataset`, or any sequence of `Sample` or
            `PointSample` with the attributes `class_names` and `ignore_class`.

    Raises:
        ValueError: If the data set is empty or any sample is unusable. All of them
            are collected, the first 20 named.
    """
    if len(dataset) == 0:
        raise ValueError("`dataset` must hold samples. Received: an empty data set")
    problems = scan(
        lambda index: find_problem(dataset, index, dataset[index]),
        range(len(dataset)),
        "Checking",
    )
    raise_problems([str(p) for p in problems if p], len(dataset), "samples")


def find_problem(dataset: Sequence, index: int, sample) -> str | None:
    """Returns what is wrong with a sample that was read, or `None`."""
    if hasattr(sample, "points"):
        return _point_problem(sample, len(dataset.class_names))
    image, mask = sample.image, sample.mask
    names = [f"{kind} of sample {sample.id!r}" for kind in ("image", "mask")]
    if hasattr(dataset, "paths"):
        names = [repr(str(path)) for path in dataset.paths(index)]
    image_name, mask_name = names
    if image.dtype != np.uint8 or image.ndim not in (3, 4) or image.shape[-1] != 3:
        return (
            "An image must be uint8 of shape (height, width, 3), a clip (frames, height, "
            f"width, 3). Received: {image_name} of shape {image.shape}, {image.dtype}"
        )
    if not np.issubdtype(mask.dtype, np.integer):
        return f"A mask must hold integers. Received: {mask_name} of {mask.dtype}"
    # A clip may have the mask of its last frame alone.
    if mask.shape not in (image.shape[:-1], image.shape[-3:-1]):
        return (
            "A mask must have the size of its image. "
            f"Received: {image_name} of {image.shape[:-1]}, "
            f"{mask_name} of {mask.shape}"
        )
    count, ignore = len(dataset.class_names), dataset.ignore_class
    # The plain comparison is much faster than np.unique on the usual, valid mask.
    wrong = ((mask < 0) | (mask >= count)) & (mask != ignore)
    if wrong.any():
        values = np.unique(mask[wrong])
        listed = ", ".join(map(str, values[:10])) + (", …" if len(values) > 10 else "")
        return (
            f"A mask must hold class ids 0..{count - 1} or {ignore} (ignored). "
            f"Received: {mask_name} with {listed}"
        )
    return None


def _point_problem(sample, count):
    points, labels = sample.points, sample.labels
    fits = points.ndim == 2 and points.shape[1] >= 3 and len(points)
    if not fits or not np.isfinite(points).all():
        return (
            "Points must be finite, of shape (points, 3 or more). Received: sample "
            f"{sample.id!r} of shape {points.shape}"
        )
    if labels is None:
        return f"There must be labels. Received: sample {sample.id!r} without"
    if labels.shape not in ((), points.shape[:1]):
        return (
            "There must be a label for each point, or one for all. Received: sample "
            f"{sample.id!r} with points {points.shape}, labels {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= count:
        return (
            f"Labels must be class ids 0..{count - 1}. Received: sample "
            f"{sample.id!r} with {labels.min()}..{labels.max()}"
        )
    return None
