"""Make-up: lips and hair in another colour."""

import warnings
from types import SimpleNamespace

from PIL import Image

from kseg.mobile.images import read_image
from kseg.mobile.scenarios.photos import as_color, check_share, like
from kseg.mobile.scenarios.recoloring import recolor
from kseg.mobile.scenarios.subjects import part_alpha, shipped_net
from kseg.mobile.segmenter import forget_frames

# Labels of the parts, in CelebAMask-HQ and elsewhere.
PARTS = {
    "lips": ("lips", "u_lip", "l_lip", "upper_lip", "lower_lip", "lip"),
    "hair": ("hair",),
}

_LEAST = 1e-5  # share of a photo that lips may have: faces may be small


def makeup(
    image,
    segmenter=None,
    *,
    lips=None,
    hair=None,
    masks=None,
    lightness: float = 0.0,
    strength: float = 0.6,
) -> Image.Image:
    """Colours lips and hair; their light and shade, and all else, stay.

    Args:
        image: As in `tryon`.
        segmenter: As in `tryon`; its `labels` have "lips" (or "u_lip" and "l_lip", as
            in CelebAMask-HQ) and "hair". The net that ships has hair, but no lips.
        lips: A name of CSS, `"#rrggbb"`, or three integers of 0-255; `None` leaves
            them as they are.
        hair: Like `lips`.
        masks: A dict with keys `"lips"` and `"hair"`, or one of them, of masks as in
            `tryon`; a part that has one is not looked for.
        lightness: As in `tryon`.
        strength: How much of the colours is taken: 0 leaves the photo as it is.

    Returns:
        PIL image as of `tryon`. What is not found is said in a `UserWarning`, and left
        as it is.

    Raises:
        ValueError: If neither `lips` nor `hair` is given; if the segmenter has no such
            class, or a mask has another size than the photo.
    """
    colors = {"lips": lips, "hair": hair}
    colors = {part: color for part, color in colors.items() if color is not None}
    if not colors:
        raise ValueError(
            "One of `lips` and `hair` must be given. Received: neither of them"
        )
    masks = masks or {}
    if not masks.keys() <= PARTS.keys():
        raise ValueError(
            f"`masks` must have no keys but {sorted(PARTS)}. "
            f"Received: masks with keys {sorted(masks)}"
        )
    check_share(lightness=lightness, strength=strength)
    dyes = {part: as_color(color, part) for part, color in colors.items()}
    photo = result = read_image(image)
    missing = colors.keys() - masks.keys()
    if missing:
        segmenter = _once(segmenter, photo, missing)
    for part, dye in dyes.items():
        mask = masks.get(part)
        net = None if part in masks else segmenter
        alpha = part_alpha(photo, net, PARTS[part], mask, _LEAST)
        if alpha is None:
            warnings.warn(f"no {part} found: left as before", stacklevel=2)
        else:
            result = recolor(result, alpha, dye, lightness, strength)
    return like(image, result)


def _once(segmenter, photo, parts):
    """A segmenter that has segmented the photo, once for all parts."""
    if segmenter is None and "lips" in parts:
        raise ValueError(
            '`masks` must have "lips", or `segmenter` a class of that name: the net that '
            "ships finds hair alone. Received: neither"
        )
    segmenter = segmenter or shipped_net("clothes_float16")
    forget_frames(segmenter)
    found = segmenter.segment(photo)
    return SimpleNamespace(
        segment=lambda _: found, labels=getattr(segmenter, "labels", None)
    )
