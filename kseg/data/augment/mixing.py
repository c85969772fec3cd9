"""Two samples into one; `kseg.data.loader(…, mix=…)` brings the second."""

import numpy as np

from kseg.data.augment.class_crop import classes_of
from kseg.data.augment.plan import IGNORE_CLASS
from kseg.data.augment.transform import check_probability


class Mix:
    """Pastes pixels of another sample, with their labels, into a sample.

    A subclass implements `region`.

    Args:
        probability: How often the loader mixes.

    Call arguments:
        sample: Pair of image and mask: uint8 of shape `(height, width, 3)`, class ids
            of shape `(height, width)`. For clips `(frames, …)` each.
        other: Such a pair of the same shapes, from which pixels are taken.
        rng: `numpy.random.Generator` to draw from.

    Returns:
        The pair of image and mask, new arrays.
    """

    def __init__(self, probability=0.5):
        self.probability = check_probability("probability", probability)

    def region(self, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns which pixels are taken, bool of the shape of the other's mask.

        Args:
            mask: Mask of the other sample.
            rng: Generator to draw from.
        """
        raise NotImplementedError

    def __call__(self, sample, other, rng):
        (image, mask), (other_image, other_mask) = sample, other
        shapes = [np.shape(array) for array in (image, mask, other_image, other_mask)]
        if shapes[:2] != shapes[2:] or shapes[0][:-1] != shapes[1]:
            raise ValueError(
                "`sample` and `other` must be pairs of image and mask of one size, clips "
                "with a mask for each frame. "
                f"Received: shapes {', '.join(map(str, shapes))}"
            )
        taken = self.region(other_mask, rng)
        image = np.where(taken[..., None], other_image, image)
        return image, np.where(taken, other_mask, mask)


class CutMix(Mix):
    """Takes a box of the other sample.

    The box has the picture's aspect ratio and, before it is cut off at the border, a
    share of its area drawn from a beta distribution; its centre is anywhere.

    Reference:
    - [CutMix](https://arxiv.org/abs/1905.04899) (ICCV 2019), equation 2

    Args:
        probability: How often the loader mixes.
        alpha: Both parameters of the beta distribution; at 1 all shares are alike.
    """

    def __init__(self, probability=0.5, alpha=1.0):
        super().__init__(probability)
        if alpha <= 0:
            raise ValueError(f"`alpha` must be positive. Received: alpha={alpha}")
        self.alpha = alpha

    def region(self, mask, rng):
        part = np.sqrt(1 - rng.beta(self.alpha, self.alpha))
        taken = np.zeros(mask.shape, bool)
        box = []
        for length in mask.shape[-2:]:
            center = rng.random() * length
            low, high = center - part * length / 2, center + part * length / 2
            box.append(slice(max(round(low), 0), min(round(high), length)))
        taken[(..., *box)] = True
        return taken


class ClassMix(Mix):
    """Takes half of the classes of the other sample, wherever they are.

    Reference:
    - [ClassMix](https://arxiv.org/abs/2007.07936) (WACV 2021), algorithm 1; of an odd
      number of classes the half is rounded down, as the authors' code does

    Args:
        probability: How often the loader mixes.
        ignore_class: Class id of pixels that are never taken.
    """

    def __init__(self, probability=0.5, ignore_class=IGNORE_CLASS):
        super().__init__(probability)
        self.ignore_class = ignore_class

    def region(self, mask, rng):
        classes = classes_of(mask, self.ignore_class)
        chosen = rng.permutation(classes)[: len(classes) // 2]
        return np.isin(mask, chosen)
