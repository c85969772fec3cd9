"""Real images for calibration and for parity, from whatever the user has."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kseg.mobile.images import PHOTOS, read_image, resize_image, resize_map

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm"}
_IGNORED = 255


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
    chosen = evenly(len(items), limit)
    images = [_read(items[index], size, channels)[None] for index in chosen]
    highest = [int(image.max()) for image in images if image.dtype == np.uint8]
    if len(highest) > 1 and max(highest) == 1:  # floats of 0-1 made uint8
        raise ValueError(
            "`calibration` must hold images of 0-255. Received: uint8 images of which "
            "none has a value above 1"
        )
    return images


def evenly(count: int, limit: int) -> list[int]:
    """Returns the indices of at most `limit` of `count` things, at even distances."""
    chosen = np.linspace(0, count - 1, min(count, limit))
    return chosen.round().astype(int).tolist()


def read_masks(
    masks, source, limit: int, compared: list[int], num_classes: int
) -> list[np.ndarray | None] | None:
    """Reads the true masks of images that `read_calibration` has read.

    Args:
        masks: One per item of `source`: integer arrays of shape `(height, width)`, or
            `None` for an image without. `None` takes the attribute `mask` of the samples
            of a data set, unless it has another number of classes.
        source: As for `read_calibration`.
        limit: The same.
        compared: Indices among the images that were read.
        num_classes: Channels of the net's output.

    Returns:
        Per index of `compared` an array of class ids, 255 for "ignore", or `None`;
        `None` where no image has a mask.

    Raises:
        TypeError: If a mask is no integer array.
        ValueError: If their number is another, or one holds other values.
    """
    items = _items(source)
    if masks is not None and len(masks) != len(items):
        raise ValueError(
            "`masks` must be one per item of `calibration`. "
            f"Received: {len(masks)} masks for {len(items)} images"
        )
    if masks is None and getattr(source, "num_classes", num_classes) != num_classes:
        return None
    chosen = evenly(len(items), limit)
    found = []
    for index in compared:
        index = chosen[index]
        mask = getattr(items[index], "mask", None) if masks is None else masks[index]
        found.append(mask if mask is None else _checked_mask(mask, num_classes))
    return None if all(mask is None for mask in found) else found


def fit_mask(mask: np.ndarray | None, size: tuple[int, int]) -> np.ndarray | None:
    """Resizes class ids to the nearest; `None` stays."""
    return mask if mask is None else resize_map(mask, size)


def _checked_mask(mask, num_classes):
    mask = np.asarray(mask)
    if mask.ndim != 2 or not np.issubdtype(mask.dtype, np.integer):
        raise TypeError(
            "`masks` must be integer arrays of shape (height, width), class ids. "
            f"Received: shape={mask.shape}, dtype={mask.dtype}"
        )
    classes = max(2, num_classes)
    wrong = np.unique(mask[(mask != _IGNORED) & ((mask < 0) | (mask >= classes))])
    if len(wrong):
        raise ValueError(
            f"`masks` must hold class ids below {classes}, or {_IGNORED} for pixels that "
            f"are not judged. Received: {wrong[:5].tolist()}"
        )
    return mask.astype("int32")


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
