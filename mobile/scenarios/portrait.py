"""Portrait mode: the background of a photo blurred as a fast lens would."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage, signal

from kseg.mobile.images import read_image
from kseg.postprocess.edges import refine_edges, resize

# Below this share of the photo there is no person to keep sharp.
_SMALLEST_PERSON = 0.003
# The blur of a disc is as smooth as the disc is wide, so it is computed on a picture
# where the disc has about this radius.
_DISC_RADIUS = 8
_EDGE_SIDE = 1024
# A table is many times faster than a power; its steps are a twentieth of an sRGB value
# where those lie closest, in the darkest colours.
_LEVELS = 65536
_LIGHT = np.arange(_LEVELS) / (_LEVELS - 1)
_SRGB = np.rint(
    255
    * np.where(
        _LIGHT <= 0.0031308, _LIGHT * 12.92, 1.055 * _LIGHT ** (1 / 2.4) - 0.055
    )
).astype("uint8")


def portrait(image, segmenter=None, *, strength=0.5):
    """Blurs the background of a photo and keeps the person sharp.

    The person's confidence is refined to a matte at the photo's resolution. The
    background alone is blurred, with a disc as an open lens does, in linear light, so
    that lamps become bright discs; the person's colours do not bleed into it. At soft
    edges such as hair the person's own colour is estimated first, so that no rim of
    the old background remains.

    Takes about 60 bytes of memory for every pixel of the photo.

    Args:
        image: Path, PIL image (EXIF orientation is applied) or uint8 array.
        segmenter: What `kseg.load` returns. Defaults to the shipped person net.
        strength: Radius of the blur: 0 leaves the photo as it is, 1 blurs with a disc
            of a twentieth of the long side. Defaults to `0.5`.

    Returns:
        A PIL image of the size of the photo. If there is no person in it, the photo as
        it is, with a `UserWarning` that says so.
    """
    if not 0 <= strength <= 1:
        raise ValueError(
            f"`strength` must be between 0 and 1. Received: strength={strength}"
        )
    image = read_image(image)
    if segmenter is None:
        from kseg.mobile.segmenter import load

        segmenter = load("person_float16")
    confidence = person_confidence(segmenter, image)
    radius = strength * 0.05 * max(image.shape[:2])
    if (confidence > 0.5).mean() < _SMALLEST_PERSON:
        warnings.warn(
            "No person was found: the photo is left as it is.", UserWarning, 2
        )
        return Image.fromarray(image)
    if radius < 0.5:
        return Image.fromarray(image)
    return Image.fromarray(
        blur_background(image, refine_edges(image, confidence), radius)
    )


def portrait_file(photo, output, *, strength=0.5):
    """Writes the portrait of a photo; see `portrait`.

    Args:
        photo: Path of the photo.
        output: Path to write to, in the format of its suffix. The colour profile of
            the photo is kept.
        strength: See `portrait`.

    Returns:
        The path written.
    """
    output = Path(output)
    Image.init()
    if output.suffix.lower() not in Image.EXTENSION:
        raise ValueError(
            "`output` must end in the suffix of a picture, such as .jpg or .png. "
            f"Received: output={str(output)!r}"
        )
    result = portrait(photo, strength=strength)
    with Image.open(photo) as original:
        profile = original.info.get("icc_profile")
    options = {"icc_profile": profile} if profile else {}
    if output.suffix.lower() in (".jpg", ".jpeg"):
        options["quality"] = 95
    temporary = output.with_name(f".{output.stem}.partial{output.suffix}")
    try:
        result.save(temporary, **options)
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
    return output


def person_confidence(segmenter, image):
    """Probability of "person" at every pixel, float32 of shape `(height, width)`."""
    maps = segmenter.segment(image).confidence_masks
    if maps.shape[-1] == 1:
        return maps[..., 0]
    labels = [label.lower() for label in getattr(segmenter, "labels", ())]
    if "person" not in labels:
        raise ValueError(
            "`segmenter` must have a class named 'person', or a single class. "
            f"Received: classes {labels or maps.shape[-1]}"
        )
    return maps[..., labels.index("person")]


def blur_background(image, alpha, radius):
    """Composes a sharp foreground over the blurred background.

    Args:
        image: uint8 array of shape `(height, width, 3)`.
        alpha: Float array of shape `(height, width)`, 1 where the foreground is.
        radius: Radius of the disc in pixels.

    Returns:
        uint8 array of the shape of `image`.
    """
    light = to_linear(image)
    blurred = blur_beyond(light, alpha, radius)
    result = to_srgb(blurred)
    # Only what is partly person is composed; the rest is one or the other, unrounded.
    person, mixed = alpha >= 1, (alpha > 0) & (alpha < 1)
    result[person] = image[person]
    share = alpha[mixed][:, None]
    foreground = estimate_foreground(light, alpha, mixed)
    result[mixed] = to_srgb(blurred[mixed] + share * (foreground - blurred[mixed]))
    return result


def blur_beyond(light, alpha, radius):
    """Blurs the pixels outside of `alpha` with a disc, as if the rest were not there."""
    height, width = alpha.shape
    step = max(1, int(radius // _DISC_RADIUS))
    # Pixels of mixed colour count little: half a person's skin is no background.
    weight = np.clip(1 - 2 * alpha, 0, 1)
    known = _reduce(np.dstack([light * weight[..., None], weight]), step)
    kernel = disc(radius / step)[..., None]
    sums = np.maximum(signal.oaconvolve(known, kernel, "same", axes=(0, 1)), 0)
    # Deep inside the person no background is in reach; there the average of all of it
    # is taken, which shows only where the matte is uncertain.
    average = known[..., :3].sum((0, 1)) / max(known[..., 3].sum(), 1e-6)
    trust = 1e-3
    colors = (sums[..., :3] + trust * average) / (sums[..., 3:] + trust)
    size = (known.shape[0] * step, known.shape[1] * step)
    full = [resize(colors[..., c].astype("float32"), size) for c in range(3)]
    return np.stack(full, -1)[:height, :width]


def estimate_foreground(light, alpha, where):
    """Colours of the foreground alone, where a pixel mixes it with the background.

    Reference:
    - [Approximate Fast Foreground Colour Estimation](https://arxiv.org/abs/2006.14970)
      (ICIP 2021), with boxes of two sizes, on a picture of at most 1024 pixels

    Args:
        light: Float array of shape `(height, width, 3)`, linear light.
        alpha: Float array of shape `(height, width)`.
        where: Boolean array of shape `(height, width)`: the pixels that are asked for.

    Returns:
        Float32 array of shape `(pixels, 3)`.
    """
    size = alpha.shape
    scale = min(1.0, _EDGE_SIDE / max(size))
    work = tuple(max(1, round(side * scale)) for side in size)
    small = np.dstack([resize(light[..., c], work) for c in range(3)])
    matte = resize(alpha, work)[..., None]
    parts = small, small
    for side in (45, 7):
        parts = _separate(small, matte, *parts, side)
    foreground, background = (
        np.stack([resize(part[..., c], size)[where] for c in range(3)], -1)
        for part in parts
    )
    share = alpha[where][:, None]
    residual = light[where] - share * foreground - (1 - share) * background
    return np.clip(foreground + share * residual, 0.0, 1.0)


def _separate(light, alpha, foreground, background, side):
    """One step of blur fusion: weighted averages, then the residual shared out."""

    def average(colors, weight):
        top = ndimage.uniform_filter(colors * weight, (side, side, 1))
        return top / (ndimage.uniform_filter(weight, (side, side, 1)) + 1e-5)

    foreground = average(foreground, alpha)
    background = average(background, 1 - alpha)
    residual = light - alpha * foreground - (1 - alpha) * background
    return np.clip(foreground + alpha * residual, 0, 1), background


def disc(radius):
    """A disc of total 1 on a grid of odd side, its rim antialiased."""
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    cover = np.clip(radius + 0.5 - np.hypot(y, x), 0, 1).astype("float32")
    return cover / cover.sum()


def to_linear(image):
    """Linear light 0–1 of uint8 sRGB values (IEC 61966-2-1)."""
    value = np.arange(256) / 255
    table = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return table.astype("float32")[image]


def to_srgb(light):
    """uint8 sRGB values of linear light."""
    return _SRGB[(np.clip(light, 0, 1) * (_LEVELS - 1) + 0.5).astype("uint16")]


def _reduce(values, step):
    """Means over blocks of `step` pixels; the border is repeated to fill the last."""
    if step == 1:
        return values
    pad = [(0, -side % step) for side in values.shape[:2]]
    values = np.pad(values, [*pad, (0, 0)], mode="edge")
    rows, columns = (side // step for side in values.shape[:2])
    return values.reshape(rows, step, columns, step, -1).mean((1, 3))
