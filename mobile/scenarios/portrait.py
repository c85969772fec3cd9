"""Portrait mode: the person sharp, the background out of focus."""

from PIL import Image

from kseg.mobile.images import read_image
from kseg.mobile.scenarios.background import Backdrop, put_behind
from kseg.mobile.scenarios.photos import check_share, like
from kseg.mobile.scenarios.subjects import check_threshold


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
    check_share(strength=strength)
    if strength == 0:
        check_threshold(threshold)
        return like(image, read_image(image))
    return put_behind(image, segmenter, Backdrop(blur=strength), threshold)
