"""The photos that a segmenter gets most wrong, as a picture."""

import heapq

import numpy as np
from rich.progress import track

from kseg import metrics, plot
from kseg.data.batches import check_integer
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
        TypeError: As `kseg.training.evaluate`; if `count` is no integer.
        ValueError: As `kseg.training.evaluate`; if `count` is not positive, or there is
            no photo.
    """
    check_pair(segmenter, dataset)
    count = check_integer("count", count, 1)
    if len(dataset) == 0:
        raise ValueError(f"`dataset` must hold a photo. Received: dataset={dataset!r}")
    found = heapq.nsmallest(
        count, _answers(segmenter, dataset), key=lambda answer: answer[:2]
    )
    tiles, titles = [], []
    for iou, index, predicted in found:
        sample = dataset[index]
        painted = (
            plot.overlay(
                sample.image, mask, dataset.colors, ignore_class=dataset.ignore_class
            )
            for mask in (sample.mask, predicted)
        )
        tiles += [sample.image, *painted]
        titles += [str(sample.id), "truth", f"IoU {iou:.2f}"]
    return plot.sheet(tiles, titles, columns=6, tile=(300, 200))


def _answers(segmenter, dataset):
    """IoU, index and mask of each photo; an IoU of 1 where no class is known."""
    metric = metrics.SegmentationMetrics(
        dataset.num_classes,
        metrics=("mean_iou", "iou"),
        ignore_class=dataset.ignore_class,
    )
    name = "iou_1" if dataset.num_classes == 2 else "mean_iou"
    for index, sample in enumerate(track(dataset, "Looking at each", transient=True)):
        predicted = category_mask(segmenter, sample.image)
        metric.reset_state()
        metric.update_state(
            np.asarray(sample.mask, "int32")[None], predicted.astype("int32")[None]
        )
        iou = float(metric.result()[name])
        yield 1.0 if np.isnan(iou) else iou, index, predicted
