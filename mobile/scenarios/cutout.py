"""A photo taken apart into what is in front and what lies behind, and mixed again."""

import math

import numpy as np
from PIL import Image
from scipy.ndimage import map_coordinates, maximum_filter, minimum_filter

# Photos of more pixels shrink first: blurring them would take gigabytes.
_MOST_PIXELS = 4_000_000
STRIP = 256  # rows at a time where the photo is touched at full size


def to_light(values):
    """sRGB values of 0-1 to linear light (IEC 61966-2-1)."""
    return np.where(
        values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4
    )


def to_srgb(light):
    """Linear light of 0-1 to sRGB values (IEC 61966-2-1)."""
    high = 1.055 * np.maximum(light, 0.0031308) ** np.float32(1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, high)


LEVELS = np.arange(256, dtype=np.float32) / 255
LIGHT = to_light(LEVELS)


class Cutout:
    """Colours of the foreground and of the background of a photo, everywhere.

    Each is known where `alpha` is sure of it, and filled in from there elsewhere.

    Args:
        image: uint8 array of shape `(height, width, 3)`, sRGB.
        alpha: Share of the foreground, 0-1, of shape `(height, width)`.
        block: Pixels a side that become one, at least; more in very large photos.

    Attributes:
        block: Pixels a side that became one.
        light: Linear light of the photo, float32 `(3, rows, columns)` of blocks.
        behind: How sure it is that a block is background, 0-1.
        foreground: Like `light`, of what is in front.
        background: Like `light`, of what lies behind.
    """

    def __init__(self, image: np.ndarray, alpha: np.ndarray, block: int = 1):
        block = max(block, math.ceil(math.sqrt(alpha.size / _MOST_PIXELS)))
        light, least, most = _shrink(image, alpha, block)

        # One block away from the edge: what the matte misses of a person stays out too.
        # The floor keeps colours defined where nothing is sure.
        behind = 1 - maximum_filter(most, 3)
        behind = np.clip(10 * behind - 9, 0, 1) + np.float32(1e-6) * behind
        front = minimum_filter(least, 3)
        front = np.clip(10 * front - 9, 0, 1) + np.float32(1e-6) * front
        self.block, self.light, self.behind = block, light, behind
        self.foreground, self.background = fill(light, front), fill(light, behind)

    def colors(self, y: np.ndarray, x: np.ndarray):
        """sRGB values `(3, count)` of foreground and background at some pixels."""
        places = [(y + 0.5) / self.block - 0.5, (x + 0.5) / self.block - 0.5]
        return [
            to_srgb(
                np.stack(
                    [
                        map_coordinates(p, places, order=1, mode="nearest")
                        for p in planes
                    ]
                )
            )
            for planes in (self.foreground, self.background)
        ]


def replace_background(
    image: np.ndarray, alpha: np.ndarray, backdrop: np.ndarray
) -> np.ndarray:
    """Puts the foreground of a photo in front of another picture, without a halo.

    Soft pixels are taken apart and put together again as in `blur_background`: in
    front of the colour that was behind it nothing changes.

    Args:
        image: uint8 array of shape `(height, width, 3)`, sRGB.
        alpha: Share of the foreground, 0-1, of shape `(height, width)`.
        backdrop: uint8 array of the shape of `image`.

    Returns:
        uint8 array of the shape of `image`: `image` where `alpha` is 1, `backdrop`
        where it is 0.
    """
    result = np.where(alpha[..., None] >= 1, image, backdrop)
    y, x = np.nonzero((alpha > 0) & (alpha < 1))
    if len(y):
        front, behind = Cutout(image, alpha).colors(y, x)
        photo, new = LEVELS[image[y, x]].T, LEVELS[backdrop[y, x]].T
        mixed = mix(photo, alpha[y, x], front, behind, new)
        result[y, x] = np.rint(255 * mixed).astype(np.uint8).T
    return result


def mix(photo, alpha, front, behind, new):
    """Soft pixels `(3, count)` in front of a new background, in sRGB values.

    `front` and `behind` are estimates. What they leave unexplained of the photo is
    shared out in proportion, and the background's part of it goes with the background.
    """
    rest = 1 - alpha
    unexplained = photo - alpha * front - rest * behind
    unexplained *= rest * rest / (alpha * alpha + rest * rest)
    return np.clip(photo + rest * (new - behind) - unexplained, 0, 1)


def fill(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Fills in where weights are small, from a pyramid of ever larger surroundings.

    Args:
        values: float32 array of shape `(count, height, width)`.
        weights: float32 array of shape `(height, width)`: 1 keeps a pixel, 0 replaces
            it.

    Returns:
        float32 array of the shape of `values`.
    """
    weighted = values * weights
    if weights.shape == (1, 1):
        return values if weights == 0 else weighted / weights
    total, count = _halve(weighted), _halve(weights)
    coarse = fill(total / np.maximum(count, np.float32(1e-20)), np.minimum(count, 1))
    kept = np.minimum(weights, 1)
    return values * kept + enlarge(coarse, weights.shape, 2) * (1 - kept)


def enlarge(planes, size, factor, top=0):
    """Rows from `top` of planes enlarged by `factor`, cut to `size`; bilinear."""
    box = (0, top / factor, size[1] / factor, (top + size[0]) / factor)
    how = Image.Resampling.BILINEAR
    pictures = (Image.fromarray(plane) for plane in planes)
    return np.stack([np.asarray(p.resize(size[::-1], how, box)) for p in pictures])


def _shrink(image, alpha, block):
    """Means of the linear light, and extremes of alpha, over blocks of pixels."""
    height, width = alpha.shape
    size = (-(-height // block), -(-width // block))
    light = np.empty((3, *size), np.float32)
    least, most = np.empty(size, np.float32), np.empty(size, np.float32)
    step = max(1, STRIP // block)
    columns = np.arange(0, width, block)
    widths = np.diff(np.append(columns, width)).astype(np.float32)
    for top in range(0, size[0], step):
        rows = np.s_[top * block : (top + step) * block]
        strip, strip_alpha = image[rows], alpha[rows]
        starts = np.arange(0, len(strip), block)
        heights = np.diff(np.append(starts, len(strip))).astype(np.float32)
        area = heights[:, None] * widths
        out = np.s_[top : top + len(starts)]
        for channel in range(3):
            sums = np.add.reduceat(LIGHT[strip[..., channel]], starts, 0)
            light[channel, out] = np.add.reduceat(sums, columns, 1) / area
        least[out] = np.minimum.reduceat(
            np.minimum.reduceat(strip_alpha, starts, 0), columns, 1
        )
        most[out] = np.maximum.reduceat(
            np.maximum.reduceat(strip_alpha, starts, 0), columns, 1
        )
    return light, least, most


def _halve(values):
    """Sums over blocks of two by two pixels; zeros fill up odd sizes."""
    for axis in (-2, -1):
        starts = np.arange(0, values.shape[axis], 2)
        values = np.add.reduceat(values, starts, axis)
    return values
