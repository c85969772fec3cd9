"""Maps of the truth alone, in NumPy: the loader makes them beside the model."""

import math

import numpy as np
from scipy import ndimage


def border_weights(mask, *, w0=10.0, sigma=5.0, class_weights=None, ignore_class=255):
    """Computes U-Net's weights, which are high between neighbouring objects.

    Formula:

    ```python
    weight = class_weights[mask] + w0 * exp(-((d1 + d2) ** 2) / (2 * sigma**2))
    ```

    `d1` and `d2` are the distances of a background pixel to the nearest and the second
    nearest object. An object is a region of equal class other than 0, connected over
    the edges of its pixels, so objects that touch must have a line of background, or
    different ids, between them. On objects, and with fewer than two of them, the
    second term is 0.

    Reference:
    - [U-Net](https://arxiv.org/abs/1505.04597) (MICCAI 2015), equation 2; on background
      only, where the ridges are wanted

    Args:
        mask: Class or object ids of shape `(height, width)`, 0 for background.
        w0: Weight where two objects touch. Defaults to `10.0`.
        sigma: Reach of the ridges in pixels. Defaults to `5.0`.
        class_weights: One factor per class, or `None` for 1 each. Defaults to `None`.
        ignore_class: Id of the pixels that belong to no object; their weight is 0. Or
            `None`. Defaults to `255`.

    Returns:
        Float32 array of shape `(height, width)`, to be the `sample_weight` of a loss.
    """
    mask = _check(mask)
    ignored = (
        np.zeros(mask.shape, bool) if ignore_class is None else mask == ignore_class
    )
    nearest = np.full((2, *mask.shape), np.inf)
    reach = math.ceil(6 * sigma)  # the term is below 2e-8 * w0 beyond
    for class_id in np.unique(mask[(mask != 0) & ~ignored]):
        objects, _ = ndimage.label(mask == class_id)
        for number, box in enumerate(ndimage.find_objects(objects), 1):
            near = tuple(slice(max(s.start - reach, 0), s.stop + reach) for s in box)
            distance = ndimage.distance_transform_edt(objects[near] != number)
            both = np.stack([*nearest[:, *near], distance])
            nearest[:, *near] = np.sort(both, axis=0)[:2]
    ridges = w0 * np.exp(-(nearest.sum(axis=0) ** 2) / (2 * sigma**2))
    base = 1.0 if class_weights is None else np.asarray(class_weights)[mask * ~ignored]
    weights = base + np.where(mask == 0, ridges, 0.0)
    return np.where(ignored, 0.0, weights).astype("float32")


def signed_distance(mask, num_classes, *, spacing=1.0, ignore_class=255):
    """Computes the signed distance of every pixel to the contour of every class.

    Positive outside the class: the distance to its nearest pixel. Not positive inside:
    minus the distance to the nearest pixel of another class, plus that between
    neighbours, so that the pixels which line the inside have 0. It is 0 everywhere for
    a class that is absent, or alone in the image.

    Reference:
    - [Boundary loss](https://arxiv.org/abs/1812.07032) (MIDL 2019), section 2

    Args:
        mask: Class ids of shape `(height, width)`.
        num_classes: Number of channels of the scores; 1 means the foreground, class 1.
        spacing: Distance between neighbouring pixels, a number or a pair for height
            and width. Defaults to `1.0`.
        ignore_class: Id of the pixels that are neither in nor outside a class, or
            `None`. Defaults to `255`.

    Returns:
        Float32 array of shape `(height, width, num_classes)`, to be the `sample_weight`
        of `kseg.losses.Boundary`.
    """
    mask = _check(mask)
    spacing = np.broadcast_to(spacing, 2)
    if not np.all(spacing > 0):
        raise ValueError(f"`spacing` must be positive. Received: spacing={spacing}")
    valid = np.ones(mask.shape, bool) if ignore_class is None else mask != ignore_class
    result = np.zeros((*mask.shape, num_classes), "float32")
    for channel, class_id in enumerate([1] if num_classes == 1 else range(num_classes)):
        inside = mask == class_id
        outside = valid & ~inside
        if inside.any() and outside.any():
            to_inside, to_outside = (
                ndimage.distance_transform_edt(~sites, spacing)
                for sites in (inside, outside)
            )
            inner = spacing.min() - to_outside
            result[..., channel] = np.where(inside, inner, to_inside)
    return result


def _check(mask):
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype.kind not in "iu":
        raise ValueError(
            "`mask` must hold integer class ids in shape (height, width). "
            f"Received: mask of shape {mask.shape}, {mask.dtype}"
        )
    return mask
