"""Dice loss: the overlap of predicted and true regions."""

import math

import keras
from keras import ops

from kseg.losses import pixels


def dice(
    y_true,
    y_pred,
    ignore_class=255,
    from_logits=False,
    include_background=True,
    smooth=1.0,
    pixel_weights=None,
):
    """Computes the Dice loss of every image, the mean over its classes.

    Formula, per class, with sums over the valid pixels:

    ```python
    loss = 1 - (2 * sum(w * p * g) + smooth) / (sum(w * p) + sum(w * g) + smooth)
    ```

    `p` is the probability of the class, `g` is 1 where it is true, `w` the pixel weight.
    A class that is neither in the image nor predicted has loss 0. A class that is predicted
    but not in the image has loss `1 - smooth / (sum(p) + smooth)`: close to 1 once its
    probabilities sum to much more than `smooth` pixels, 0.5 where they sum to `smooth`.
    An image without a valid pixel has loss 0 and gradient 0.

    Reference:
    - [V-Net](https://arxiv.org/abs/1606.04797) (3DV 2016), section 3, without the squares

    Args:
        y_true: Class ids of shape `(batch, height, width)` or `(batch, height, width, 1)`.
        y_pred: Probabilities or logits of shape `(batch, height, width, classes)`; a single
            channel is the score of the foreground, for masks of 0 and 1.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether `y_pred` holds logits. Defaults to `False`.
        include_background: Whether class 0 takes part in the mean. A single channel has the
            foreground alone, either way. Defaults to `True`.
        smooth: Positive number of pixels added above and below. Defaults to `1.0`.
        pixel_weights: `None`, or factors of shape `(batch, height, width)`.

    Returns:
        Float32 tensor of shape `(batch,)`. Inside a compiled step, where nothing can raise, an
        image with a label that is no class is NaN and has a gradient of 0.

    Raises:
        ValueError: If the shapes do not fit or, outside a compiled step, a label is no class
            or a probability lies outside 0 to 1.
    """
    labels, valid, bad, scores = pixels.read(y_true, y_pred, ignore_class, from_logits)
    scores = ops.cast(scores, "float32")
    if scores.shape[-1] == 1:
        truth = ops.cast(ops.equal(labels, 1), "float32")[..., None]
        probabilities = ops.sigmoid(scores) if from_logits else scores
    else:
        truth = ops.one_hot(labels, scores.shape[-1], dtype="float32")
        probabilities = ops.softmax(scores, axis=-1) if from_logits else scores
        if not include_background:
            truth, probabilities = truth[..., 1:], probabilities[..., 1:]
    weights = ops.cast(valid, "float32")
    factors = pixels.pixel_weights(pixel_weights, like=valid)
    weights = (weights if factors is None else weights * factors)[..., None]
    axes = tuple(range(1, len(labels.shape)))
    overlap = ops.sum(weights * probabilities * truth, axis=axes)
    total = ops.sum(weights * (probabilities + truth), axis=axes)
    loss = ops.mean(1.0 - (2.0 * overlap + smooth) / (total + smooth), axis=-1)
    return ops.where(ops.any(bad, axis=axes), math.nan, loss)


@keras.saving.register_keras_serializable(package="kseg.losses")
class Dice(keras.losses.Loss):
    """Mean Dice loss over the classes of an image and the images of a batch.

    `keras.losses.Dice` wants one-hot masks, knows no ignored pixels, sums over the batch and
    overflows to NaN in float16. See `kseg.losses.dice` for the formula, and for what a class
    that is absent from an image contributes.

    Args:
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether predictions are logits. Defaults to `False`.
        include_background: Whether class 0 takes part in the mean. Defaults to `True`.
        smooth: Positive number of pixels added above and below. Defaults to `1.0`.
        reduction: How Keras reduces the losses of the images. Defaults to
            `"sum_over_batch_size"`, the mean.
        name: Name of the loss. Defaults to `"dice"`.
        dtype: Dtype of the result; everything is computed in float32. Defaults to `None`,
            which means float32.

    Call arguments:
        y_true: Class ids of shape `(batch, height, width)` or `(batch, height, width, 1)`.
        y_pred: Scores of shape `(batch, height, width, classes)`.
        sample_weight: Factors of shape `(batch,)`, applied to the losses of the images, or
            `(batch, height, width)`, applied inside the sums over pixels.
    """

    def __init__(
        self,
        ignore_class=255,
        from_logits=False,
        include_background=True,
        smooth=1.0,
        reduction="sum_over_batch_size",
        name="dice",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype or "float32")
        if not 0 < smooth < math.inf:
            raise ValueError(
                f"`smooth` must be a positive number. Received: smooth={smooth}"
            )
        self.ignore_class = ignore_class
        self.from_logits = from_logits
        self.include_background = include_background
        self.smooth = smooth

    def call(self, y_true, y_pred, pixel_weights=None):
        return dice(
            y_true,
            y_pred,
            self.ignore_class,
            self.from_logits,
            self.include_background,
            self.smooth,
            pixel_weights,
        )

    def __call__(self, y_true, y_pred, sample_weight=None):
        with keras.name_scope(self.name):
            # Keras would broadcast pixel weights against the (batch,) losses.
            per_pixel = sample_weight is not None and len(ops.shape(sample_weight)) > 2
            losses = self.call(y_true, y_pred, sample_weight if per_pixel else None)
            loss = pixels.reduce(
                losses, None if per_pixel else sample_weight, self.reduction
            )
            return ops.cast(loss, self.dtype)

    def get_config(self):
        return {
            "ignore_class": self.ignore_class,
            "from_logits": self.from_logits,
            "include_background": self.include_background,
            "smooth": self.smooth,
            "reduction": self.reduction,
            "name": self.name,
            "dtype": self.dtype,
        }
