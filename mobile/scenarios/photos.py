"""Photos as the scenarios take them and give them back."""

import io
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageColor, ImageOps

from kseg.files import write_whole


def check_share(**shares):
    """Raises unless each value is between 0 and 1."""
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise ValueError(
                f"`{name}` must be between 0 and 1. Received: {name}={value}"
            )


def as_color(color, name: str = "color") -> np.ndarray:
    """Returns a colour as uint8 array `(3,)`, RGB.

    Args:
        color: A name of CSS, `"#rrggbb"`, or three integers of 0-255.
        name: Of the argument, for errors.
    """
    try:
        if isinstance(color, str):
            return np.array(ImageColor.getrgb(color)[:3], np.uint8)
        values = np.asarray(color)
        is_rgb = values.shape == (3,) and values.dtype.kind in "iu"
        if is_rgb and values.min() >= 0 and values.max() <= 255:
            return values.astype(np.uint8)
    except ValueError:
        pass
    raise ValueError(
        f"`{name}` must be the name of a colour, '#rrggbb', or three integers of 0-255. "
        f"Received: {name}={color!r}"
    )


def write_photo(photo, output, scenario, **options):
    """Writes what a scenario makes of a photo, whole or not at all.

    The ICC profile and EXIF (date, camera, place) are kept.

    Args:
        photo: Path of a photo.
        output: Path of the result; its extension says the format.
        scenario: Function that is given `photo` and `options`, and returns the result
            of `like`: `portrait`, `background`, `tryon` or `makeup`.
        **options: As in `scenario`.

    Raises:
        ValueError: If Pillow writes no files of this extension; before the work.
    """
    output = Path(output)
    Image.init()
    file_format = Image.EXTENSION.get(output.suffix.lower())
    if file_format not in Image.SAVE:
        raise ValueError(
            "`output` must end in .jpg, .png, .webp, .tif or another extension that "
            f"Pillow writes. Received: output={str(output)!r}"
        )
    result = scenario(photo, **options)
    if file_format == "JPEG" and result.mode == "RGBA":
        result = result.convert("RGB")
    content = io.BytesIO()
    kept = {key: result.info.get(key) for key in ("icc_profile", "exif")}
    kept = {key: value for key, value in kept.items() if value}
    result.save(content, file_format, quality=95, **kept)
    write_whole(output, content.getvalue())


def like(image, photo: np.ndarray) -> Image.Image:
    """Returns `photo` as a PIL image that is like `image` in all but its colours.

    Args:
        image: As in `kseg.mobile.read_image`.
        photo: uint8 array of shape `(height, width, 3)`, made of `image`.

    Returns:
        PIL image, upright: `"L"` where `image` is grey and `photo` too, `"RGBA"` where
        `image` has transparency (which is kept), else `"RGB"`; with the ICC profile and
        EXIF of `image` in `info`.
    """
    result = Image.fromarray(photo)
    if isinstance(image, np.ndarray):
        if image.ndim == 2 or image.shape[2] == 1:
            return _grey(result, photo)
        if image.shape[2] == 4:
            result.putalpha(Image.fromarray(image[..., 3]))
        return result
    source = image if isinstance(image, Image.Image) else Image.open(image)
    if source.mode in ("L", "1", "I;16"):
        result = _grey(result, photo)
    elif source.has_transparency_data:
        opacity = ImageOps.exif_transpose(source).convert("RGBA").getchannel("A")
        result.putalpha(opacity)
    # A profile of ink, or of grey, does not fit colours of light.
    fits = source.mode != "CMYK" and (result.mode == "L") == (
        source.mode in ("L", "1", "I;16")
    )
    if fits and "icc_profile" in source.info:
        result.info["icc_profile"] = source.info["icc_profile"]
    exif = source.getexif()
    if exif:
        # The pixels stand upright now; date, camera and place stay.
        exif.pop(ExifTags.Base.Orientation, None)
        result.info["exif"] = exif.tobytes()
    if source is not image:
        source.close()
    return result


def _grey(picture, photo):
    colors = np.ptp(photo, -1).any()
    return picture if colors else picture.convert("L")
