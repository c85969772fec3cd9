"""Tversky loss: overlap in which false alarms and misses have a price each."""

import keras
from keras import ops

from kseg.losses import regions


def tversky(
    y_true,
    y_pred,
    pixel_weights=None,
    ignore_class=255,
    from_logits=False,
    include_background=True,
    alpha=0.3,
    beta=0.7,
    smooth=1.0,
):
    """Computes the Tversky loss of every image, a mean over the classes.

    Formula, per class, with sums over the valid pixels of an image:

    ```python
    hits, false_alarms = sum(w * p * g), sum(w * p * (1 - g))
    misses = sum(w * (1 - p) * g)
    loss = 1 - (hits + smooth) / (hits + alpha * false_alarms + beta * misses + smooth)
    ```

    `alpha = beta = 0.5` is Dice with twice the `smooth`, `alpha = beta = 1` is IoU.
    A class that is neither in the image nor predicted has loss 0; so has, with gradient
    0, an image without a valid pixel.

    Reference:
    - [Tversky loss](https://arxiv.org/abs/1706.05721) (MLMI 2017), equation 3; `alpha`
      0.3 and `beta` 0.7 were among its best

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
            holds the foreground alone either way. Defaults to `True`.
        alpha: Price of a false alarm, not negative. Defaults to `0.3`.
        beta: Price of a miss, not negative. Defaults to `0.7`.
        smooth: Number of pixels added above and below, positive. Defaults to `1.0`.

    Returns:
        Float32 tensor of shape `(batch,)`. Inside a compiled step, where nothing can
        raise, an image with a label that is no class is NaN, with gradient 0.

    Raises:
        ValueError: If the shapes do not fit or, outside a compiled step, a label is no
            class or a probability lies outside 0 to 1.
    """
    batch = regions.read(
        y_true, y_pred, pixel_weights, ignore_class, from_logits, include_background
    )
    losses = of_classes(batch, alpha, beta, smooth)
    return regions.nan_where_bad(ops.mean(losses, axis=-1), batch)


def of_classes(batch, alpha, beta, smooth):
    """The loss of every class in every image, for `regions.read`'s batch."""
    hits, predicted, true = regions.areas(batch)
    costs = alpha * (predicted - hits) + beta * (true - hits)
    return 1.0 - (hits + smooth) / (hits + costs + smooth)


@keras.saving.register_keras_serializable(package="kseg.losses")
class Tversky(regions.OverlapLoss):
    """Mean Tversky loss over the classes of an image and over the images of a batch.

    `keras.losses.Tversky` wants one-hot masks, knows no ignored pixels and is NaN for
    large masks in float16. `kseg.losses.tversky` has the formula.

    Args:
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether predictions are logits. Defaults to `False`.
        include_background: Whether class 0 takes part in the mean. Defaults to `True`.
        alpha: Price of a false alarm, not negative. Defaults to `0.3`.
        beta: Price of a miss, not negative. Defaults to `0.7`.
        smooth: Number of pixels added above and below, positive. Defaults to `1.0`.
        reduction: How Keras reduces the losses of the images. Defaults to
            `"sum_over_batch_size"`, the mean.
        name: Name of the loss. Defaults to `"tversky"`.
        dtype: Dtype of the result; the computation is float32. Defaults to `None`,
            which means float32.

    Call arguments:
        y_true: Class ids of shape `(batch, height, width)` or
            `(batch, height, width, 1)`.
        y_pred: Scores of shape `(batch, height, width, classes)`; a single channel is
            the score of the foreground, for masks of 0 and 1.
        sample_weight: Factors of shape `(batch,)`, for the losses of the images, or
            `(batch, height, width)`, inside the sums over pixels.
    """

    function = staticmethod(tversky)

    def __init__(
        self,
        ignore_class: int | None = 255,
        from_logits: bool = False,
        include_background: bool = True,
        alpha: float = 0.3,
        beta: float = 0.7,
        smooth: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype=None,
    ):
        super().__init__(
            ignore_class,
            from_logits,
            include_background,
            smooth,
            reduction,
            name,
            dtype,
        )
        if not (0 <= alpha < float("inf") and 0 <= beta < float("inf")):
            raise ValueError(
                "`alpha` and `beta` must be finite and not negative. "
                f"Received: alpha={alpha}, beta={beta}"
            )
        self.alpha = alpha
        self.beta = beta

    def arguments(self):
        return {**super().arguments(), "alpha": self.alpha, "beta": self.beta}
