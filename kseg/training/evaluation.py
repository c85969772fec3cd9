"""Evaluates a segmenter at the photos' own resolution."""

import math

import numpy as np
from PIL import Image

from kseg import metrics


def evaluate(
    segmenter, dataset, *, metrics_names=("pixel_accuracy", "mean_iou", "iou")
):
    """Compares the masks of `segmenter` with the truth, pixel for pixel.

    Every photo is segmented whole and its mask compared at the photo's own size, so
    that figures of nets with different input sizes can be set side by side. One
    confusion matrix is summed over the whole data set.

    Args:
        segmenter: What `kseg.load` returns, or a Keras model with a fixed size.
        dataset: A `kseg.data.datasets.Dataset`.
        metrics_names: Metrics of `kseg.metrics.SegmentationMetrics` to report.
            Defaults to pixel accuracy, mean IoU and the IoU of each class.

    Returns:
        A dict of floats, by metric name.

    Raises:
        ValueError: If the mask of a photo has another size than the photo, or holds
            labels that the data set does not have.
    """
    metric = metrics.SegmentationMetrics(
        dataset.num_classes,
        metrics=metrics_names,
        class_names=dataset.class_names,
        ignore_class=dataset.ignore_class,
    )
    for sample in dataset:
        predicted = category_mask(segmenter, sample.image)
        metric.update_state(
            np.asarray(sample.mask, "int32")[None], predicted.astype("int32")[None]
        )
    return {name: float(value) for name, value in metric.result().items()}


def category_mask(segmenter, image):
    """Class ids `(height, width)` of `image` (uint8) at its own size."""
    if hasattr(segmenter, "segment"):
        return segmenter.segment(image).category_mask
    probabilities = _probabilities(segmenter, image)
    if probabilities.shape[-1] == 1:
        return (probabilities[..., 0] > 0.5).astype("uint8")
    return probabilities.argmax(-1)


def _probabilities(model, image):
    """Probabilities of a fixed-size Keras model, resized to the size of `image`."""
    height, width = model.input_shape[1:3]
    if height is None or width is None:
        # The whole photo, rounded up to what every backbone here divides.
        height, width = (math.ceil(n / 32) * 32 for n in image.shape[:2])
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    scores = model.predict_on_batch(np.asarray(resized, "float32")[None])[0]
    size = (image.shape[1], image.shape[0])
    maps = [
        Image.fromarray(np.ascontiguousarray(scores[..., i], "float32")).resize(
            size, Image.Resampling.BILINEAR
        )
        for i in range(scores.shape[-1])
    ]
    return np.stack([np.asarray(m) for m in maps], -1)
