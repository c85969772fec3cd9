"""A photo with its background out of focus, as a fast lens would take it."""

import numpy as np
from scipy import fft

from kseg.mobile.scenarios.cutout import (
    LEVELS,
    STRIP,
    Cutout,
    enlarge,
    mix,
    to_light,
    to_srgb,
)

# A disc of 8 to 16 pixels is round enough: for larger ones the photo shrinks first.
_DISC_PIXELS = 8
# Radius of the disc at strength 1, as a share of the mean of height and width.
_RADIUS = 0.03
_CODES = 255 * to_srgb(np.arange(65536, dtype=np.float32) / 65535)


def lens_radius(size: tuple[int, int], strength: float) -> float:
    """Radius in pixels of a lens' disc in photos of `size`, at a strength of 0-1."""
    return strength * _RADIUS * sum(size) / 2


def blur_background(image: np.ndarray, alpha: np.ndarray, radius: float) -> np.ndarray:
    """Blurs what lies behind a person with a disc of light.

    - Only pixels that are surely background enter the blur, normalised by how many
      they are (normalised convolution): nobody's colours bleed into it.
    - At soft edges the photo is taken apart into a foreground and a background colour
      that mix to it exactly, and put together again with the blurred background: in
      front of an even background nothing changes, whatever `alpha` is.
    - `alpha` is the share of sRGB values, as mattes are drawn and estimated: only
      the blur itself is in linear light.

    A photo of 12 megapixels takes one to two and a half seconds of CPU, and up to 150
    MB beside the arguments and the result; the smallest discs take most, and on photos
    above 4 megapixels they are not smaller than two pixels.

    Args:
        image: uint8 array of shape `(height, width, 3)`, sRGB.
        alpha: Share of the foreground, 0-1, of shape `(height, width)`.
        radius: Radius of the disc in pixels; 0 changes nothing.

    Returns:
        uint8 array of the shape of `image`. Where `alpha` is 1 it is `image` itself.
    """
    if radius == 0 or alpha.min() >= 1:
        return image.copy()
    cutout = Cutout(image, alpha, max(1, int(radius / _DISC_PIXELS)))
    blurred = _normalised_blur(
        cutout.light, cutout.behind, radius / cutout.block, cutout.background
    )
    return _compose(image, alpha, cutout, blurred)


def disc(radius: float) -> np.ndarray:
    """A disc of sum 1 whose rim pixels are weighted by how far they are inside.

    Args:
        radius: Radius in pixels, at least 0.

    Returns:
        float32 array of shape `(size, size)`, size odd.
    """
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(y, x), 0, 1).astype(np.float32)
    return kernel / kernel.sum()


def convolve(planes: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolves planes with a kernel through the Fourier transform.

    Args:
        planes: float32 array of shape `(count, height, width)`; zeros lie around it.
        kernel: Square float32 array of odd size.

    Returns:
        float32 array of the shape of `planes`.
    """
    height, width = planes.shape[1:]
    reach = len(kernel) // 2
    # Room for what wraps around, on one side: the kernel's middle is at index 0.
    size = [
        fft.next_fast_len(max(n + reach, len(kernel)), True) for n in (height, width)
    ]
    padded = np.zeros(size, np.float32)
    padded[: len(kernel), : len(kernel)] = kernel
    response = fft.rfft2(np.roll(padded, (-reach, -reach), (0, 1)), workers=2)
    result = np.empty_like(planes)
    for index, plane in enumerate(planes):
        spectrum = fft.rfft2(plane, size, workers=2) * response
        result[index] = fft.irfft2(spectrum, size, workers=2)[:height, :width]
    return result


def _normalised_blur(light, weights, radius, fallback):
    """Mean over the disc of the pixels that have weight; `fallback` where none has."""
    *sums, share = convolve(
        np.concatenate([light * weights, weights[None]]), disc(radius)
    )
    share = np.maximum(share, 0)
    little = np.float32(1e-3)  # of the disc; beyond the rounding of the transform
    return np.clip((np.stack(sums) + little * fallback) / (share + little), 0, 1)


def _compose(image, alpha, cutout, blurred):
    """Puts the photo together again, strip by strip at full size."""
    result = image.copy()
    for top in range(0, len(alpha), STRIP):
        rows = np.s_[top : top + STRIP]
        strip = alpha[rows]
        if strip.min() >= 1:
            continue
        light = enlarge(blurred, strip.shape, cutout.block, top)
        y, x = np.nonzero((strip > 0) & (strip < 1))
        front, behind = cutout.colors(y + top, x)
        photo, new = LEVELS[image[rows][y, x]].T, to_srgb(light[:, y, x])
        light[:, y, x] = to_light(mix(photo, strip[y, x], front, behind, new))
        codes = _encode(light, top)
        np.copyto(result[rows], np.moveaxis(codes, 0, -1), where=strip[..., None] < 1)
    return result


def _encode(light, top):
    """Linear light to sRGB codes, dithered: a smooth blur would show bands."""
    index = np.clip(light * np.float32(65535) + np.float32(0.5), 0, 65535)
    codes = _CODES[index.astype(np.uint16)]
    y, x = np.ogrid[top : top + light.shape[1], : light.shape[2]]
    # Interleaved gradient noise (Jimenez, SIGGRAPH 2014 courses), short of half a
    # code, so that an even area stays even.
    noise = (0.06711056 * x + 0.00583715 * y) % 1 * 52.9829189 % 1
    codes += (0.9 * noise + 0.05).astype(np.float32)
    return np.minimum(codes, 255).astype(np.uint8)
