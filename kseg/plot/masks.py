"""A mask painted over its photo."""

import io

import numpy as np
from PIL import Image

from kseg.plot.colors import as_colors, palette


def overlay(
    image,
    mask,
    colors=None,
    alpha: float = 0.5,
    ignore_class: int | None = 255,
    *,
    contour: int = 0,
) -> Image.Image:
    """Paints a mask over its photo.

    Classes whose colour is black, as palettes give to background, are not painted;
    nor are pixels to ignore.

    Args:
        image: PIL image; array of 0-255, or of floats 0-1 as matplotlib reads them, of
            shape `(height, width)` or `(height, width, 1, 3 or 4)`; or a matplotlib
            figure.
        mask: PIL image (`"L"`, `"P"`, `"1"` or `"I"`), or integer or bool array of
            shape `(height, width)`: class ids.
        colors: One RGB triple of 0-255 per class id, or CSS names, or colours as
            matplotlib writes them. Defaults to `palette`, whose class 0 is background.
        alpha: How much the colour covers, 0-1.
        ignore_class: Mask value that has no class; `None` if there is none.
        contour: Width in pixels of a line in the pure colour, inside the edge of every
            painted region; 0 draws none.

    Returns:
        PIL image of mode `"RGB"`.

    Raises:
        TypeError: If `mask` holds no integers.
        ValueError: If sizes differ, a class id has no colour, or an argument is out of
            range.
    """
    pixels = np.asarray(as_picture("image", image))
    ids = _ids(mask)
    if ids.shape != pixels.shape[:2]:
        raise ValueError(
            "`mask` must have the height and width of `image`. "
            f"Received: mask.shape={ids.shape}, image.shape={pixels.shape}"
        )
    if not 0 <= alpha <= 1:
        raise ValueError(f"`alpha` must be between 0 and 1. Received: alpha={alpha}")
    if contour < 0:
        raise ValueError(
            f"`contour` must be a number of pixels, 0 or more. Received: contour={contour}"
        )
    known = np.ones_like(ids, bool) if ignore_class is None else ids != ignore_class
    present = np.unique(ids[known])
    highest = int(present[-1]) if present.size else 0
    colors = palette(min(highest + 1, 1000)) if colors is None else colors
    table = as_colors(colors)
    wrong = present[(present < 0) | (present >= len(table))]
    if wrong.size:
        raise ValueError(
            f"`mask` must hold class ids from 0 to {len(table) - 1}, one per color, or "
            f"ignore_class={ignore_class}. Received: mask with {wrong[:10].tolist()}"
        )
    ids = np.where(known, ids, 0)
    paint = table[ids]
    painted = known & table.any(1)[ids]
    share = np.where(painted, np.float32(alpha), np.float32(0))
    if contour:
        share[_rims(np.where(known, ids, -1), contour) & painted] = 1
    mixed = pixels + share[..., None] * (paint - pixels.astype(np.float32))
    return Image.fromarray(mixed.round().astype(np.uint8))


def as_picture(name: str, image) -> Image.Image:
    """Returns any image that `kseg.plot` takes as a PIL image of mode `"RGB"`.

    Args:
        name: What the argument is called, for messages.
        image: PIL image; array of 0-255, or of floats none of which is above 1, as
            matplotlib reads pictures, of shape `(height, width)` or
            `(height, width, 1, 3 or 4)`; or a matplotlib figure. Opacity is dropped.
    """
    if hasattr(image, "savefig"):
        file = io.BytesIO()
        image.savefig(file, format="png")
        image = Image.open(file)
    if isinstance(image, Image.Image):
        if image.mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")  # Pillow warns on the straight way to RGB
        return image.convert("RGB")
    array = np.asarray(image)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or not array.size:
        raise ValueError(
            f"`{name}` must be a PIL image or an array of shape (height, width) or "
            f"(height, width, 1, 3 or 4). Received: shape={np.shape(image)}"
        )
    if array.dtype != np.uint8:
        if array.dtype == bool or not (array.min() >= 0 and array.max() <= 255):
            raise ValueError(
                f"`{name}` must have values of 0-255. Received: dtype={array.dtype}, "
                f"values from {array.min()} to {array.max()}"
            )
        scale = 255 if array.dtype.kind == "f" and array.max() <= 1 else 1
        array = (scale * array).round().astype(np.uint8)
    if array.shape[2] == 1:
        array = np.repeat(array, 3, 2)
    return Image.fromarray(np.ascontiguousarray(array[..., :3]))


def _ids(mask):
    ids = np.asarray(mask)
    if ids.ndim == 3 and ids.shape[2] == 1:
        ids = ids[..., 0]
    if ids.dtype != bool and not np.issubdtype(ids.dtype, np.integer):
        raise TypeError(
            "`mask` must hold integer class ids; of scores take the argmax, of a "
            "probability `mask > 0.5`. Received: mask of dtype "
            f"{ids.dtype}, shape={ids.shape}"
        )
    return ids.astype(np.int64)


def _rims(ids, width):
    """Pixels within `width` of another class; the picture's border is no edge."""
    rims = np.zeros(ids.shape, bool)
    for axis in (0, 1):
        along = np.moveaxis(ids, axis, 0), np.moveaxis(rims, axis, 0)
        for step in range(1, min(width, len(along[0]) - 1) + 1):
            differs = along[0][step:] != along[0][:-step]
            along[1][step:] |= differs
            along[1][:-step] |= differs
    return rims
