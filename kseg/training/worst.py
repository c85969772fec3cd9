"""The photos that a segmenter gets most wrong, as a picture."""

import numpy as np
from rich.progress import track

from kseg import plot
from kseg.training.evaluation import category_mask, check_pair


def draw_worst(segmenter, dataset, count: int = 6):
    """Draws the photos of the lowest IoU: photo, truth, and what the net says.

    The IoU of a photo is the mean over the classes that its truth or its mask has; of
    background and one class more, that class's alone.

    Args:
        segmenter: As in `kseg.training.evaluate`.
        dataset: As there.
        count: How many photos; all of them, where there are fewer.

    Returns:
        PIL image of mode `"RGB"`, the worst photo first, two photos in a row.

    Raises:
        TypeError: As `kseg.training.evaluate`.
        ValueError: As `kseg.training.evaluate`; if `count` is not positive.
    """
    check_pair(segmenter, dataset)
    if count < 1:
        raise ValueError(f"`count` must be a positive integer. Received: count={count}")
    found = []
    for index, sample in enumerate(track(dataset, "Looking at each", transient=True)):
        predicted = category_mask(segmenter, sample.image)
        share = photo_iou(sample.mask, predicted, dataset)
        found.append((share, index, predicted))
    found.sort(key=lambda entry: entry[:2])
    tiles, titles = [], []
    for share, index, predicted in found[:count]:
        sample = dataset[index]
        painted = (
            plot.overlay(
                sample.image, mask, dataset.colors, ignore_class=dataset.ignore_class
            )
            for mask in (sample.mask, predicted)
        )
        tiles += [sample.image, *painted]
        titles += [str(sample.id), "truth", f"IoU {share:.2f}"]
    return plot.sheet(tiles, titles, columns=6, tile=(300, 200))


def photo_iou(truth, predicted, dataset):
    """Mean IoU of one photo over the classes that are in it; 1 if none is."""
    known = truth != dataset.ignore_class
    truth, predicted = truth[known], predicted[known]
    foreground = range(int(dataset.num_classes == 2), dataset.num_classes)
    shares = []
    for label in foreground:
        either = np.sum((truth == label) | (predicted == label))
        if either:
            both = np.sum((truth == label) & (predicted == label))
            shares.append(both / either)
    return float(np.mean(shares)) if shares else 1.0
