"""Oklab, a space in which lightness and colour can be changed apart from each other.

Reference:
- [A perceptual color space for image processing](https://bottosson.github.io/posts/oklab)
  (Ottosson, 2020), whose matrices these are; CSS Color 4 has the same space
"""

import numpy as np

from kseg.mobile.scenarios.cutout import to_light, to_srgb

# Linear sRGB to the responses of the eye, and their cube roots to Oklab.
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_FROM_LAB, _FROM_CONES = np.linalg.inv(_TO_LAB), np.linalg.inv(_TO_CONES)
_HALVINGS = 12  # of the interval of chroma: 1/4096 of it is below a code


def to_oklab(values: np.ndarray) -> np.ndarray:
    """sRGB values of 0-1 to Oklab.

    Args:
        values: Array of shape `(..., 3)`.

    Returns:
        float32 array of the same shape: lightness 0-1, then green to red and blue to
        yellow, -0.4 to 0.4.
    """
    cones = to_light(np.asarray(values, np.float32)) @ _TO_CONES.T.astype(np.float32)
    return np.cbrt(cones) @ _TO_LAB.T.astype(np.float32)


def from_oklab(lab: np.ndarray) -> np.ndarray:
    """Oklab to sRGB values of 0-1.

    Colours that no screen shows lose chroma until one does; lightness and hue stay.

    Args:
        lab: Array of shape `(..., 3)`, lightness 0-1.

    Returns:
        float32 array of the same shape.
    """
    shape = np.shape(lab)
    lab = np.asarray(lab, np.float32).reshape(-1, 3)
    light = _linear(lab)
    outside = np.flatnonzero(((light < -1e-4) | (light > 1 + 1e-4)).any(-1))
    if len(outside):
        colors = lab[outside]
        low, high = np.zeros((len(outside), 1)), np.ones((len(outside), 1))
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            shown = _linear(colors * np.insert(middle.repeat(2, 1), 0, 1, 1))
            fits = ((shown >= 0) & (shown <= 1)).all(-1, keepdims=True)
            low, high = np.where(fits, middle, low), np.where(fits, high, middle)
        light[outside] = _linear(colors * np.insert(low.repeat(2, 1), 0, 1, 1))
    return to_srgb(np.clip(light, 0, 1)).astype(np.float32).reshape(shape)


def _linear(lab):
    cones = lab @ _FROM_LAB.T.astype(np.float32)
    return (cones**3) @ _FROM_CONES.T.astype(np.float32)
