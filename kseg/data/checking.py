"""Opens every sample of a data set before a run depends on it."""

from collections.abc import Sequence

import numpy as np

from kseg.data.scanning import raise_problems, scan


def check(dataset: Sequence) -> None:
    """Verifies that every sample can be read and holds valid labels.

    Opens each pair once, in threads, with a progress bar on a terminal if there
    are many. Checked are: both files decode; image and mask have one size; the
    image is uint8 of shape `(height, width, 3)`; the mask holds integers, each of
    them a class id or the ignore class.

    Args:
        dataset: A `kseg.data.datasets.Dataset`, or any sequence of `Sample` with
            the attributes `class_names` and `ignore_class`.

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
    image, mask = sample.image, sample.mask
    names = [f"{kind} of sample {sample.id!r}" for kind in ("image", "mask")]
    if hasattr(dataset, "paths"):
        names = [repr(str(path)) for path in dataset.paths(index)]
    image_name, mask_name = names
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        return (
            "An image must be uint8 of shape (height, width, 3). Received: "
            f"{image_name} of shape {image.shape}, {image.dtype}"
        )
    if not np.issubdtype(mask.dtype, np.integer):
        return f"A mask must hold integers. Received: {mask_name} of {mask.dtype}"
    if image.shape[:2] != mask.shape:
        return (
            "A mask must have the size of its image. "
            f"Received: {image_name} of {image.shape[:2]}, "
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
