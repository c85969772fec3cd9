"""Real images for calibration and for parity, from whatever the user has."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kseg.mobile.images import PHOTOS, read_image, resize_image

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm"}


def read_calibration(
    source, size: tuple[int, int], channels: int, limit: int
) -> list[np.ndarray]:
    """Reads images at a net's input size.

    Args:
        source: Folder (its subfolders too), list of paths, PIL images or uint8 arrays,
            array of shape `(images, height, width, 3)`, or a data set whose samples
            have an attribute `image`. `None` takes the photos that ship with kseg.
            For nets of other input than RGB also: float arrays of the input's shape.
        size: `(height, width)` of the net's input.
        channels: Channels of the net's input.
        limit: Of more images than these, so many are taken at even distances.

    Returns:
        Arrays of shape `(1, *size, channels)`: uint8, or float32 for what is no image.

    Raises:
        FileNotFoundError: If there is no such folder.
        TypeError: If `source` is no collection of images.
        ValueError: If there are no images, or one is damaged or of another range.
    """
    items = _items(source)
    if len(items) > limit:
        chosen = np.linspace(0, len(items) - 1, limit).round().astype(int).tolist()
    else:
        chosen = range(len(items))
    return [_read(items[index], size, channels)[None] for index in chosen]


def _read(item, size, channels):
    item = getattr(item, "image", item)
    if isinstance(item, np.ndarray) and np.issubdtype(item.dtype, np.floating):
        return _checked_floats(item, (*size, channels))
    if channels not in (1, 3):
        raise ValueError(
            f"`calibration` must be float arrays of shape {(*size, channels)}, because "
            f"images have no {channels} channels. Received: {type(item).__name__}"
        )
    return resize_image(read_image(item), size, channels)


def _checked_floats(array, shape):
    if array.shape != shape:
        raise ValueError(
            f"`calibration` arrays of floats must have the net's input shape {shape}; "
            "images of any size must be uint8. "
            f"Received: shape={array.shape}, dtype={array.dtype}"
        )
    if shape[-1] != 3:  # CT and the like, in whatever unit the net was trained on
        return array.astype("float32")
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 255 or high <= 1:
        raise ValueError(
            "`calibration` must hold images of 0-255, because nets normalise inside. "
            f"Received: values from {low:.4g} to {high:.4g}"
        )
    return array.round().astype("uint8")


def _items(source) -> Sequence:
    if source is None:
        source = PHOTOS
    if isinstance(source, str | Path):
        folder = Path(source)
        if not folder.is_dir():
            raise FileNotFoundError(
                "`calibration` must be an existing folder of images, or a list. "
                f"Received: calibration={str(source)!r}"
            )
        items = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
    elif hasattr(source, "__len__") and hasattr(source, "__getitem__"):
        items = source
    else:
        raise TypeError(
            "`calibration` must be a folder, a list of images, an array of shape "
            "(images, height, width, 3), or a data set. "
            f"Received: calibration of type {type(source).__name__}"
        )
    if isinstance(items, np.ndarray) and items.ndim != 4:
        raise ValueError(
            "`calibration` must be of shape (images, height, width, channels). "
            f"Received: shape={items.shape}"
        )
    if len(items) == 0:
        raise ValueError(
            f"`calibration` must hold at least one image. Received: none in {source}"
        )
    return items
