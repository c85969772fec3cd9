"""Losses for the Jaccard index (IoU): its soft form and its Lovász extension."""

import keras
from keras import ops

from kseg.losses import regions


def iou(
    y_true,
    y_pred,
    pixel_weights=None,
    ignore_class=255,
    from_logits=False,
    include_background=True,
    smooth=1.0,
):
    """Computes the soft IoU (Jaccard) loss of every image, a mean over the classes.

    Formula, per class, with sums over the valid pixels of an image:

    ```python
    overlap, total = sum(w * p * g), sum(w * p) + sum(w * g)
    loss = 1 - (overlap + smooth) / (total - overlap + smooth)
    ```

    For probabilities of 0 and 1 it is 1 - IoU, but for `smooth`. A class that is
    neither in the image nor predicted has loss 0; so has, with gradient 0, an image
    without a valid pixel.

    Reference:
    - [Optimizing IoU](https://doi.org/10.1007/978-3-319-50835-1_22) (ISVC 2016),
      equation 3; with `smooth`

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
    loss = 1.0 - (both + smooth) / (predicted + true - both + smooth)
    return regions.nan_where_bad(ops.mean(loss, axis=-1), batch)


@keras.saving.register_keras_serializable(package="kseg.losses")
class IoU(regions.OverlapLoss):
    """Mean soft IoU loss over the classes of an image and over the images of a batch.

    Keras has no such loss: its nearest is `keras.losses.Tversky(alpha=1, beta=1)`, with
    one-hot masks and no ignored pixels. `kseg.losses.iou` has the formula.

    Args:
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether predictions are logits. Defaults to `False`.
        include_background: Whether class 0 takes part in the mean. Defaults to `True`.
        smooth: Number of pixels added above and below, positive. Defaults to `1.0`.
        reduction: How Keras reduces the losses of the images. Defaults to
            `"sum_over_batch_size"`, the mean.
        name: Name of the loss. Defaults to `"iou"`.
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

    function = staticmethod(iou)


def lovasz(
    y_true,
    y_pred,
    pixel_weights=None,
    ignore_class=255,
    from_logits=False,
    present_only=True,
):
    """Computes the Lovász-softmax loss of every image, a mean over the classes.

    The piecewise linear extension of 1 - IoU to errors between 0 and 1. Formula, per
    class, over the valid pixels of an image:

    ```python
    errors = abs(g - p)  # sorted, the largest first; g and w in the same order
    overlap = sum(w * g) - cumsum(w * g)
    union = sum(w * g) + cumsum(w * (1 - g))
    jaccard = 1 - overlap / union
    loss = sum(errors * diff(jaccard))  # diff starts from 0
    ```

    For probabilities of 0 and 1 it is 1 - IoU. An image without a valid pixel has loss
    0 and gradient 0. The errors of each image and class are sorted, which makes it much
    slower than `kseg.losses.iou`.

    Reference:
    - [The Lovász-Softmax loss](https://arxiv.org/abs/1705.08790) (CVPR 2018),
      algorithm 1 and equation 11, of each image alone; pixel weights are ours

    Args:
        y_true: As in `kseg.losses.iou`, like the arguments that follow.
        y_pred: Probabilities or logits of shape `(batch, height, width, classes)`.
        pixel_weights: Factors of shape `(batch, height, width)`, or `None`.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether `y_pred` holds logits. Defaults to `False`.
        present_only: Whether the mean is over the classes that are in the image, as in
            the paper, or over all; an absent class costs its largest error. A single
            channel counts whether the image has foreground or not. Defaults to `True`.

    Returns:
        Float32 tensor of shape `(batch,)`, as from `kseg.losses.iou`.

    Raises:
        ValueError: As `kseg.losses.iou`.
    """
    batch = regions.read(y_true, y_pred, pixel_weights, ignore_class, from_logits)
    errors = ops.abs(batch.truth - batch.scores)
    # Invalid pixels to the end, where the index does not change any more.
    errors = ops.where(batch.weights[..., None] > 0, errors, -1.0)
    hit = batch.weights[..., None] * batch.truth
    missed = batch.weights[..., None] * (1.0 - batch.truth)
    errors, hit, missed = (
        ops.transpose(regions.flat(x), (0, 2, 1)) for x in (errors, hit, missed)
    )
    order = ops.argsort(ops.stop_gradient(-errors), axis=-1)
    errors, hit, missed = (
        ops.take_along_axis(x, order, axis=-1) for x in (errors, hit, missed)
    )
    true = ops.sum(hit, axis=-1, keepdims=True)
    left = true - ops.cumsum(hit, axis=-1)
    union = true + ops.cumsum(missed, axis=-1)
    before = union - missed
    # The steps of the index, without the difference of two numbers that are almost 1.
    rise = ops.where(before > 0, left / ops.where(before > 0, before, 1.0), 1.0)
    steps = ops.divide_no_nan(hit + missed * rise, union)
    losses = ops.sum(errors * steps, axis=-1)
    counts = ops.ones_like(losses)
    if present_only and batch.scores.shape[-1] > 1:
        counts = ops.cast(true[..., 0] > 0, "float32")
    loss = ops.divide_no_nan(
        ops.sum(losses * counts, axis=-1), ops.sum(counts, axis=-1)
    )
    return regions.nan_where_bad(loss, batch)


@keras.saving.register_keras_serializable(package="kseg.losses")
class Lovasz(regions.RegionLoss):
    """Mean Lovász-softmax loss over the classes of an image and the images of a batch.

    Keras has no such loss. `kseg.losses.lovasz` has the formula. The paper trains with
    cross-entropy first, or adds it: `kseg.losses.Sum([SparseCrossEntropy(), Lovasz()])`.

    Args:
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether predictions are logits. Defaults to `False`.
        present_only: Whether the mean is over the classes that are in the image, or
            over all. Defaults to `True`.
        reduction: How Keras reduces the losses of the images. Defaults to
            `"sum_over_batch_size"`, the mean.
        name: Name of the loss. Defaults to `"lovasz"`.
        dtype: Dtype of the result; the computation is float32. Defaults to `None`,
            which means float32.

    Call arguments:
        y_true: Class ids, as for `kseg.losses.IoU`.
        y_pred: Scores, as for `kseg.losses.IoU`.
        sample_weight: Weights of images or pixels, as for `kseg.losses.IoU`.
    """

    function = staticmethod(lovasz)

    def __init__(
        self,
        ignore_class: int | None = 255,
        from_logits: bool = False,
        present_only: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype=None,
    ):
        super().__init__(ignore_class, from_logits, reduction, name, dtype)
        self.present_only = present_only

    def arguments(self):
        return {**super().arguments(), "present_only": self.present_only}
