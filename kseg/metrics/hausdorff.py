"""Hausdorff distance between the true and the predicted mask of a class."""

import math

import keras
import numpy as np
from keras import ops

from kseg.metrics import pixels
from kseg.metrics.per_class import PerClass


@keras.saving.register_keras_serializable(package="kseg.metrics")
class HausdorffDistance(PerClass):
    """Mean over the classes of the mean over the images of the Hausdorff distance.

    Formula, for the true mask A and the predicted mask B of a class in an image:

    ```python
    h(A, B) = percentile over a in A of the distance from a to the nearest b in B
    distance = max(h(A, B), h(B, A))
    ```

    The distance is 0 if both masks are empty and infinite if one is, and so is then the
    mean. (Other libraries raise, skip or return NaN here; `absent="nan"` skips pairs of
    empty masks.) Ignored pixels belong to neither mask. An image without a valid pixel
    does not count.

    Distances come from SciPy, outside of Keras. So this is for evaluation: it takes
    what `model.predict` returns. In `compile` it raises, unless with `run_eagerly=True`
    (not on JAX, where Keras traces even then).

    Reference:
    - [Comparing images using the Hausdorff distance](https://doi.org/10.1109/34.232073)
      (PAMI 1993), sections II and III

    Args:
        num_classes: Number of classes; `1` means a foreground score, and the distance
            between foregrounds.
        percentile: 100 for the largest distance, 95 for what is known as HD95. Defaults
            to `100.0`.
        spacing: Size of a pixel, a number or one for each axis, such as
            `(height, width)`. The distance has its unit. Defaults to `1.0`.
        on: `"boundary"` to measure between the boundaries of the masks, the pixels with
            one of four neighbours, or the frame of the image, outside of the mask;
            `"region"` for all their pixels. Defaults to `"boundary"`.
        ignore_class: As in `ConfusionMatrix`. Defaults to `255`.
        from_logits: As in `ConfusionMatrix`. Defaults to `False`.
        include_background: Whether class 0 takes part in the mean; a single channel
            holds the foreground alone either way. Defaults to `True`.
        absent: What two empty masks are: `"zero"`, or `"nan"`, left out. Defaults to
            `"zero"`.
        name: Name of the metric. Defaults to `"hausdorff_distance"`.

    Call arguments: those of `ConfusionMatrix`. There may be more axes than height and
    width, such as depth.

    Example:

    >>> metric = kseg.metrics.HausdorffDistance(1)
    >>> metric.update_state([[[1, 0, 0, 0]]], np.array([[[1, 0, 0, 1]]]))
    >>> float(metric.result())
    3.0
    """

    def __init__(
        self,
        num_classes: int,
        percentile: float = 100.0,
        spacing=1.0,
        on: str = "boundary",
        ignore_class=255,
        from_logits: bool = False,
        include_background: bool = True,
        absent: str = "zero",
        name: str = "hausdorff_distance",
    ):
        super().__init__(
            num_classes, ignore_class, from_logits, include_background, absent, name
        )
        if not 0 <= percentile <= 100:
            raise ValueError(
                f"`percentile` must be from 0 to 100. Received: percentile={percentile}"
            )
        if np.ndim(spacing) > 1 or not np.all(np.asarray(spacing) > 0):
            raise ValueError(
                "`spacing` must be a positive number, or one for each axis. "
                f"Received: spacing={spacing}"
            )
        if on not in ("boundary", "region"):
            raise ValueError(
                f"`on` must be 'boundary' or 'region'. Received: on={on!r}"
            )
        if absent == "one":
            raise ValueError(
                f"`absent` must be 'nan' or 'zero'. Received: absent={absent!r}"
            )
        self.percentile = percentile
        self.spacing = spacing if np.ndim(spacing) == 0 else tuple(spacing)
        self.on = on
        self._direction = "down"  # for callbacks with mode="auto"
        self._reset_distances()

    def update_state(self, y_true, y_pred, sample_weight=None):
        pixels.to_numpy(y_pred, self)
        read = self._count(y_true, y_pred, sample_weight)
        for truth, predicted, is_valid in zip(
            *(ops.convert_to_numpy(one) for one in read), strict=True
        ):
            if not is_valid.any():
                continue
            for index, label in enumerate(self._classes):
                masks = [is_valid & (ids == label) for ids in (truth, predicted)]
                if self.absent == "nan" and not np.any(masks):
                    continue
                self._sums[index] += self._distance(*masks)
                self._pairs[index] += 1

    def merge_state(self, metrics):
        """Adds the distances of other metrics to those of this one.

        Args:
            metrics: Sequence of metrics of the same class and arguments.
        """
        super().merge_state(metrics)
        for metric in metrics:
            self._sums += metric._sums
            self._pairs += metric._pairs

    def reset_state(self):
        super().reset_state()
        self._reset_distances()

    def get_config(self):
        return {
            **super().get_config(),
            "percentile": self.percentile,
            "spacing": self.spacing,
            "on": self.on,
        }

    def _reset_distances(self):
        # Sums of many square roots: in float64, which not every backend has.
        self._sums = np.zeros(self.num_classes)
        self._pairs = np.zeros(self.num_classes, "int64")

    def _values(self):
        means = np.full(self.num_classes, math.nan)
        np.divide(self._sums, self._pairs, out=means, where=self._pairs > 0)
        return ops.convert_to_tensor(means.astype("float32"))

    def _distance(self, true, predicted):
        if not true.any() or not predicted.any():
            return math.inf if true.any() or predicted.any() else 0.0
        from scipy import ndimage

        if self.on == "boundary":
            true &= ~ndimage.binary_erosion(true)
            predicted &= ~ndimage.binary_erosion(predicted)
        return max(
            np.percentile(
                ndimage.distance_transform_edt(~there, sampling=self.spacing)[here],
                self.percentile,
            )
            for here, there in ((true, predicted), (predicted, true))
        )
