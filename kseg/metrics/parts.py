"""IoU of the parts of shapes, as ShapeNet-part is evaluated."""

import math
from numbers import Integral

import keras
import numpy as np
from keras import ops

from kseg.metrics import confusion, pixels, ratios
from kseg.metrics.confusion import WORD, ConfusionMatrix

# Shapes' IoUs are summed as whole numbers of this part, so that order does not matter.
_UNIT = 2**20
_HALF = 2**10


@keras.saving.register_keras_serializable(package="kseg.metrics")
class PartIoU(ConfusionMatrix):
    """Mean over shapes of the mean IoU of the parts that their category has.

    The category of a shape is that of its labels, and only parts of this category are
    chosen among its scores. A part that a shape neither has nor is predicted to have
    counts 1. `result()` is a dict:

    - `"instance_mean_iou"`: mean over all shapes
    - `"category_mean_iou"`: mean over the categories of the means over their shapes

    Both are NaN before the first shape, and after a compiled step in which a shape had
    parts of several categories, where eager calls raise. IoUs of shapes are rounded to 2**-20.

    Reference:
    - [A Scalable Active Framework for Region Annotation in 3D Shape
      Collections](https://doi.org/10.1145/2980179.2980238) (SIGGRAPH Asia 2016)
    - [PointNet](https://arxiv.org/abs/1612.00593) (CVPR 2017), section 5.1, with the
      authors' code

    Args:
        num_classes: Number of the parts of all categories (50 in ShapeNet).
        categories: Number of parts of each category, whose parts have ids one after
            another. Defaults to `None`: a single category.
        ignore_class: As in `ConfusionMatrix`. Defaults to `255`.
        from_logits: As in `ConfusionMatrix`. Defaults to `False`.
        name: Name of the metric. Defaults to `"part_iou"`.

    Call arguments:
        y_true: Part ids of shape `(batch, points)`, of one category for each shape.
        y_pred: Scores of shape `(batch, points, num_classes)`; or part ids of an integer
            dtype, which are taken as they are.
        sample_weight: As in `ConfusionMatrix`.

    Example:

    >>> parts = [parts for _, _, parts in shapenet_part.CATEGORIES]
    >>> metric = kseg.metrics.PartIoU(50, parts)
    """

    def __init__(
        self,
        num_classes: int,
        categories=None,
        ignore_class=255,
        from_logits: bool = False,
        name: str = "part_iou",
    ):
        super().__init__(num_classes, ignore_class, from_logits, name)
        counts = (self._size,) if categories is None else tuple(categories)
        if (
            not all(isinstance(count, Integral) and count > 0 for count in counts)
            or sum(counts) != self._size
        ):
            raise ValueError(
                "`categories` must be numbers of parts that add up to "
                f"num_classes={num_classes}. Received: categories={categories}"
            )
        self.categories = None if categories is None else tuple(map(int, counts))
        self._parts = np.array(counts, "int32")
        self._category_of = np.repeat(np.arange(len(counts)), counts).astype("int32")
        self._direction = "up"  # for callbacks with mode="auto"
        self._sums = self._add_counts(len(counts), "sums")
        self._shapes = self._add_counts(len(counts), "shapes")
        self._mixed = self._add_counts(1, "mixed")

    def update_state(self, y_true, y_pred, sample_weight=None):
        category, mixed = self._category(ops.convert_to_tensor(y_true))
        if len(self._parts) > 1:
            mask = getattr(y_pred, "_keras_mask", None)
            if mask is not None:  # The restricted scores have none.
                mask = ops.cast(mask, "float32")
                weights = 1.0 if sample_weight is None else sample_weight
                sample_weight = mask * pixels.broadcast(weights, like=mask)
            y_pred = self._restricted(y_pred, category)
        truth, predicted, valid = self._count(y_true, y_pred, sample_weight)
        batch = ops.shape(truth)[0]
        truth, predicted, valid = (
            ops.reshape(x, (batch, -1)) for x in (truth, predicted, valid)
        )
        valid = ops.cast(valid, "float32")[..., None]
        hot = [
            ops.one_hot(ops.clip(ids, 0, self._size - 1), self._size, dtype="float32")
            for ids in (truth, predicted)
        ]
        common = ops.sum(hot[0] * hot[1] * valid, axis=1)
        total = ops.sum((hot[0] + hot[1]) * valid, axis=1)
        iou = ops.where(total > 0, common / ops.maximum(total - common, 1), 1.0)
        # Rows: category of the shape; columns: parts.
        is_part = np.arange(len(self._parts))[:, None] == self._category_of
        weights = (is_part / self._parts[:, None]).astype("float32")
        mean = ops.sum(iou * ops.take(ops.convert_to_tensor(weights), category, 0), 1)
        counts = ops.any(valid[..., 0] > 0, axis=1)  # not a shape of ignored points
        units = ops.where(counts, ops.cast(ops.round(mean * _UNIT), "int32"), 0)
        number = len(self._parts)
        # In halves, or the sum over 2,048 shapes would not fit into int32.
        high, low = (
            ops.segment_sum(half, category, number)
            for half in (units // _HALF, units % _HALF)
        )
        carry = high // (WORD // _HALF)
        low = low + (high - carry * (WORD // _HALF)) * _HALF
        self._add(self._sums, low, carry)
        ones = ops.cast(counts, "int32")
        self._add(self._shapes, ops.segment_sum(ones, category, number))
        self._add(self._mixed, ops.sum(ops.cast(mixed, "int32"), keepdims=True))

    def result(self):
        """Returns a dict of two float32 scalars."""
        sums = confusion.as_float(self._sums) / _UNIT
        shapes = confusion.as_float(self._shapes)
        of_category = ops.where(shapes > 0, sums / ops.maximum(shapes, 1), 0.0)
        occur = ops.sum(ops.cast(shapes > 0, "float32"))
        values = {
            "instance_mean_iou": ratios.ratio(ops.sum(sums), ops.sum(shapes)),
            "category_mean_iou": ratios.ratio(ops.sum(of_category), occur),
        }
        return {name: self._unless_bad(value) for name, value in values.items()}

    def check(self):
        """As in `ConfusionMatrix`; and raises if a shape had parts of two categories."""
        super().check()
        mixed = int(ops.convert_to_numpy(confusion.as_float(self._mixed))[0])
        if mixed:
            raise ValueError(
                f"`y_true` of metric {self.name!r} must hold parts of one category per "
                f"shape. Received: {mixed} shapes with parts of several"
            )

    def get_config(self):
        return {**super().get_config(), "categories": self.categories}

    def _unless_bad(self, value):
        value = super()._unless_bad(value)
        return ops.where(ops.any(self._mixed > 0), math.nan, value)

    def _category(self, truth):
        """The int32 category of each shape, by its highest label, and which are mixed."""
        labels = ops.cast(truth, "int32")
        labels = ops.reshape(labels, (ops.shape(labels)[0], -1))
        valid = ops.logical_and(labels >= 0, labels < self._size)
        for ignored in self._ignored:
            valid = ops.logical_and(valid, ops.not_equal(labels, ignored))
        table = ops.convert_to_tensor(self._category_of)
        category = ops.take(table, ops.clip(labels, 0, self._size - 1))
        highest = ops.max(ops.where(valid, category, 0), axis=1)
        differs = ops.logical_and(valid, ops.not_equal(category, highest[:, None]))
        differs = ops.any(differs, axis=1)
        if pixels.is_true(ops.any(differs)):
            row = int(np.argmax(ops.convert_to_numpy(differs)))
            found = np.unique(ops.convert_to_numpy(labels)[row]).tolist()
            raise ValueError(
                f"`y_true` of metric {self.name!r} must hold parts of one category per "
                f"shape. Received: shape {row} with the parts {found}"
            )
        return highest, differs

    def _restricted(self, y_pred, category):
        """Scores with minus infinity for the parts of other categories."""
        scores = ops.convert_to_tensor(y_pred)
        if (
            not keras.backend.is_float_dtype(scores.dtype)
            or scores.shape[-1] != self._size
        ):
            return y_pred
        own = category[:, None] == ops.convert_to_tensor(self._category_of)
        shape = (-1, *[1] * (len(scores.shape) - 2), self._size)
        return ops.where(ops.reshape(own, shape), scores, -math.inf)
