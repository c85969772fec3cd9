"""Virtual try-on: a garment in another colour or pattern, and cut out for a search."""

import warnings

import numpy as np
from PIL import Image

from kseg.mobile.images import read_image
from kseg.mobile.scenarios.pattern import lay_pattern
from kseg.mobile.scenarios.photos import as_color, check_share, like
from kseg.mobile.scenarios.recoloring import recolor
from kseg.mobile.scenarios.subjects import keep_subjects, part_alpha, shipped_net


def tryon(
    image,
    segmenter=None,
    garment: str = "top",
    *,
    mask=None,
    color=None,
    pattern=None,
    tile: float = 0.25,
    lightness: float = 0.0,
    strength: float = 1.0,
) -> Image.Image:
    """Gives a garment another colour or pattern; folds, shading and all else stay.

    Args:
        image: Path of a photo, PIL image (EXIF orientation is applied), or uint8
            array of shape `(height, width)` or `(height, width, 1, 3 or 4)`.
        segmenter: Anything whose `segment(image)` returns `confidence_masks` of shape
            `(height, width, classes)`, and whose `labels` names the classes. `None`
            takes the net that ships.
        garment: Label of the garment: of the net that ships "top", "outerwear",
            "dress", "bottom", "shoes" or "bag/accessory".
        mask: Where the garment is, in place of a segmenter: path of a picture that is
            white there, or bool or float array (0-1) of shape `(height, width)`. Taken
            as it is, not a pixel more: a hard one looks cut out, and what softens it
            is `kseg.postprocess.refine_edges(photo, mask)` of the mask at a quarter of
            the photo's height and width.
        color: A name of CSS, `"#rrggbb"`, or three integers of 0-255.
        pattern: In place of a colour one tile, like `image`.
        tile: Width of a tile of the pattern as a share of the garment's width.
        lightness: 0 keeps how light the garment is, so that white becomes a pale shade
            of the colour and black a dark one; 1 makes it as light as the colour.
        strength: 0 leaves the photo as it is.

    Returns:
        PIL image of the photo's size, upright: `"RGBA"` for a photo with transparency
        (which is kept), `"L"` where a grey photo stays grey, else `"RGB"`. The photo
        unchanged, with a `UserWarning`, if there is no such garment.

    Raises:
        ValueError: If both `segmenter` and `mask`, or not exactly one of `color` and
            `pattern`, are given; if the segmenter has no such class, or the mask another
            size than the photo.
    """
    if (color is None) == (pattern is None):
        raise ValueError(
            "Exactly one of `color` and `pattern` must be given. "
            f"Received: color={color!r}, pattern={'None' if pattern is None else '…'}"
        )
    check_share(lightness=lightness, strength=strength)
    if not 0 < tile <= 1:
        raise ValueError(f"`tile` must be above 0 and at most 1. Received: tile={tile}")
    dye = as_color(color) if pattern is None else read_image(pattern)
    photo = read_image(image)
    if segmenter is None and mask is None:
        segmenter = shipped_net("clothes_float16")
    alpha = part_alpha(photo, segmenter, (garment.lower(),), mask)
    if alpha is None:
        warnings.warn(f"no {garment} found: the photo is unchanged", stacklevel=2)
        return like(image, photo)
    if pattern is not None:
        dye = lay_pattern(dye, photo, alpha, tile)
    return like(image, recolor(photo, alpha, dye, lightness, strength))


def garment_crop(image, mask, *, margin: float = 0.05):
    """Cuts a garment out of a photo, as a visual search takes it.

    Regions below a twentieth of the largest, which are mistakes of a net, are left out.

    Args:
        image: As in `tryon`.
        mask: As in `tryon`.
        margin: What is added on each side, as a share of the larger side of the box.

    Returns:
        The crop, uint8 array of shape `(rows, columns, 3)`; its alpha, float32 array
        of shape `(rows, columns)`; and its box in the photo: left, top, right and
        bottom in pixels, right and bottom outside.

    Raises:
        ValueError: If the mask is empty, or of another size than the photo.
    """
    check_share(margin=margin)
    photo = read_image(image)
    alpha = part_alpha(photo, None, (), mask)
    alpha = None if alpha is None else keep_subjects(alpha)
    if alpha is None:
        raise ValueError(
            "`mask` must be above 0.5 on at least a thousandth of the photo. "
            "Received: a mask that is empty"
        )
    y, x = np.nonzero(alpha > 0.5)
    top, bottom, left, right = y.min(), y.max() + 1, x.min(), x.max() + 1
    more = round(margin * max(bottom - top, right - left))
    height, width = alpha.shape
    left, top = max(0, left - more), max(0, top - more)
    right, bottom = min(width, right + more), min(height, bottom + more)
    box = (int(left), int(top), int(right), int(bottom))
    rows, columns = slice(*box[1::2]), slice(*box[::2])
    return photo[rows, columns].copy(), alpha[rows, columns].copy(), box
