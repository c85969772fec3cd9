"""Dice loss: the overlap of predicted and true regions."""

import math

import keras
from keras import ops

from kseg.losses import pixels


def dice(
    y_true,
    y_pred,
    pixel_weights=None,
    ignore_class=255,
    from_logits=False,
    include_background=True,
    smooth=1.0,
):
    """Computes the Dice loss of every image, a mean over the classes.

    Formula, per class, with sums over the valid pixels of an image:

    ```python
    loss = 1 - (2 * sum(w * p * g) + smooth) / (sum(w * p) + sum(w * g) + smooth)
    ```

    `p` is the probability of the class, `g` is 1 where it is true, `w` the pixel weight.
    A class that is neither in the image nor predicted has loss 0. One that is predicted
    but not in the image has loss `1 - smooth / (sum(w * p) + smooth)`: 0.5 if its
    probabilities sum to `smooth` pixels, close to 1 far beyond.
    An image without a valid pixel has loss 0 and gradient 0.

    Reference:
    - [V-Net](https://arxiv.org/abs/1606.04797) (3DV 2016), section 3; without the
      squares in the denominator, and with `smooth`

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
        smooth: Number of pixels added above and below, positive. Defaults to `1.0`.

    Returns:
        Float32 tensor of shape `(batch,)`. Inside a compiled step, where nothing can
        raise, an image with a label that is no class is NaN, with gradient 0.

    Raises:
        ValueError: If the shapes do not fit or, outside a compiled step, a label is no
            class or a probability lies outside 0 to 1.
    """
    batch = pixels.read(y_true, y_pred, ignore_class, from_logits)
    num_channels = batch.scores.shape[-1]
    if num_channels == 1:
        truth = ops.cast(ops.equal(batch.labels, 1), "float32")[..., None]
        scores = ops.sigmoid(batch.scores) if from_logits else batch.scores
    else:
        truth = ops.one_hot(batch.labels, num_channels, dtype="float32")
        scores = ops.softmax(batch.scores) if from_logits else batch.scores
        if not include_background:
            truth, scores = truth[..., 1:], scores[..., 1:]
    weights = pixels.weights(batch.valid, pixel_weights)[..., None]
    axes = tuple(range(1, len(batch.labels.shape)))
    overlap = ops.sum(weights * scores * truth, axis=axes)
    total = ops.sum(weights * (scores + truth), axis=axes)
    loss = ops.mean(1.0 - (2.0 * overlap + smooth) / (total + smooth), axis=-1)
    return ops.where(ops.any(batch.bad, axis=axes), math.nan, loss)


@keras.saving.register_keras_serializable(package="kseg.losses")
class Dice(keras.losses.Loss):
    """Mean Dice loss over the classes of an image and over the images of a batch.

    `keras.losses.Dice` wants one-hot masks, knows no ignored pixels, is 1 for two empty
    masks and NaN for large ones in float16. `kseg.losses.dice` has the formula, and
    what a class that is absent from an image contributes.

    Args:
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether predictions are logits. Defaults to `False`.
        include_background: Whether class 0 takes part in the mean. Defaults to `True`.
        smooth: Number of pixels added above and below, positive. Defaults to `1.0`.
        reduction: How Keras reduces the losses of the images. Defaults to
            `"sum_over_batch_size"`, the mean.
        name: Name of the loss. Defaults to `"dice"`.
        dtype: Dtype of the result; the computation is float32. Defaults to `None`,
            which means float32.

    Call arguments:
        y_true: Class ids of shape `(batch, height, width)` or
            `(batch, height, width, 1)`.
        y_pred: Scores of shape `(batch, height, width, classes)`; a single channel is
            the score of the foreground, for masks of 0 and 1.
        sample_weight: Factors of shape `(batch,)`, for the losses of the images, or
            `(batch, height, width)`, inside the sums over pixels.

    Example:

    >>> loss = kseg.losses.Dice(include_background=False)
    >>> model.compile("adam", loss=loss)
    """

    def __init__(
        self,
        ignore_class: int | None = 255,
        from_logits: bool = False,
        include_background: bool = True,
        smooth: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "dice",
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
            pixel_weights,
            self.ignore_class,
            self.from_logits,
            self.include_background,
            self.smooth,
        )

    def __call__(self, y_true, y_pred, sample_weight=None):
        with keras.name_scope(self.name):
            # Keras would broadcast the weights of pixels against the (batch,) losses.
            if sample_weight is not None:
                sample_weight = ops.convert_to_tensor(sample_weight)
            per_pixel = sample_weight is not None and len(sample_weight.shape) > 1
            losses = self.call(y_true, y_pred, sample_weight if per_pixel else None)
            if per_pixel:
                sample_weight = None
            elif sample_weight is not None:
                sample_weight = pixels.broadcast(sample_weight, like=losses)
            loss = pixels.reduce(losses, sample_weight, self.reduction)
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
