"""Guided filter, and the edges of a coarse mask refined at the photo's resolution."""

from numbers import Integral

import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter1d

# The long side at which `refine_edges` fits its local models, and its windows: found
# on the 12 portraits of P3M-10k with confidences of 64 to 256 pixels.
_LONG_SIDE = 1024
_WINDOWS = 64  # the first radius is 1/64 of the long side
_EPSILON = 1e-4
_STRIP = 256  # rows at a time where the photo is touched at full size


def guided_filter(
    guide: np.ndarray, mask: np.ndarray, radius: int, epsilon: float
) -> np.ndarray:
    """Smooths `mask` while keeping the edges of `guide`.

    In each window of `2 * radius + 1` pixels a side, `mask` is fitted by a linear
    function of the guide's colour; every pixel averages the fits of the windows that
    hold it. Windows are cut off at the border. The time does not depend on `radius`.

    Reference:
    - [Guided Image Filtering](https://doi.org/10.1109/TPAMI.2012.213) (TPAMI 2013),
      eq. 11-13 for a grey guide and 19-21 for a colour guide

    Args:
        guide: Values 0-255, uint8 or float, of shape `(height, width)` or
            `(height, width, 3)`.
        mask: What is filtered, of shape `(height, width)`.
        radius: Pixels from the middle of a window to its edge.
        epsilon: Regularisation of the fits, for a guide scaled to 0-1 as in the
            paper: windows of a variance far below it are averaged, windows far above
            it keep their edges.

    Returns:
        float32 array of shape `(height, width)`.

    Raises:
        ValueError: If shapes, `radius` or `epsilon` do not fit.
    """
    guide, mask = np.asarray(guide), np.asarray(mask)
    _check_guide("guide", guide)
    if mask.shape != guide.shape[:2]:
        raise ValueError(
            "`mask` must have the height and width of `guide`. "
            f"Received: mask.shape={mask.shape}, guide.shape={guide.shape}"
        )
    if not isinstance(radius, Integral) or radius < 1:
        raise ValueError(
            f"`radius` must be a positive integer. Received: radius={radius!r}"
        )
    if not epsilon > 0:
        raise ValueError(f"`epsilon` must be positive. Received: epsilon={epsilon!r}")
    planes = _planes(guide)
    mask = mask.astype(np.float32)
    slopes, offset = _local_models(planes, mask, np.ones_like(mask), radius, epsilon)
    return (slopes * planes).sum(0) + offset


