"""Another background behind the people of a photo: a picture, a colour or a blur."""

import warnings

import numpy as np
from PIL import Image, ImageOps

from kseg.mobile.images import read_image
from kseg.mobile.scenarios.cutout import replace_background
from kseg.mobile.scenarios.lens import blur_background, lens_radius
from kseg.mobile.scenarios.photos import as_color, check_share, like
from kseg.mobile.scenarios.subjects import check_threshold, person_alpha


def background(
    image,
    segmenter=None,
    *,
    picture=None,
    color=None,
    blur: float | None = None,
    threshold: float = 0.5,
) -> Image.Image:
    """Replaces the background of a photo; one of `picture`, `color` and `blur` says how.

    Hair and other soft edges are taken apart into what is in front and what was behind
    it, so that no halo of the old background remains.

    Args:
        image: Path of a photo, PIL image (EXIF orientation is applied), or uint8
            array of shape `(height, width)` or `(height, width, 1, 3 or 4)`.
        segmenter: As in `portrait`.
        picture: Like `image`: enlarged or shrunk until it covers the photo, and cut
            off around its middle.
        color: A name of CSS, `"#rrggbb"`, or three integers of 0-255.
        blur: As `strength` of `portrait`.
        threshold: Confidence above which a pixel belongs to a person.

    Returns:
        PIL image of the photo's size, upright: `"RGBA"` for a photo with transparency
        (which is kept), `"L"` where photo and background are grey, else `"RGB"`. The
        photo unchanged, with a `UserWarning`, if there is no person.

    Raises:
        ValueError: If none or several of `picture`, `color` and `blur` are given, or
            one is out of range, or the segmenter knows no person.
    """
    return put_behind(image, segmenter, Backdrop(picture, color, blur), threshold)


def put_behind(image, segmenter, backdrop, threshold):
    """Puts a `Backdrop` behind the people of a photo, as `portrait` does too."""
    check_threshold(threshold)
    photo = read_image(image)
    alpha = person_alpha(photo, segmenter, threshold)
    if alpha is None:
        # Of the caller of the scenario.
        warnings.warn("no person found: the photo is unchanged", stacklevel=3)
        return like(image, photo)
    return like(image, backdrop(photo, alpha))


class Backdrop:
    """What is put behind people.

    Args:
        picture: As in `background`.
        color: As in `background`.
        blur: As in `background`.

    Call arguments:
        photo: uint8 array of shape `(height, width, 3)`.
        alpha: Share of the people, 0-1, of shape `(height, width)`.

    Returns:
        uint8 array of the shape of `photo`.
    """

    def __init__(self, picture=None, color=None, blur=None):
        given = {"picture": picture, "color": color, "blur": blur}
        given = [name for name, value in given.items() if value is not None]
        if len(given) != 1:
            raise ValueError(
                "Exactly one of `picture`, `color` and `blur` must be given. "
                f"Received: {' and '.join(given) or 'none of them'}"
            )
        if blur is not None:
            check_share(blur=blur)
        self._blur = blur
        self._picture = None
        if picture is not None:
            self._picture = Image.fromarray(read_image(picture))
        if color is not None:
            self._picture = Image.fromarray(as_color(color).reshape(1, 1, 3))
        self._fitted = None

    def __call__(self, photo: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        if self._picture is None:
            radius = lens_radius(alpha.shape, self._blur)
            return blur_background(photo, alpha, radius)
        if self._fitted is None or self._fitted.shape != photo.shape:
            size = alpha.shape[::-1]
            self._fitted = np.asarray(ImageOps.fit(self._picture, size))
        return replace_background(photo, alpha, self._fitted)
