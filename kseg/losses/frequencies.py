"""Class weights from how often each class occurs in a data set."""

import numpy as np

METHODS = ("median_frequency", "inverse", "enet", "effective_number")


def class_weights(dataset, method: str = "median_frequency", *, beta: float = 0.9999):
    """Computes class weights that balance rare and frequent classes.

    Reads every mask. With `pixels[c]` the valid pixels of class `c`:

    - `"median_frequency"`: `median(f) / f[c]`, where `f[c]` is `pixels[c]` divided by
      the valid pixels of those images that show the class
      ([SegNet](https://arxiv.org/abs/1511.00561), section 3.1).
    - `"inverse"`: `sum(pixels) / (classes * pixels[c])`, scikit-learn's "balanced".
    - `"enet"`: `1 / log(1.02 + pixels[c] / sum(pixels))`, between 1.4 and 50.5
      ([ENet](https://arxiv.org/abs/1606.02147), section 4.2).
    - `"effective_number"`: `(1 - beta) / (1 - beta ** images[c])`, scaled to a mean of
      1 ([Class-balanced loss](https://arxiv.org/abs/1901.05555), equation 11). The
      samples are the images that show the class, since pixels of one image are not
      independent.

    A class that occurs nowhere has weight 0.

    Args:
        dataset: A `kseg.data.datasets.Dataset`, or any sequence of samples with `mask`
            (or `labels`, as points have), with the attributes `class_names` and `ignore_class`.
        method: One of the four names. Defaults to `"median_frequency"`.
        beta: Between 0 and 1, for `"effective_number"` only. Defaults to `0.9999`.

    Returns:
        Tuple of one float per class name, for `class_weights` of
        `kseg.losses.SparseCrossEntropy`: two for a net with one foreground channel.

    Raises:
        ValueError: If the method is unknown, the data set empty, or a label no class.

    Example:

    >>> weights = kseg.losses.class_weights(dataset)
    >>> loss = kseg.losses.SparseCrossEntropy(class_weights=weights)
    """
    if method not in METHODS:
        raise ValueError(
            f"`method` must be one of {METHODS}. Received: method={method!r}"
        )
    if not 0 < beta < 1:
        raise ValueError(f"`beta` must be between 0 and 1. Received: beta={beta}")
    counts = _count(dataset)
    pixels, images = counts.sum(axis=0), (counts > 0).sum(axis=0)
    occurs = pixels > 0
    if not occurs.any():
        raise ValueError(
            "`dataset` must have a pixel that is not ignored. "
            f"Received: dataset={dataset!r}"
        )
    weights = np.zeros(len(pixels))
    if method == "median_frequency":
        shown = ((counts > 0) * counts.sum(axis=1, keepdims=True)).sum(axis=0)
        frequencies = pixels[occurs] / shown[occurs]
        weights[occurs] = np.median(frequencies) / frequencies
    elif method == "inverse":
        weights[occurs] = pixels.sum() / (len(pixels) * pixels[occurs])
    elif method == "enet":
        weights[occurs] = 1 / np.log(1.02 + pixels[occurs] / pixels.sum())
    else:
        weights[occurs] = 1 / (1 - beta ** images[occurs].astype("float64"))
        weights *= occurs.sum() / weights.sum()
    return tuple(weights.tolist())


def _count(dataset):
    """Valid pixels of every class in every image, of shape `(images, classes)`."""
    num_classes = len(dataset.class_names)
    counts = np.zeros((len(dataset), num_classes), "int64")
    for index in range(len(dataset)):
        sample = dataset[index]
        # Clouds of points have labels.
        mask = np.asarray(getattr(sample, "mask", getattr(sample, "labels", None)))
        values, numbers = np.unique(mask, return_counts=True)
        is_valid = values != dataset.ignore_class
        values, numbers = values[is_valid], numbers[is_valid]
        wrong = values[(values < 0) | (values >= num_classes)]
        if wrong.size:
            raise ValueError(
                f"`dataset` must hold masks of class ids from 0 to {num_classes - 1}, "
                f"or ignore_class={dataset.ignore_class}. Received: sample {index} "
                f"with the values {', '.join(map(str, wrong[:20]))}"
            )
        counts[index, values] = numbers
    return counts
