"""Hausdorff losses: errors weigh more the farther they are from the contours."""

import keras
import numpy as np
from keras import ops

from kseg.losses import distances, regions

METHODS = ("distance", "erosion")


def hausdorff(
    y_true,
    y_pred,
    pixel_weights=None,
    ignore_class=255,
    from_logits=False,
    include_background=False,
    method="distance",
    alpha=2.0,
    resolution=64,
    erosions=10,
):
    """Computes an estimate of the Hausdorff distance of every image.

    Formula, a mean over the valid pixels and the classes:

    ```python
    error = (p - g) ** 2
    # method="distance"
    loss = mean(w * error * (d[p > 0.5] ** alpha + d[g] ** alpha))
    # method="erosion"
    loss = mean(w * sum(eroded[k] * k ** alpha for k in range(1, erosions + 1)))
    ```

    `d[m]` is the distance of a pixel to the boundary of the mask `m`: to the nearest
    valid pixel on its other side, 0 where there is none. It has no gradient.
    `eroded[k] = max(2 * mean - 1, 0)`, with the mean of `eroded[k - 1]` over a pixel and
    its four neighbours and `eroded[0] = error`: thick errors outlast many erosions, thin
    ones none. Errors below 0.5 are eroded away at once and have no gradient.

    The loss is in pixels to the power of `alpha`, so in a sum it needs a small weight:
    the paper adds Dice and keeps the two equal.

    Reference:
    - [Reducing the Hausdorff distance](https://arxiv.org/abs/1904.10030) (IEEE TMI
      2019), equations 8 and 10

    Args:
        y_true: Class ids of shape `(batch, height, width)` or
            `(batch, height, width, 1)`.
        y_pred: Probabilities or logits of shape `(batch, height, width, classes)`; a
            single channel is the score of the foreground, for masks of 0 and 1.
        pixel_weights: Factors of shape `(batch, height, width)`, or `None` for 1 each.
            Defaults to `None`.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether `y_pred` holds logits. Defaults to `False`.
        include_background: Whether class 0 takes part in the mean; a single channel
            holds the foreground alone either way. Defaults to `False`.
        method: `"distance"` or `"erosion"`, the paper's DT and ER. Defaults to
            `"distance"`.
        alpha: Exponent of the distance, positive. Defaults to `2.0`.
        resolution: Largest height and width at which distances are computed; those of a
            larger image are approximate. Defaults to `64`.
        erosions: How often errors are eroded. Defaults to `10`.

    Returns:
        Float32 tensor of shape `(batch,)`. Inside a compiled step, where nothing can
        raise, an image with a label that is no class is NaN, with gradient 0.

    Raises:
        ValueError: If the shapes do not fit, the height or width is unknown or, outside
            a compiled step, a label is no class or a probability lies outside 0 to 1.
    """
    batch = regions.read(
        y_true, y_pred, pixel_weights, ignore_class, from_logits, include_background
    )
    distances.image_size(batch.scores)
    valid = batch.weights > 0
    errors = ops.where(valid[..., None], (batch.scores - batch.truth) ** 2, 0.0)
    if method == "distance":
        masks = ops.concatenate([batch.scores > 0.5, batch.truth > 0], axis=-1)
        squares = distances.to_boundary(masks, valid, resolution)
        # A square root has no finite slope at 0, but none of this has a gradient.
        of_scores, of_truth = ops.split(squares ** (alpha / 2), 2, axis=-1)
        costs = errors * (of_scores + of_truth)
    else:
        costs = _outlasting(errors, alpha, erosions)
    costs = ops.mean(costs, axis=-1) * batch.weights
    loss = ops.divide_no_nan(
        ops.sum(costs, axis=(1, 2)), ops.sum(batch.weights, axis=(1, 2))
    )
    return regions.nan_where_bad(loss, batch)


def _outlasting(errors, alpha, erosions):
    """Sums what is left of the errors after each erosion, times its number's power."""
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], "float32") / 5
    kernel = np.broadcast_to(cross[..., None, None], (3, 3, errors.shape[-1], 1))
    total = 0.0
    for k in range(1, erosions + 1):
        mean = ops.depthwise_conv(errors, kernel, 1, "same", "channels_last")
        errors = ops.relu(2.0 * mean - 1.0)
        total = total + errors * float(k) ** alpha
    return total


@keras.saving.register_keras_serializable(package="kseg.losses")
class Hausdorff(regions.RegionLoss):
    """Mean estimate of the Hausdorff distance over the images of a batch.

    Keras has no such loss. `kseg.losses.hausdorff` has the formulas of its two methods;
    both have gradients and run inside a compiled step.

    Args:
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether predictions are logits. Defaults to `False`.
        include_background: Whether class 0 takes part. Defaults to `False`.
        method: `"distance"` or `"erosion"`. Defaults to `"distance"`.
        alpha: Exponent of the distance, positive. Defaults to `2.0`.
        resolution: Largest height and width at which distances are computed. Defaults
            to `64`.
        erosions: How often errors are eroded. Defaults to `10`.
        reduction: How Keras reduces the losses of the images. Defaults to
            `"sum_over_batch_size"`, the mean.
        name: Name of the loss. Defaults to `"hausdorff"`.
        dtype: Dtype of the result; the computation is float32. Defaults to `None`,
            which means float32.

    Call arguments:
        y_true: Class ids of shape `(batch, height, width)` or
            `(batch, height, width, 1)`.
        y_pred: Scores of shape `(batch, height, width, classes)`; a single channel is
            the score of the foreground, for masks of 0 and 1.
        sample_weight: Factors of shape `(batch,)` or `(batch, height, width)`.

    Example:

    >>> loss = kseg.losses.Sum([Dice(), Hausdorff()], weights=(1.0, 0.001))
    >>> model.compile("adam", loss=loss)
    """

    function = staticmethod(hausdorff)

    def __init__(
        self,
        ignore_class: int | None = 255,
        from_logits: bool = False,
        include_background: bool = False,
        method: str = "distance",
        alpha: float = 2.0,
        resolution: int = 64,
        erosions: int = 10,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype=None,
    ):
        super().__init__(ignore_class, from_logits, reduction, name, dtype)
        if method not in METHODS:
            raise ValueError(
                f"`method` must be one of {METHODS}. Received: method={method!r}"
            )
        for argument, value in {
            "alpha": alpha,
            "resolution": resolution,
            "erosions": erosions,
        }.items():
            regions.check_positive(argument, value)
        self.include_background = include_background
        self.method = method
        self.alpha = alpha
        self.resolution = resolution
        self.erosions = erosions

    def arguments(self):
        return {
            **super().arguments(),
            "include_background": self.include_background,
            "method": self.method,
            "alpha": self.alpha,
            "resolution": self.resolution,
            "erosions": self.erosions,
        }
