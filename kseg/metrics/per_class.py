"""A value for each class, and their mean: what follows from more than the matrix."""

import math

import numpy as np
from keras import ops

from kseg.metrics import ratios
from kseg.metrics.confusion import ConfusionMatrix


class PerClass(ConfusionMatrix):
    """Mean over the classes of what `_values` returns for each."""

    def __init__(
        self, num_classes, ignore_class, from_logits, include_background, absent, name
    ):
        super().__init__(num_classes, ignore_class, from_logits, name)
        self.include_background = include_background
        self.absent = ratios.checked(absent)
        # A single channel is the foreground, class 1.
        self._classes = np.arange(num_classes) + (num_classes == 1)
        is_part = ~np.isin(self._classes, self._ignored)
        if not include_background:
            is_part &= self._classes > 0
        self._is_part = is_part

    def result(self):
        """Returns a float32 scalar."""
        values = ops.where(self._is_part, self._values(), math.nan)
        return self._unless_bad(ratios.nanmean(values))

    def per_class(self):
        """Returns the values of the classes, NumPy float32 of shape `(num_classes,)`."""
        return ops.convert_to_numpy(self._unless_bad(self._values()))

    def get_config(self):
        return {
            **super().get_config(),
            "include_background": self.include_background,
            "absent": self.absent,
        }

    def _values(self):
        raise NotImplementedError

    def _one_hot(self, ids):
        """Where each class is, a float32 tensor with a last axis of `num_classes`."""
        return ops.cast(ops.equal(ids[..., None], self._classes), "float32")
