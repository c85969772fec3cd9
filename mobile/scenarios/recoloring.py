"""Another colour for a part of a photo that keeps its folds, shading and highlights."""

import numpy as np

from kseg.mobile.scenarios.cutout import LEVELS, Cutout
from kseg.mobile.scenarios.oklab import from_oklab, to_oklab

_DARKEST = 0.2  # lightness of a dye: black cloth still shows its folds
_SAMPLE = 100_000  # pixels that say how light a part is
_BATCH = 1 << 20  # pixels at a time


def recolor(
    image: np.ndarray,
    alpha: np.ndarray,
    dye: np.ndarray,
    lightness: float = 0.0,
    strength: float = 1.0,
) -> np.ndarray:
    """Dyes a part of a photo.

    In Oklab, a pixel gets the hue of its dye, and chroma in proportion to its lightness,
    as under more or less of the same light. Its lightness stays (`lightness=0`), or
    goes to where the part is as light as the dye. A part that is lighter than its dye
    gets a paler shade, as with white in it, which is never as vivid as the dye. The
    dark and light of a pattern come on top, in proportion to its mean. At soft edges
    only the colour of the part changes, not what shines through behind it.

    Args:
        image: uint8 array of shape `(height, width, 3)`, sRGB.
        alpha: Share of the part, 0-1, of shape `(height, width)`.
        dye: uint8 colours, sRGB: `(3,)`, or `(height, width, 3)` for a pattern.
        lightness: 0-1. 0 keeps the part's lightness, 1 gives it the dye's.
        strength: 0-1: how much of the dye is taken.

    Returns:
        uint8 array of the shape of `image`; `image` itself where `alpha` is 0.
    """
    result = image.copy()
    y, x = np.nonzero(alpha > 0)
    if strength == 0 or not len(y):
        return result
    share = alpha[y, x]
    colors = _part_colors(image, alpha, y, x)
    dyes = np.broadcast_to(dye, image.shape)
    sample = slice(None, None, 1 + len(y) // _SAMPLE)
    median = np.median(to_oklab(colors[sample])[:, 0])
    mean = to_oklab(LEVELS[dyes[y[sample], x[sample]]])[:, 0]
    mean = np.maximum(mean, _DARKEST).mean()
    typical = median ** (1 - lightness) * mean**lightness  # of the dyed part
    for start in range(0, len(y), _BATCH):
        batch = np.s_[start : start + _BATCH]
        rows, columns = y[batch], x[batch]
        lab, dye_lab = to_oklab(colors[batch]), to_oklab(LEVELS[dyes[rows, columns]])
        dye_lightness = np.maximum(dye_lab[:, :1], _DARKEST)
        old = np.maximum(lab[:, :1], 0)
        new = old ** (1 - lightness) * _relit(old, median, mean) ** lightness
        new = np.clip(new * dye_lightness / mean, 0, 1)
        paler = _paler(typical * dye_lightness / mean, dye_lightness)
        dyed = np.concatenate([new, paler * dye_lab[:, 1:] * new / dye_lightness], 1)
        change = from_oklab(lab + strength * (dyed - lab)) - colors[batch]
        codes = 255 * (LEVELS[image[rows, columns]] + share[batch, None] * change)
        result[rows, columns] = np.rint(np.clip(codes, 0, 255)).astype(np.uint8)
    return result


def _part_colors(image, alpha, y, x):
    """sRGB values `(count, 3)` of the part alone, also where it is a soft edge."""
    colors = LEVELS[image[y, x]]
    soft = np.flatnonzero(alpha[y, x] < 1)
    if len(soft) and alpha.max() >= 1:
        y, x = y[soft], x[soft]
        share = alpha[y, x]
        front, behind = Cutout(image, alpha).colors(y, x)
        # What the two leave unexplained of the photo is shared out between them.
        unexplained = colors[soft].T - share * front - (1 - share) * behind
        front = front + unexplained * share / (share**2 + (1 - share) ** 2)
        colors[soft] = np.clip(front, 0, 1).T
    return colors


def _paler(lightness, dye_lightness):
    """Share of a dye's chroma, for its lightness, that is left where it is lighter.

    With white mixed in, chroma falls to 0 as lightness goes from the dye's to 1.
    """
    lightness = np.clip(lightness, dye_lightness, 1)
    white = (lightness - dye_lightness) / np.maximum(1 - dye_lightness, 1e-3)
    return (1 - white) * dye_lightness / lightness


def _relit(lightness, median, mean):
    """Brings the lightness of a part from `median` to `mean`; 0 stays 0.

    Darker cloth gets its share of the light. In lighter cloth that would blow up noise
    and drive highlights beyond white: they go to 1 on a power curve, and what is below
    the median goes halfway between that curve and the share of the light.
    """
    median, mean = (float(np.clip(value, 0.02, 0.98)) for value in (median, mean))
    ratio = np.maximum(lightness, 0) / median
    if mean <= median:
        return mean * ratio
    power = np.log(mean) / np.log(median)
    return mean * np.where(ratio < 1, ratio ** ((1 + power) / 2), ratio**power)
