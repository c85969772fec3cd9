"""Focal Tversky loss: a power of the Tversky loss."""

import keras
from keras import ops

from kseg.losses import regions
from kseg.losses.tversky import Tversky, of_classes

# Below this loss the power goes on as a line, whose slope is finite.
SMALLEST_LOSS = 1e-6


def focal_tversky(
    y_true,
    y_pred,
    pixel_weights=None,
    ignore_class=255,
    from_logits=False,
    include_background=True,
    alpha=0.3,
    beta=0.7,
    gamma=0.75,
    smooth=1.0,
):
    """Computes the focal Tversky loss of every image, a mean over the classes.

    Formula, per class:

    ```python
    loss = tversky ** gamma
    ```

    A `gamma` below 1 steepens the loss of regions that are nearly right. There the
    slope of the power is infinite; below a Tversky loss of 1e-6 it goes on as a line.

    Reference:
    - [Focal Tversky loss](https://arxiv.org/abs/1810.07842) (ISBI 2019), equation 5,
      with `gamma` for the paper's `1 / gamma`, whose 4/3 is the default 0.75 here

    Args:
        y_true: As in `kseg.losses.tversky`, like the other arguments.
        y_pred: Probabilities or logits of shape `(batch, height, width, classes)`.
        pixel_weights: Factors of shape `(batch, height, width)`, or `None`.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether `y_pred` holds logits. Defaults to `False`.
        include_background: Whether class 0 takes part. Defaults to `True`.
        alpha: Price of a false alarm, not negative. Defaults to `0.3`.
        beta: Price of a miss, not negative. Defaults to `0.7`.
        gamma: Exponent, positive. Defaults to `0.75`.
        smooth: Number of pixels added above and below, positive. Defaults to `1.0`.

    Returns:
        Float32 tensor of shape `(batch,)`, as from `kseg.losses.tversky`.

    Raises:
        ValueError: As `kseg.losses.tversky`.
    """
    batch = regions.read(
        y_true, y_pred, pixel_weights, ignore_class, from_logits, include_background
    )
    losses = of_classes(batch, alpha, beta, smooth)
    line = losses * SMALLEST_LOSS ** (gamma - 1.0)
    power = ops.power(ops.maximum(losses, SMALLEST_LOSS), gamma)
    losses = ops.where(losses > SMALLEST_LOSS, power, line)
    return regions.nan_where_bad(ops.mean(losses, axis=-1), batch)


@keras.saving.register_keras_serializable(package="kseg.losses")
class FocalTversky(Tversky):
    """Mean focal Tversky loss over the classes of an image and the images of a batch.

    Keras has no such loss. `kseg.losses.focal_tversky` has the formula.

    Args:
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether predictions are logits. Defaults to `False`.
        include_background: Whether class 0 takes part in the mean. Defaults to `True`.
        alpha: Price of a false alarm, not negative. Defaults to `0.3`.
        beta: Price of a miss, not negative. Defaults to `0.7`.
        gamma: Exponent of the Tversky loss, positive. Defaults to `0.75`.
        smooth: Number of pixels added above and below, positive. Defaults to `1.0`.
        reduction: How Keras reduces the losses of the images. Defaults to
            `"sum_over_batch_size"`, the mean.
        name: Name of the loss. Defaults to `"focal_tversky"`.
        dtype: Dtype of the result; the computation is float32. Defaults to `None`,
            which means float32.

    Call arguments:
        y_true: Class ids, as for `kseg.losses.Tversky`.
        y_pred: Scores, as for `kseg.losses.Tversky`.
        sample_weight: Weights of images or pixels, as for `kseg.losses.Tversky`.
    """

    function = staticmethod(focal_tversky)

    def __init__(
        self,
        ignore_class: int | None = 255,
        from_logits: bool = False,
        include_background: bool = True,
        alpha: float = 0.3,
        beta: float = 0.7,
        gamma: float = 0.75,
        smooth: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype=None,
    ):
        super().__init__(
            ignore_class,
            from_logits,
            include_background,
            alpha,
            beta,
            smooth,
            reduction,
            name,
            dtype,
        )
        regions.check_positive("gamma", gamma)
        self.gamma = gamma

    def arguments(self):
        return {**super().arguments(), "gamma": self.gamma}
