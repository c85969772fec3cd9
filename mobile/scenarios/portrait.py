"""Portrait mode: the person sharp, the background out of focus."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps
from scipy.ndimage import label

from kseg.files import write_whole
from kseg.mobile.images import read_image, resize_map
from kseg.mobile.scenarios.lens import blur_background
from kseg.postprocess import refine_edges

# Radius of the disc at strength 1, as a share of the mean of height and width.
_RADIUS = 0.03


def portrait(
    image, segmenter=None, *, strength: float = 0.5, threshold: float = 0.5
) -> Image.Image:
    """Blurs the background of a photo as a fast lens would.

    12 megapixels take two to three seconds of CPU beside the net, and 350 MB with the
    photo and its masks (550 MB where `strength` is below 0.2).

    Args:
        image: Path of a photo, PIL image (EXIF orientation is applied), or uint8
            array of shape `(height, width)` or `(height, width, 1, 3 or 4)`.
        segmenter: Anything whose `segment(image)` returns `confidence_masks` of shape
            `(height, width, classes)`: one class is the person, of several the one
            that `segmenter.labels` calls "person". `None` takes the net that ships.
        strength: 0 leaves the photo as it is, 1 is a disc of 3 % of the mean of
            height and width in radius.
        threshold: Confidence above which a pixel belongs to a person.

    Returns:
        PIL image of the photo's size, upright: `"L"` for a grey photo, `"RGBA"` for
        one with transparency (which is kept), else `"RGB"`. Its ICC profile is in
        `info`. The photo unchanged, with a `UserWarning`, if there is no person.

    Raises:
        ValueError: If `strength` or `threshold` is out of range, or the segmenter
            knows no person.
    """
    for name, value, valid in (
        ("strength", strength, 0 <= strength <= 1),
        ("threshold", threshold, 0 < threshold < 1),
    ):
        if not valid:
            raise ValueError(
                f"`{name}` must be between 0 and 1. Received: {name}={value}"
            )
    photo = read_image(image)
    if strength == 0:
        return _like(image, photo)
    if segmenter is None:
        from kseg.mobile.segmenter import load

        segmenter = load("person_float16")
    confidence = _keep_subjects(_person_confidence(segmenter, photo), threshold)
    if confidence is None:
        warnings.warn("no person found: the photo is unchanged", stacklevel=2)
        return _like(image, photo)
    alpha = refine_edges(photo, confidence)
    radius = strength * _RADIUS * sum(photo.shape[:2]) / 2
    return _like(image, blur_background(photo, alpha, radius))


def portrait_file(photo, output, *, strength: float = 0.5):
    """Writes a photo with its background blurred; what `kseg portrait` calls.

    The file is written whole or not at all. An ICC profile is kept, other metadata
    (place, time, camera) is not.

    Args:
        photo: Path of a photo.
        output: Path of the result; its extension says the format.
        strength: As in `portrait`.

    Raises:
        ValueError: If Pillow writes no files of this extension.
    """
    output = Path(output)
    Image.init()
    file_format = Image.EXTENSION.get(output.suffix.lower())
    if file_format not in Image.SAVE:
        raise ValueError(
            "`output` must end in .jpg, .png, .webp, .tif or another extension that "
            f"Pillow writes. Received: output={str(output)!r}"
        )
    result = portrait(photo, strength=strength)
    if file_format == "JPEG" and result.mode == "RGBA":
        result = result.convert("RGB")
    content = io.BytesIO()
    kept = {key: result.info.get(key) for key in ("icc_profile", "exif")}
    kept = {key: value for key, value in kept.items() if value}
    result.save(content, file_format, quality=95, **kept)
    write_whole(output, content.getvalue())


def _person_confidence(segmenter, photo):
    masks = np.asarray(segmenter.segment(photo).confidence_masks)
    if masks.ndim != 3:
        raise ValueError(
            "`segmenter` must give confidence masks of shape (height, width, classes). "
            f"Received: confidence_masks of shape {masks.shape}"
        )
    if masks.shape[-1] == 1:
        return masks[..., 0]
    labels = [str(name).lower() for name in getattr(segmenter, "labels", None) or ()]
    if "person" not in labels:
        raise ValueError(
            "`segmenter` must have one class or one labelled 'person'; give an "
            "`ImageSegmenter` its names with `labels=[...]`. Received: "
            f"{masks.shape[-1]} classes, labels={labels}"
        )
    return masks[..., labels.index("person")]


def _keep_subjects(confidence, threshold):
    """The confidence with 0.5 at `threshold`, without specks; `None` if nobody is there.

    What covers less than a twentieth of the largest person is a stranger far behind
    or a mistake of the net; less than a thousandth of the photo is nobody.
    """
    if threshold != 0.5:
        confidence = np.interp(confidence, [0, threshold, 1], [0, 0.5, 1])
    confidence = confidence.astype(np.float32)
    size = confidence.shape
    scale = min(1.0, 512 / max(size))
    small = resize_map(confidence, tuple(max(1, round(n * scale)) for n in size))
    regions, count = label(small > 0.5, np.ones((3, 3)))
    areas = np.bincount(regions.ravel(), minlength=count + 1)
    largest = areas[1:].max(initial=0)
    if largest < max(1, 0.001 * small.size):
        return None
    dropped = np.flatnonzero(areas < 0.05 * largest)
    specks = np.isin(regions, dropped[dropped > 0]).astype(np.float32)
    if specks.any():
        confidence = np.where(resize_map(specks, size) > 0, 0, confidence)
    return confidence


def _like(image, photo):
    """`photo` as a PIL image with the mode, opacity, profile and EXIF of `image`."""
    result = Image.fromarray(photo)
    if isinstance(image, np.ndarray):
        if image.ndim == 2 or image.shape[2] == 1:
            return result.convert("L")
        if image.shape[2] == 4:
            result.putalpha(Image.fromarray(image[..., 3]))
        return result
    source = image if isinstance(image, Image.Image) else Image.open(image)
    if source.mode in ("L", "1", "I;16"):
        result = result.convert("L")
    elif source.has_transparency_data:
        opacity = ImageOps.exif_transpose(source).convert("RGBA").getchannel("A")
        result.putalpha(opacity)
    if source.mode != "CMYK" and "icc_profile" in source.info:
        result.info["icc_profile"] = source.info["icc_profile"]
    exif = source.getexif()
    if exif:
        # The pixels stand upright now; date, camera and place stay.
        exif.pop(ExifTags.Base.Orientation, None)
        result.info["exif"] = exif.tobytes()
    if source is not image:
        source.close()
    return result
