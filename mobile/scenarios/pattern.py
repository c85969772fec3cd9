"""A pattern laid over a garment: in tiles that bend with the body and the folds."""

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from kseg.mobile.images import resize_image, resize_map

_LONG_SIDE = 512  # at which the relief is estimated
_FOLDS = 12.0  # how deep a fold is whose lightness differs by 1, in its own widths


def lay_pattern(
    pattern: np.ndarray, image: np.ndarray, alpha: np.ndarray, tile: float
) -> np.ndarray:
    """Tiles a pattern over a garment.

    Tiles begin at the middle of the garment's box, so that they move with it. They are
    shifted as on a tube, so that they crowd together towards the outline, and down the
    slopes from light to dark, so that they bend at folds.

    Args:
        pattern: One tile, uint8 array of shape `(rows, columns, 3)`.
        image: uint8 array of shape `(height, width, 3)`.
        alpha: Share of the garment, 0-1, of shape `(height, width)`, not all 0.
        tile: Width of a tile as a share of the width of the garment's box.

    Returns:
        uint8 array of the shape of `image`: colours where `alpha` is above 0, else 0.
    """
    y, x = np.nonzero(alpha > 0)
    left, right = x.min(), x.max() + 1
    width = max(1, round(tile * (right - left)))
    height = max(1, round(width * pattern.shape[0] / pattern.shape[1]))
    planes = resize_image(pattern, (height, width)).astype(np.float32)
    down, across = _shifts(image, alpha)
    places = [
        y - (y.min() + y.max()) / 2 + height / 2 + down[y, x],
        x - (left + right - 1) / 2 + width / 2 + across[y, x],
    ]
    result = np.zeros_like(image)
    for channel in range(3):
        values = map_coordinates(
            planes[..., channel], places, order=1, mode="grid-wrap"
        )
        result[y, x, channel] = np.rint(values)
    return result


def _shifts(image, alpha):
    """How far the pattern is shifted at each pixel, rows down and columns across."""
    size = alpha.shape
    scale = min(1.0, _LONG_SIDE / max(size))
    small = tuple(max(1, round(n * scale)) for n in size)
    inside = np.pad(resize_map(alpha.astype(np.float32), small) > 0.5, 1)
    depth = distance_transform_edt(inside) - distance_transform_edt(~inside)
    inside, depth = (plane[1:-1, 1:-1] for plane in (inside, depth))
    radius = max(depth.max(), 1.0)
    depth = gaussian_filter(depth.astype(np.float32), radius / 8)
    # On a tube of this radius, what is seen at `side` lies at arcsin(side) around it.
    side = 0.95 * np.clip(1 - depth / radius, 0, 1)
    around = radius * (np.arcsin(side) - side)
    picture = Image.fromarray(image).convert("L")
    light = np.asarray(picture.resize(small[::-1], Image.Resampling.BILINEAR))
    fold = max(radius / 16, 1.0)
    share = gaussian_filter(inside.astype(np.float32), fold)
    light = gaussian_filter(light * inside / np.float32(255), fold)
    folds = _FOLDS * fold * light / np.maximum(share, 1e-3)
    shifts = []
    for axis in (0, 1):
        if small[axis] == 1:
            shifts.append(np.zeros(size, np.float32))
            continue
        shift = -around * np.gradient(depth, axis=axis)
        shift -= np.clip(fold * np.gradient(folds, axis=axis), -3 * fold, 3 * fold)
        shifts.append(resize_map((shift / scale).astype(np.float32), size))
    return shifts
