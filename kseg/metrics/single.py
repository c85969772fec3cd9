"""The metrics of `SegmentationMetrics`, each as a metric of its own."""

import keras

from kseg.metrics.segmentation import SegmentationMetrics


class _Single(SegmentationMetrics):
    """One number of `SegmentationMetrics`; its subclasses say which."""

    _metric = None

    def __init__(
        self,
        num_classes: int,
        ignore_class=255,
        from_logits: bool = False,
        absent: str = "nan",
        name: str | None = None,
    ):
        super().__init__(
            num_classes,
            self._metric,
            ignore_class=ignore_class,
            from_logits=from_logits,
            absent=absent,
            name=name or self._metric,
        )
        self._direction = "up"  # for callbacks with mode="auto"

    def result(self):
        """Returns a float32 scalar."""
        return super().result()[self._metric]

    def get_config(self):
        config = super().get_config()
        del config["metrics"], config["class_names"]
        return config


@keras.saving.register_keras_serializable(package="kseg.metrics")
class PixelAccuracy(_Single):
    """Share of the valid pixels whose class is right.

    Arguments as in `SegmentationMetrics`, without `metrics` and `class_names`; the name
    defaults to `"pixel_accuracy"`.
    """

    _metric = "pixel_accuracy"


@keras.saving.register_keras_serializable(package="kseg.metrics")
class MeanAccuracy(_Single):
    """Mean over the classes of the share of their true pixels that are found.

    Arguments as in `SegmentationMetrics`, without `metrics` and `class_names`; the name
    defaults to `"mean_accuracy"`.
    """

    _metric = "mean_accuracy"


@keras.saving.register_keras_serializable(package="kseg.metrics")
class MeanIoU(_Single):
    """Mean over the classes of intersection over union, of all valid pixels together.

    With `num_classes=1` over background and foreground. Arguments as in
    `SegmentationMetrics`, without `metrics` and `class_names`; the name defaults to
    `"mean_iou"`.
    """

    _metric = "mean_iou"


@keras.saving.register_keras_serializable(package="kseg.metrics")
class FrequencyWeightedIoU(_Single):
    """Mean over the true pixels of the IoU of their class.

    The more frequent a class, the more it counts. Arguments as in
    `SegmentationMetrics`, without `metrics` and `class_names`; the name defaults to
    `"frequency_weighted_iou"`.
    """

    _metric = "frequency_weighted_iou"


@keras.saving.register_keras_serializable(package="kseg.metrics")
class IoU(SegmentationMetrics):
    """Intersection over union of each class, of all valid pixels together.

    `result()` is a dict with the keys `iou_<class>`.

    Args:
        num_classes: As in `SegmentationMetrics`.
        class_names: Names for the keys, two for `num_classes=1`; `None` for the class
            ids. Defaults to `None`.
        ignore_class: As in `SegmentationMetrics`. Defaults to `255`.
        from_logits: As in `SegmentationMetrics`. Defaults to `False`.
        absent: IoU of a class that is neither true nor predicted: `"nan"`, `"zero"` or
            `"one"`. Defaults to `"nan"`.
        name: Name of the metric. Defaults to `"iou"`.

    Example:

    >>> metric = kseg.metrics.IoU(1, class_names=("background", "person"))
    >>> metric.update_state([[[0, 1, 1]]], np.array([[[0, 0, 1]]]))
    >>> {key: float(value) for key, value in metric.result().items()}
    {'iou_background': 0.5, 'iou_person': 0.5}
    """

    def __init__(
        self,
        num_classes: int,
        class_names=None,
        ignore_class=255,
        from_logits: bool = False,
        absent: str = "nan",
        name: str = "iou",
    ):
        super().__init__(
            num_classes, "iou", class_names, ignore_class, from_logits, absent, name
        )

    def get_config(self):
        config = super().get_config()
        del config["metrics"]
        return config


# What scikit-learn and tensorflow-addons call the means.
AVERAGES = {
    None: "f1",
    "macro": "mean_f1",
    "weighted": "weighted_f1",
    "micro": "micro_f1",
}


@keras.saving.register_keras_serializable(package="kseg.metrics")
class F1(SegmentationMetrics):
    """F1 score of each class, of all valid pixels together, or a mean over the classes.

    Also known as Dice coefficient; it is `2 * iou / (1 + iou)`. `keras.metrics.F1Score`
    wants one-hot masks and knows no ignored pixels.

    Args:
        num_classes: As in `SegmentationMetrics`.
        average: `"macro"` for the mean over the classes, `"weighted"` for that over the
            true pixels, `"micro"` for all classes as one, or `None` for a dict with the
            keys `f1_<class>`. Defaults to `"macro"`.
        class_names: Names for the keys, two for `num_classes=1`; `None` for the class
            ids. Defaults to `None`.
        ignore_class: As in `SegmentationMetrics`. Defaults to `255`.
        from_logits: As in `SegmentationMetrics`. Defaults to `False`.
        absent: F1 of a class that is neither true nor predicted: `"nan"`, `"zero"` or
            `"one"`. Defaults to `"nan"`.
        name: Name of the metric. Defaults to `"f1"`.
    """

    def __init__(
        self,
        num_classes: int,
        average: str | None = "macro",
        class_names=None,
        ignore_class=255,
        from_logits: bool = False,
        absent: str = "nan",
        name: str = "f1",
    ):
        if average not in AVERAGES:
            raise ValueError(
                f"`average` must be one of {tuple(AVERAGES)}. "
                f"Received: average={average!r}"
            )
        super().__init__(
            num_classes,
            AVERAGES[average],
            class_names,
            ignore_class,
            from_logits,
            absent,
            name,
        )
        self.average = average
        self._direction = "up"  # for callbacks with mode="auto"

    def result(self):
        """Returns a float32 scalar; with `average=None` a dict of them."""
        results = super().result()
        return results if self.average is None else results[AVERAGES[self.average]]

    def get_config(self):
        config = super().get_config()
        del config["metrics"]
        return {**config, "average": self.average}
