"""A crop that finds rare classes."""

import numpy as np

from kseg.data.augment.geometry import RandomCrop
from kseg.data.augment.plan import IGNORE_CLASS
from kseg.data.augment.transform import check_probability


class RandomClassCrop(RandomCrop):
    """Cuts out a window that shows a class drawn from those in the mask.

    Of the classes in the mask one is drawn, all alike or as `class_weights` says, then
    one of its pixels, and the window, of a random size as in `RandomCrop`, is put at a
    random place among those where it has that pixel. So a class of few pixels is
    aimed at as often as the sky. Without a mask it is `RandomCrop`.

    Args:
        scale: Pair, the range of the window's height in parts of the photo's.
        aspect: Largest factor of the jitter of the aspect ratio, `1` for none.
        class_weights: How often each class is aimed at, by class id, such as those of
            `kseg.losses.class_weights`; classes of weight 0 never. `None` for all
            alike.
        probability: How often; else the window lies anywhere.
        ignore_class: Class id that is never aimed at.
    """

    def __init__(
        self,
        scale=(0.25, 1.0),
        aspect=1.25,
        class_weights=None,
        probability=1.0,
        ignore_class=IGNORE_CLASS,
    ):
        super().__init__(scale, aspect)
        if class_weights is not None:
            weights = np.asarray(class_weights, "float64")
            if weights.ndim != 1 or not (weights >= 0).all() or not weights.any():
                raise ValueError(
                    "`class_weights` must hold a weight of at least 0 for each class, "
                    f"not all 0. Received: class_weights={class_weights}"
                )
            class_weights = weights
        self.class_weights = class_weights
        self.probability = check_probability("probability", probability)
        self.ignore_class = ignore_class

    def extend(self, plan, rng, size):
        before = plan
        plan = super().extend(plan, rng, size)
        chance, class_draw, pixel_draw, down, right = rng.random(5)
        if chance >= self.probability or plan.truth is None:
            return plan
        if before.bends:
            raise ValueError(
                "`RandomClassCrop` must stand before `RandomElastic` in a row, as it "
                "looks for the class in the unbent mask. "
                f"Received: a plan with {len(before.bends)} bends"
            )
        chosen = self._choose_class(plan.truth, class_draw)
        if chosen is None:
            return plan
        places = np.flatnonzero(plan.truth == chosen)
        y, x = divmod(int(places[int(pixel_draw * len(places))]), plan.source[1])
        x, y, w = np.linalg.solve(before.matrix, [x + 0.5, y + 0.5, 1.0])
        top = _start(y / w, plan.height, before.height, down)
        left = _start(x / w, plan.width, before.width, right)
        return before.crop(top, left, plan.height, plan.width)

    def _choose_class(self, truth, draw):
        classes = classes_of(truth, self.ignore_class)
        weights = np.ones(len(classes))
        if self.class_weights is not None:
            known = len(self.class_weights)
            if len(classes) and not 0 <= classes[0] <= classes[-1] < known:
                raise ValueError(
                    "`class_weights` must hold a weight for each class of the mask. "
                    f"Received: {known} weights, classes {classes.tolist()}"
                )
            weights = self.class_weights[classes]
        if not weights.any():
            return None  # nothing to aim at
        shares = np.cumsum(weights) / weights.sum()
        return classes[min(np.searchsorted(shares, draw, "right"), len(classes) - 1)]


def classes_of(mask: np.ndarray, ignore_class: int) -> np.ndarray:
    """Returns the class ids in a mask, sorted, without the ignored one."""
    if mask.dtype == "uint8":  # counting is much faster than sorting
        classes = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
    else:
        classes = np.unique(mask)
    return classes[classes != ignore_class]


def _start(point, length, whole, draw):
    """A place of a window of a length that holds the pixel, inside of the whole."""
    margin = min(0.5, length / 2)  # the whole pixel, so that it does not get lost
    low, high = point + margin - length, point - margin
    if length <= whole:  # else the window reaches beyond on both sides
        low, high = max(low, 0.0), min(high, whole - length)
        # Where the pixel was moved out of the picture, the window next to it.
        low, high = min(low, whole - length), max(high, 0.0)
    return low + draw * (high - low)
