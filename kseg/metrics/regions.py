"""Regions of a mask, and which of the predicted ones are right. NumPy."""

import numpy as np


def split(mask, instances=None):
    """Numbers the regions of a mask from 1 on.

    Args:
        mask: Boolean array of any number of axes.
        instances: Numbers of the instances, an array of the same shape, or `None` for
            connected pixels, diagonals included.

    Returns:
        Integer array of the shape of `mask`, 0 outside of it.
    """
    if instances is None:
        from scipy import ndimage

        return ndimage.label(mask, np.ones((3,) * mask.ndim))[0]
    numbers = np.unique(np.asarray(instances), return_inverse=True)[1] + 1
    return np.where(mask, numbers.reshape(mask.shape), 0)


def ious(true_regions, found):
    """Returns the IoU of each true region with each found one.

    Args:
        true_regions: Numbers of the regions, 0 for none.
        found: The same of the predicted ones.

    Returns:
        Array of shape `(true, found)`, both in rising order of their numbers.
    """
    (true_ids, true), (found_ids, places) = (
        np.unique(one, return_inverse=True) for one in (true_regions, found)
    )
    shape = (len(true_ids), len(found_ids))
    pairs = np.ravel_multi_index((true.ravel(), places.ravel()), shape)
    overlap = np.bincount(pairs, minlength=np.prod(shape)).reshape(shape)
    union = overlap.sum(1, keepdims=True) + overlap.sum(0, keepdims=True) - overlap
    return (overlap / union)[true_ids > 0][:, found_ids > 0]


def means(scores, found):
    """Returns the mean score of each region, float32, in rising order of the numbers."""
    numbers, places = np.unique(found, return_inverse=True)
    sums = np.bincount(places.ravel(), scores.ravel().astype("float64"))
    result = sums / np.bincount(places.ravel())
    return result[numbers > 0].astype("float32")


def match(ious, scores, threshold):
    """Returns which found regions are right, the highest scores choosing first.

    Args:
        ious: Array of shape `(true, found)`.
        scores: Array of shape `(found,)`.
        threshold: IoU from which on a region is right.

    Returns:
        Boolean array of shape `(found,)`.
    """
    is_right = np.zeros(len(scores), bool)
    free = np.array(ious)
    for index in np.argsort(-scores, kind="stable"):
        if len(free) and free[:, index].max() >= threshold:
            is_right[index] = True
            free[free[:, index].argmax()] = -1
    return is_right
