"""A photo with its background out of focus, as a fast lens would take it."""

import math

import numpy as np
from PIL import Image
from scipy import fft
from scipy.ndimage import map_coordinates, maximum_filter, minimum_filter

# A disc of 8 to 16 pixels is round enough: for larger ones the photo shrinks first, as
# do photos of so many pixels that blurring them would take gigabytes.
_DISC_PIXELS = 8
_MOST_PIXELS = 4_000_000
_STRIP = 256  # rows at a time where the photo is touched at full size


def _to_light(values):
    """sRGB values of 0-1 to linear light (IEC 61966-2-1)."""
    return np.where(
        values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4
    )


def _to_srgb(light):
    high = 1.055 * np.maximum(light, 0.0031308) ** np.float32(1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, high)


_LEVELS = np.arange(256, dtype=np.float32) / 255
_LIGHT = _to_light(_LEVELS)
_CODES = 255 * _to_srgb(np.arange(65536, dtype=np.float32) / 65535)


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
    block = max(
        1, int(radius / _DISC_PIXELS), math.ceil(math.sqrt(alpha.size / _MOST_PIXELS))
    )
    light, least, most = _shrink(image, alpha, block)

    # One block away from the edge: what the matte misses of a person stays out too.
    # The floor keeps colours defined where nothing is sure.
    behind = 1 - maximum_filter(most, 3)
    behind = np.clip(10 * behind - 9, 0, 1) + np.float32(1e-6) * behind
    front = minimum_filter(least, 3)
    front = np.clip(10 * front - 9, 0, 1) + np.float32(1e-6) * front
    foreground, background = fill(light, front), fill(light, behind)
    blurred = _normalised_blur(light, behind, radius / block, background)
    return _compose(image, alpha, foreground, background, blurred, block)


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
    return values * kept + _enlarge(coarse, weights.shape, 2) * (1 - kept)


def _shrink(image, alpha, block):
    """Means of the linear light, and extremes of alpha, over blocks of pixels."""
    height, width = alpha.shape
    size = (-(-height // block), -(-width // block))
    light = np.empty((3, *size), np.float32)
    least, most = np.empty(size, np.float32), np.empty(size, np.float32)
    step = max(1, _STRIP // block)
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
            sums = np.add.reduceat(_LIGHT[strip[..., channel]], starts, 0)
            light[channel, out] = np.add.reduceat(sums, columns, 1) / area
        least[out] = np.minimum.reduceat(
            np.minimum.reduceat(strip_alpha, starts, 0), columns, 1
        )
        most[out] = np.maximum.reduceat(
            np.maximum.reduceat(strip_alpha, starts, 0), columns, 1
        )
    return light, least, most


def _normalised_blur(light, weights, radius, fallback):
    """Mean over the disc of the pixels that have weight; `fallback` where none has."""
    *sums, share = convolve(
        np.concatenate([light * weights, weights[None]]), disc(radius)
    )
    share = np.maximum(share, 0)
    little = np.float32(1e-3)  # of the disc; beyond the rounding of the transform
    return np.clip((np.stack(sums) + little * fallback) / (share + little), 0, 1)


def _compose(image, alpha, foreground, background, blurred, block):
    """Puts the photo together again, strip by strip at full size."""
    height, width = alpha.shape
    result = image.copy()
    for top in range(0, height, _STRIP):
        rows = np.s_[top : top + _STRIP]
        strip = alpha[rows]
        if strip.min() >= 1:
            continue
        light = _enlarge(blurred, strip.shape, block, top)
        y, x = np.nonzero((strip > 0) & (strip < 1))
        places = [(y + top + 0.5) / block - 0.5, (x + 0.5) / block - 0.5]
        front, behind = (
            np.stack(
                [map_coordinates(p, places, order=1, mode="nearest") for p in planes]
            )
            for planes in (foreground, background)
        )
        soft = [_to_srgb(colors) for colors in (front, behind, light[:, y, x])]
        photo = _LEVELS[image[rows][y, x]].T
        light[:, y, x] = _to_light(_mix(photo, strip[y, x], *soft))
        codes = _encode(light, top)
        np.copyto(result[rows], np.moveaxis(codes, 0, -1), where=strip[..., None] < 1)
    return result


def _mix(photo, alpha, front, behind, blurred):
    """Soft pixels `(3, count)` in front of the blurred background, in sRGB values.

    `front` and `behind` are estimates. What they leave unexplained of the photo is
    shared out in proportion, and the background's part of it goes with the background.
    """
    rest = 1 - alpha
    unexplained = photo - alpha * front - rest * behind
    unexplained *= rest * rest / (alpha * alpha + rest * rest)
    return np.clip(photo + rest * (blurred - behind) - unexplained, 0, 1)


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


def _halve(values):
    """Sums over blocks of two by two pixels; zeros fill up odd sizes."""
    for axis in (-2, -1):
        starts = np.arange(0, values.shape[axis], 2)
        values = np.add.reduceat(values, starts, axis)
    return values


def _enlarge(planes, size, factor, top=0):
    """Rows from `top` of planes enlarged by `factor`, cut to `size`; bilinear."""
    box = (0, top / factor, size[1] / factor, (top + size[0]) / factor)
    how = Image.Resampling.BILINEAR
    pictures = (Image.fromarray(plane) for plane in planes)
    return np.stack([np.asarray(p.resize(size[::-1], how, box)) for p in pictures])
