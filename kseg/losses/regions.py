"""What the losses of whole regions share: sums over pixels, weights, configuration."""

import math
from numbers import Real
from typing import Any, NamedTuple

import keras
from keras import ops

from kseg.losses import pixels


class Regions(NamedTuple):
    """The classes of one batch, side by side.

    Attributes:
        truth: Float32 tensor of shape `(batch, height, width, classes)`: 1 where the
            class is true.
        scores: Probabilities of the same shape.
        weights: Pixel weights of shape `(batch, height, width)`, 0 where invalid.
        bad: Boolean tensor of shape `(batch,)`: images with a label that is no class.
            Only inside a compiled step: outside it raises.
    """

    truth: Any
    scores: Any
    weights: Any
    bad: Any


class Areas(NamedTuple):
    """Weighted areas of every class in every image, of shape `(batch, classes)`."""

    both: Any
    predicted: Any
    true: Any


def read(
    y_true,
    y_pred,
    pixel_weights,
    ignore_class,
    from_logits,
    include_background=True,
):
    """Checks one batch, and splits its truth into one mask per class.

    Args:
        y_true: As in `pixels.read`.
        y_pred: As in `pixels.read`.
        pixel_weights: What `pixels.weights` takes.
        ignore_class: Id of the pixels that do not count, or `None`.
        from_logits: Whether the scores are logits.
        include_background: Whether class 0 is returned. A single channel is the
            foreground alone either way.

    Returns:
        `Regions`.
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
    axes = tuple(range(1, len(batch.labels.shape)))
    return Regions(
        truth=truth,
        scores=scores,
        weights=pixels.weights(batch.valid, pixel_weights),
        bad=ops.any(batch.bad, axis=axes),
    )


def areas(regions):
    """Sums over the pixels of each image.

    Returns:
        `Areas`: of truth and prediction, of the prediction, of the truth.
    """
    truth, scores = flat(regions.truth), flat(regions.scores)
    weights = flat(regions.weights[..., None])[..., 0]
    # The score of the true class first: both sums over pixels are then products of
    # matrices, which on a CPU are several times as fast as sums over a middle axis.
    hit = weights * ops.sum(truth * scores, axis=-1)
    sums = ops.matmul(ops.stack([hit, weights], axis=1), truth)
    predicted = ops.matmul(weights[:, None], scores)
    return Areas(both=sums[:, 0], predicted=predicted[:, 0], true=sums[:, 1])


def flat(x):
    """Joins the axes between batch and classes."""
    if len(x.shape) == 3:
        return x
    return ops.reshape(x, (ops.shape(x)[0], -1, x.shape[-1]))


def nan_where_bad(losses, regions):
    """Marks the images whose labels are no classes; their gradient is 0."""
    return ops.where(regions.bad, math.nan, losses)


def check_positive(name, value):
    """Raises if an argument is not a positive number."""
    if not isinstance(value, Real) or not 0 < value < math.inf:
        raise ValueError(
            f"`{name}` must be a positive number. Received: {name}={value!r}"
        )


class RegionLoss(keras.losses.Loss):
    """A loss of every image, which takes weights of images and of pixels.

    A subclass names the `function` that computes losses of shape `(batch,)`, and adds
    to `arguments` what that takes.
    """

    def __init__(self, ignore_class, from_logits, reduction, name, dtype):
        name = name or type(self).function.__name__
        super().__init__(name=name, reduction=reduction, dtype=dtype or "float32")
        self.ignore_class = ignore_class
        self.from_logits = from_logits

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

    def call(self, y_true, y_pred, pixel_weights=None):
        return type(self).function(y_true, y_pred, pixel_weights, **self.arguments())

    def arguments(self):
        """The arguments that the class has in common with its function."""
        return {"ignore_class": self.ignore_class, "from_logits": self.from_logits}

    def get_config(self):
        return {
            **self.arguments(),
            "reduction": self.reduction,
            "name": self.name,
            "dtype": self.dtype,
        }


class OverlapLoss(RegionLoss):
    """A `RegionLoss` of classes whose overlap is a ratio of areas."""

    def __init__(
        self,
        ignore_class: int | None = 255,
        from_logits: bool = False,
        include_background: bool = True,
        smooth: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype=None,
    ):
        super().__init__(ignore_class, from_logits, reduction, name, dtype)
        check_positive("smooth", smooth)
        self.include_background = include_background
        self.smooth = smooth

    def arguments(self):
        return {
            **super().arguments(),
            "include_background": self.include_background,
            "smooth": self.smooth,
        }
