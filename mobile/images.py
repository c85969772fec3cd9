"""Images as the phone side takes them: paths, PIL images and uint8 arrays."""

from collections.abc import Iterable
from numbers import Integral
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

# Photos of people that ship with kseg (their README names source and licence).
PHOTOS = Path(__file__).parent / "weights" / "photos"


def read_image(image) -> np.ndarray:
    """Reads any image that kseg takes as RGB.

    Args:
        image: Path of an image file, PIL image, or uint8 array of shape
            `(height, width)` or `(height, width, channels)` with 1, 3 or 4 channels.
            EXIF orientation is applied, transparency dropped.

    Returns:
        uint8 array of shape `(height, width, 3)`, RGB.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If the array is not uint8, or the type is none of the above.
        ValueError: If the file is no image or damaged, or the shape does not fit.
    """
    if isinstance(image, str | Path):
        return _read_file(Path(image))
    if isinstance(image, Image.Image):
        return _from_pil(image)
    if isinstance(image, np.ndarray):
        return _from_array(image)
    raise TypeError(
        "`image` must be a path, a PIL image or a uint8 array. "
        f"Received: image of type {type(image).__name__}"
    )


def as_pair(size, name: str = "size") -> tuple[int, int]:
    """Returns a size as `(height, width)`; an int means a square."""
    pair = tuple(size) if isinstance(size, Iterable) else (size, size)
    if len(pair) != 2 or any(not isinstance(n, Integral) or n < 1 for n in pair):
        raise ValueError(
            f"`{name}` must be a positive integer or (height, width). "
            f"Received: {name}={size!r}"
        )
    return int(pair[0]), int(pair[1])


def resize_image(
    image: np.ndarray, size: tuple[int, int], channels: int = 3
) -> np.ndarray:
    """Resizes an RGB image to a net's input, bilinear and antialiased.

    The whole image is stretched to `size`, as MediaPipe does.

    Args:
        image: uint8 array of shape `(height, width, 3)`.
        size: `(height, width)` of the result.
        channels: 3, or 1 for luma (ITU-R 601).

    Returns:
        uint8 array of shape `(*size, channels)`.
    """
    height, width = size
    picture = Image.fromarray(image)
    if channels == 1:
        picture = picture.convert("L")
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture).reshape(height, width, channels)


def resize_map(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes one map: floats bilinear, class ids to the nearest.

    Args:
        values: float32 or integer array of shape `(height, width)`.
        size: `(height, width)` of the result.

    Returns:
        Array of shape `size` and the dtype of `values`.
    """
    height, width = size
    if values.shape == (height, width):
        return values
    if np.issubdtype(values.dtype, np.integer):
        picture = Image.fromarray(values.astype("int32"))
        resized = picture.resize((width, height), Image.Resampling.NEAREST)
        return np.asarray(resized).astype(values.dtype)
    picture = Image.fromarray(np.ascontiguousarray(values, "float32"))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


def _read_file(path):
    if not path.is_file():
        raise FileNotFoundError(
            f"`image` must be the path of an image. Received: image={str(path)!r}"
        )
    try:
        with Image.open(path) as picture:
            return _from_pil(picture)
    except (OSError, SyntaxError) as error:  # PIL raises SyntaxError on broken PNGs
        raise ValueError(
            f"`image` must be a complete image file: {error}. "
            f"Received: image={str(path)!r}"
        ) from error


def _from_pil(picture):
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):  # 16-bit PNG; convert("RGB") would clip it
        gray = np.asarray(picture).astype("float32") / 257
        return _from_array(np.round(gray).astype("uint8"))
    if picture.mode in ("I", "F"):
        raise ValueError(
            "`image` must have 8 bits per channel, and the range of this mode is "
            "unknown: scale it to 0-255 and make it uint8. "
            f"Received: PIL image of mode {picture.mode!r}"
        )
    if 0 in picture.size:
        raise ValueError(
            f"`image` must have at least one pixel. Received: size={picture.size}"
        )
    return np.array(picture.convert("RGB"))


def _from_array(array):
    if array.dtype != np.uint8:
        scale = ""
        if array.size and np.issubdtype(array.dtype, np.floating):
            scale = "(255 * image)" if array.max() <= 1 else "image"
            scale = f": pass {scale}.round().astype('uint8')"
        raise TypeError(
            f"`image` must be a uint8 array of 0-255{scale}. "
            f"Received: dtype={array.dtype}, shape={array.shape}"
        )
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape:
        raise ValueError(
            "`image` must have shape (height, width) or (height, width, 1, 3 or 4), "
            f"channels last and one image at a time. Received: shape={array.shape}"
        )
    if array.shape[-1] == 1:
        return np.repeat(array, 3, axis=-1)
    return np.ascontiguousarray(array[..., :3])
