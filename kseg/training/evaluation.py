"""Evaluates a segmenter at the photos' own resolution."""

from pathlib import Path

import keras
import numpy as np
from PIL import Image

from kseg import metrics
from kseg.models.inference import output_kind, photo_size


def evaluate(
    segmenter, dataset, *, metrics_names=("pixel_accuracy", "mean_iou", "iou")
):
    """Compares the masks of `segmenter` with the truth, pixel for pixel.

    Every photo is segmented whole and its mask compared at the photo's own size, so
    that figures of nets with different input sizes can be set side by side. One
    confusion matrix is summed over the whole data set.

    Args:
        segmenter: What `kseg.load` returns, or a Keras model, of probabilities or
            logits. A model that takes any size gets each photo with its long side at
            most 512, as `kseg.load` does.
        dataset: A `kseg.data.datasets.Dataset`.
        metrics_names: Metrics of `kseg.metrics.SegmentationMetrics` to report.
            Defaults to pixel accuracy, mean IoU and the IoU of each class.

    Returns:
        A dict of floats, by metric name.

    Raises:
        TypeError: If `segmenter` or `dataset` is something else, such as a path.
        ValueError: If the net has other classes than the data set, or the mask of a
            photo has another size than the photo or holds labels that the data set
            does not have.
    """
    check_pair(segmenter, dataset)
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
        if hasattr(segmenter, "reset"):  # one of videos: photos are of one frame each
            segmenter.reset()
        result = segmenter.segment(image, output_confidence_masks=False)
        return result.category_mask
    scores = _scores(segmenter, image)
    maps = (_resized(scores[..., i], image.shape) for i in range(scores.shape[-1]))
    best = next(maps)
    if scores.shape[-1] == 1:
        return (best > 0.5).astype("uint8")
    ids = np.zeros(best.shape, "int32")
    for index, confidence in enumerate(maps, 1):  # photos are large, classes many
        ids[confidence > best] = index
        best = np.maximum(best, confidence)
    return ids


def _scores(model, image):
    """Probabilities of a Keras model at the size of its output."""
    height, width = model.input_shape[1:3]
    if height is None or width is None:
        height, width = photo_size(image.shape[:2])
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    scores = model.predict_on_batch(np.asarray(resized, "float32")[None])
    if isinstance(scores, list | tuple):  # the first output is the segmentation
        scores = scores[0]
    if output_kind(model) == "logits":
        activate = keras.ops.sigmoid if scores.shape[-1] == 1 else keras.ops.softmax
        scores = activate(keras.ops.cast(scores, "float32"))
    return keras.ops.convert_to_numpy(scores)[0]


def _resized(confidence, shape):
    picture = Image.fromarray(np.ascontiguousarray(confidence, "float32"))
    size = (shape[1], shape[0])
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR))


def check_pair(segmenter, dataset):
    """Raises an error unless these two can be compared."""
    is_model = isinstance(segmenter, keras.Model) and hasattr(segmenter, "outputs")
    if not is_model and not hasattr(segmenter, "segment"):
        raise TypeError(
            "`segmenter` must be a functional Keras model or what `kseg.load` returns, "
            "as in kseg.training.evaluate(kseg.load('person'), dataset). "
            f"Received: segmenter={segmenter!r} (of type {type(segmenter).__name__})"
        )
    if isinstance(dataset, str | Path):
        raise TypeError(
            "`dataset` must be a data set: kseg.data.datasets.open_dataset(path, "
            f"'validation') opens one. Received: dataset={str(dataset)!r}"
        )
    if is_model:
        channels = segmenter.outputs[0].shape[-1]
    else:
        channels = getattr(segmenter, "num_classes", None)  # None: ids without names
    # One channel means two classes, whose masks equal those of a net of two channels.
    if channels is not None and max(2, channels) != max(2, dataset.num_classes):
        raise ValueError(
            f"`segmenter` must have {dataset.num_classes} output channels, for the "
            f"classes {list(dataset.class_names)} of the data set. "
            f"Received: a segmenter of {channels}"
        )
