"""Boundary loss: probabilities weighed by their signed distance to the true contour."""

import keras
from keras import ops

from kseg.losses import distances, regions


def boundary(
    y_true,
    y_pred,
    distance_maps=None,
    pixel_weights=None,
    ignore_class=255,
    from_logits=False,
    include_background=False,
    resolution=64,
):
    """Computes the boundary loss of every image.

    Formula, a mean over the valid pixels and the classes:

    ```python
    loss = mean(w * p * phi)  # sum(w) pixels
    ```

    `phi` is the signed distance of the pixel to the contour of the class in pixels:
    positive outside, 0 on the pixels that line the inside, negative further in. It is 0
    for a class that is absent or fills the image. The loss may be negative; its
    smallest value is that of the true mask. It says nothing where a class is absent,
    and it has local minima: the paper adds it to a region loss, with a weight that
    grows from 0.01 (`kseg.losses.Sum`, `kseg.losses.ScheduleWeights`).

    Reference:
    - [Boundary loss](https://arxiv.org/abs/1812.07032) (MIDL 2019), equation 5

    Args:
        y_true: Class ids of shape `(batch, height, width)` or
            `(batch, height, width, 1)`.
        y_pred: Probabilities or logits of shape `(batch, height, width, classes)`; a
            single channel is the score of the foreground, for masks of 0 and 1.
        distance_maps: Signed distances of the shape of `y_pred`, from
            `kseg.losses.signed_distance`; those of background are not read where it
            does not take part. `None` computes them from the truth, in every step.
            Defaults to `None`.
        pixel_weights: Factors of shape `(batch, height, width)`, or `None` for 1 each.
            Defaults to `None`.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether `y_pred` holds logits. Defaults to `False`.
        include_background: Whether class 0 takes part in the mean; a single channel
            holds the foreground alone either way. Defaults to `False`.
        resolution: Largest height and width at which distances are computed without
            `distance_maps`; those of a larger image are approximate. Defaults to `64`.

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
    if distance_maps is None:
        is_true, valid = batch.truth > 0, batch.weights > 0
        maps = ops.sqrt(distances.to_boundary(is_true, valid, resolution))
        maps = ops.where(ops.logical_and(is_true, maps > 0), 1.0 - maps, maps)
    else:
        maps = ops.cast(distance_maps, "float32")
        if maps.shape[1:] != ops.convert_to_tensor(y_pred).shape[1:]:
            raise ValueError(
                "`distance_maps` must have the shape of `y_pred`: make them with "
                "`kseg.losses.signed_distance(mask, num_classes)`. Received: "
                f"distance_maps.shape={tuple(maps.shape)}"
            )
        maps = maps[..., -batch.scores.shape[-1] :]
    costs = ops.mean(batch.scores * maps, axis=-1) * batch.weights
    axes = tuple(range(1, len(costs.shape)))
    loss = ops.divide_no_nan(
        ops.sum(costs, axis=axes), ops.sum(batch.weights, axis=axes)
    )
    return regions.nan_where_bad(loss, batch)


@keras.saving.register_keras_serializable(package="kseg.losses")
class Boundary(regions.RegionLoss):
    """Mean boundary loss over the images of a batch.

    Keras has no such loss. `kseg.losses.boundary` has the formula, and why a region
    loss belongs beside it. The signed distances depend on the truth alone, so they are
    best made by the loader, which hands them over as `sample_weight`; without them the
    step computes them.

    Args:
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether predictions are logits. Defaults to `False`.
        include_background: Whether class 0 takes part. Defaults to `False`.
        resolution: Largest height and width at which the step computes distances, if
            it is not given any. Defaults to `64`.
        reduction: How Keras reduces the losses of the images. Defaults to
            `"sum_over_batch_size"`, the mean.
        name: Name of the loss. Defaults to `"boundary"`.
        dtype: Dtype of the result; the computation is float32. Defaults to `None`,
            which means float32.

    Call arguments:
        y_true: Class ids of shape `(batch, height, width)` or
            `(batch, height, width, 1)`.
        y_pred: Scores of shape `(batch, height, width, classes)`; a single channel is
            the score of the foreground, for masks of 0 and 1.
        sample_weight: Signed distances of shape `(batch, height, width, classes)`, one
            channel of which is a map too, or factors of shape `(batch,)` or
            `(batch, height, width)`.

    Example:

    >>> maps = functools.partial(kseg.losses.signed_distance, num_classes=4)
    >>> batches = kseg.data.loader(dataset, 16, 256, maps=maps)
    >>> loss = kseg.losses.Sum([Dice(), Boundary()], weights=(1.0, 0.01))
    >>> model.compile("adam", loss=loss)
    >>> model.fit(batches)
    """

    function = staticmethod(boundary)
    reads_maps = True

    def __init__(
        self,
        ignore_class: int | None = 255,
        from_logits: bool = False,
        include_background: bool = False,
        resolution: int = 64,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype=None,
    ):
        super().__init__(ignore_class, from_logits, reduction, name, dtype)
        regions.check_positive("resolution", resolution)
        self.include_background = include_background
        self.resolution = resolution

    def call(self, y_true, y_pred, sample_weight=None):
        maps = weights = None
        if sample_weight is not None:
            rank, num_classes = len(y_pred.shape), y_pred.shape[-1]
            is_map = len(sample_weight.shape) == rank and (
                num_classes == 1 or sample_weight.shape[-1] != 1
            )
            maps, weights = (sample_weight, None) if is_map else (None, sample_weight)
        return boundary(y_true, y_pred, maps, weights, **self.arguments())

    def arguments(self):
        return {
            **super().arguments(),
            "include_background": self.include_background,
            "resolution": self.resolution,
        }