def refine_edges(image: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Turns a coarse confidence into an alpha matte with the edges of the photo.

    Where the confidence is decided, it says which colours are inside and which are
    outside; a guided filter that weights every pixel by how decided it is carries
    this into the undecided band between. A second, finer round takes the first one's
    result. Hair stays soft, and what is decided away from the band stays exactly 0
    or 1. The fits are made at a long side of at most 1024 pixels and applied to the
    photo at full size ([Fast Guided Filter](https://arxiv.org/abs/1505.00996)): under
    a second for 12 megapixels on a CPU, and 50 MB beside image and result.

    Args:
        image: uint8 array of shape `(height, width, 3)` or `(height, width)`.
        confidence: Probability of the foreground, of any height and width: a net's
            own output, or one already enlarged to the image. 0.5 is the edge.

    Returns:
        float32 array of shape `(height, width)`, 0-1.

    Raises:
        ValueError: If `image` is not uint8 or of another shape, or `confidence` has
            more than two dimensions, values outside 0-1, or NaN.
    """
    image, confidence = np.asarray(image), np.asarray(confidence)
    _check_guide("image", image)
    if image.dtype != np.uint8:
        raise ValueError(f"`image` must be uint8. Received: image.dtype={image.dtype}")
    _check_confidence(confidence)

    size = image.shape[:2]
    scale = min(1.0, _LONG_SIDE / max(size))
    small = tuple(max(1, round(side * scale)) for side in size)
    picture = Image.fromarray(image)
    planes = _planes(
        np.asarray(
            picture.resize(small[::-1], Image.Resampling.BILINEAR, reducing_gap=2)
        )
    )
    coarse = np.clip(_resize(confidence, small, Image.Resampling.BICUBIC), 0, 1)
    radius = max(1, round(max(small) / _WINDOWS))

    # How decided a pixel is weighs it; the floor keeps windows solvable that hold
    # nothing but undecided pixels.
    weights = np.abs(2 * coarse - 1) + np.float32(1e-3)
    inside = (coarse > 0.5).astype(np.float32)
    slopes, offset = _local_models(planes, inside, weights, radius, _EPSILON)
    alpha = _stretch((slopes * planes).sum(0) + offset, 1.5)

    weights = np.abs(2 * alpha - 1) + np.float32(1e-3)
    inside = _stretch(alpha, 2)
    finer = max(1, radius // 2)
    slopes, offset = _local_models(planes, inside, weights, finer, _EPSILON)

    undecided = ((coarse > 0.02) & (coarse < 0.98)).astype(np.float32)
    # Nets are sure of themselves a few pixels too early beside fine hair.
    undecided = _window_means(undecided, finer) > 1e-6
    slopes *= undecided
    offset = np.where(undecided, offset, (coarse > 0.5).astype(np.float32))
    return _apply(image, slopes, offset)


def _local_models(planes, mask, weights, radius, epsilon):
    """Weighted least squares of `mask` on the guide's planes in every window.

    Returns the slopes of each plane and the offset, averaged over the windows that
    hold a pixel.
    """
    share = 1 / _window_means(weights, radius)

    def mean(values):
        return _window_means(values * weights, radius) * share

    means, mask_mean = mean(planes), mean(mask)
    covariance_with_mask = mean(planes * mask) - means * mask_mean
    count = len(planes)
    covariance = {
        (i, j): mean(planes[i] * planes[j]) - means[i] * means[j]
        for i in range(count)
        for j in range(i, count)
    }
    for i in range(count):
        covariance[i, i] += np.float32(epsilon)
    slopes = _solve(covariance, covariance_with_mask)
    offset = mask_mean - (slopes * means).sum(0)
    inside = 1 / _window_means(np.ones_like(mask), radius)
    return _window_means(slopes, radius) * inside, _window_means(
        offset, radius
    ) * inside


def _solve(matrix, right):
    """Solves a symmetric 1x1 or 3x3 system per pixel by its adjugate."""
    if len(right) == 1:
        return right / matrix[0, 0]
    a, b, c = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    d, e, f = matrix[1, 1], matrix[1, 2], matrix[2, 2]
    aa, ab, ac = d * f - e * e, c * e - b * f, b * e - c * d
    bb, bc, cc = a * f - c * c, b * c - a * e, a * d - b * b
    x, y, z = right
    solution = np.stack(
        [aa * x + ab * y + ac * z, ab * x + bb * y + bc * z, ac * x + bc * y + cc * z]
    )
    solution /= a * aa + b * ab + c * ac
    return solution


def _window_means(values, radius):
    """Mean over a square window of the last two axes, with zeros beyond the border."""
    for axis in (-2, -1):
        values = uniform_filter1d(values, 2 * radius + 1, axis, mode="constant")
    return values


def _apply(image, slopes, offset):
    """Enlarges the local models to the image and evaluates them there."""
    height, width = image.shape[:2]
    rows_per_pixel = offset.shape[0] / height
    maps = [Image.fromarray(plane) for plane in (*slopes, offset)]
    alpha = np.empty((height, width), np.float32)
    for top in range(0, height, _STRIP):
        bottom = min(top + _STRIP, height)
        box = (0, top * rows_per_pixel, offset.shape[1], bottom * rows_per_pixel)
        *strip_slopes, strip = (
            np.asarray(
                plane.resize((width, bottom - top), Image.Resampling.BILINEAR, box)
            )
            for plane in maps
        )
        strip = strip.copy()
        for slope, plane in zip(strip_slopes, _planes(image[top:bottom]), strict=True):
            strip += slope * plane
        # A few percent of haze on either side is noise of the fits.
        alpha[top:bottom] = _stretch(strip, 1.1)
    return alpha


def _stretch(values, factor):
    """Raises the contrast around 0.5 and cuts to 0-1."""
    return np.clip((values - np.float32(0.5)) * np.float32(factor) + 0.5, 0, 1)


def _planes(guide):
    """Colour planes `(channels, height, width)`, scaled to 0-1."""
    planes = guide[None] if guide.ndim == 2 else np.moveaxis(guide, -1, 0)
    return np.ascontiguousarray(planes, np.float32) / np.float32(255)


def _resize(values, size, how):
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(picture.resize(size[::-1], how))


def _check_guide(name, guide):
    if guide.ndim not in (2, 3) or guide.shape[2:] not in ((), (3,)) or not guide.size:
        raise ValueError(
            f"`{name}` must have shape (height, width) or (height, width, 3). "
            f"Received: {name}.shape={guide.shape}"
        )


def _check_confidence(confidence):
    if confidence.ndim != 2 or not confidence.size:
        raise ValueError(
            "`confidence` must have shape (height, width), one probability a pixel. "
            f"Received: confidence.shape={confidence.shape}"
        )
    low, high = confidence.min(), confidence.max()
    # A softmax rounds to a little more than 1; NaN fails both comparisons.
    if not (low >= -1e-3 and high <= 1.001):
        raise ValueError(
            "`confidence` must be probabilities of 0-1. "
            f"Received: confidence from {low} to {high}"
        )
