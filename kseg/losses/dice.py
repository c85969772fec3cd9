"""Dice losses: the overlap of predicted and true regions."""

import keras
from keras import ops

from kseg.losses import regions


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
    batch = regions.read(
        y_true, y_pred, pixel_weights, ignore_class, from_logits, include_background
    )
    both, predicted, true = regions.areas(batch)
    loss = 1.0 - (2.0 * both + smooth) / (predicted + true + smooth)
    return regions.nan_where_bad(ops.mean(loss, axis=-1), batch)


@keras.saving.register_keras_serializable(package="kseg.losses")
class Dice(regions.OverlapLoss):
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

    function = staticmethod(dice)


def generalized_dice(
    y_true,
    y_pred,
    pixel_weights=None,
    ignore_class=255,
    from_logits=False,
    include_background=True,
    smooth=1.0,
):
    """Computes the generalised Dice loss of every image: rare classes weigh more.

    Formula, with sums over the valid pixels of an image and over the classes `c`:

    ```python
    v[c] = (min(area) / area[c]) ** 2  # area[c] = sum(w * g[c])
    overlap, total = sum(w * p * g), sum(w * p) + sum(w * g)  # one per class
    loss = 1 - (2 * sum(v * overlap) + smooth) / (sum(v * total) + smooth)
    ```

    The factor `1 / area ** 2` of the paper is taken relative to the smallest region of
    the image. A class that is absent from the image has the factor of that region, 1:
    it costs where it is predicted, and does not drown the others. An image without a
    valid pixel has loss 0 and gradient 0.

    Reference:
    - [Generalised Dice overlap](https://arxiv.org/abs/1707.03237) (DLMIA 2017),
      section 2

    Args:
        y_true: As in `kseg.losses.dice`, like the other arguments.
        y_pred: Probabilities or logits of shape `(batch, height, width, classes)`.
        pixel_weights: Factors of shape `(batch, height, width)`, or `None`.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether `y_pred` holds logits. Defaults to `False`.
        include_background: Whether class 0 takes part. Defaults to `True`.
        smooth: Number of pixels of the smallest region that are added above and below,
            positive. Defaults to `1.0`.

    Returns:
        Float32 tensor of shape `(batch,)`, as from `kseg.losses.dice`.

    Raises:
        ValueError: As `kseg.losses.dice`.
    """
    batch = regions.read(
        y_true, y_pred, pixel_weights, ignore_class, from_logits, include_background
    )
    both, predicted, true = regions.areas(batch)
    is_there = true > 0
    smallest = ops.min(ops.where(is_there, true, float("inf")), axis=-1, keepdims=True)
    factors = ops.where(is_there, smallest / ops.where(is_there, true, 1.0), 1.0) ** 2
    overlap = ops.sum(factors * both, axis=-1)
    total = ops.sum(factors * (predicted + true), axis=-1)
    loss = 1.0 - (2.0 * overlap + smooth) / (total + smooth)
    return regions.nan_where_bad(loss, batch)


@keras.saving.register_keras_serializable(package="kseg.losses")
class GeneralizedDice(regions.OverlapLoss):
    """Mean generalised Dice loss over the images of a batch: rare classes weigh more.

    Keras has no such loss. `kseg.losses.generalized_dice` has the formula, and what a
    class that is absent from an image contributes.

    Args:
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether predictions are logits. Defaults to `False`.
        include_background: Whether class 0 takes part. Defaults to `True`.
        smooth: Number of pixels of the smallest region that are added above and below,
            positive. Defaults to `1.0`.
        reduction: How Keras reduces the losses of the images. Defaults to
            `"sum_over_batch_size"`, the mean.
        name: Name of the loss. Defaults to `"generalized_dice"`.
        dtype: Dtype of the result; the computation is float32. Defaults to `None`,
            which means float32.

    Call arguments:
        y_true: Class ids, as for `kseg.losses.Dice`.
        y_pred: Scores, as for `kseg.losses.Dice`.
        sample_weight: Weights of images or pixels, as for `kseg.losses.Dice`.
    """

    function = staticmethod(generalized_dice)
