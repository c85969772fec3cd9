"""Where the subject of a scenario is in a photo, from a net's confidence."""

from pathlib import Path

import numpy as np
from scipy.ndimage import label

from kseg.mobile.images import read_image, resize_map
from kseg.mobile.segmenter import forget_frames
from kseg.postprocess import refine_edges

_LEAST = 0.001  # of the photo; less is a mistake of the net


def check_threshold(threshold):
    """Raises unless `threshold` is a confidence between 0 and 1."""
    if not 0 < threshold < 1:
        raise ValueError(
            f"`threshold` must be between 0 and 1. Received: threshold={threshold}"
        )


def person_confidence(photo, segmenter):
    """How sure a net is, pixel by pixel, of people.

    Args:
        photo: uint8 array of shape `(height, width, 3)`.
        segmenter: As in `part_confidence`; one class is the person, of several the one
            that is labelled "person".

    Returns:
        float32 array of shape `(height, width)`.
    """
    masks, (person, *_) = _find_classes(photo, segmenter, ("person",), one_class=True)
    return masks[..., person]


def person_alpha(photo, segmenter, threshold):
    """The matte of the people in a photo.

    Args:
        photo: uint8 array of shape `(height, width, 3)`.
        segmenter: As in `person_confidence`; `None` takes the net that ships.
        threshold: Confidence above which a pixel belongs to a person.

    Returns:
        float32 array of shape `(height, width)`, 0-1; `None` if there is no person.
    """
    if segmenter is None:
        segmenter = shipped_net("person_float16")
    forget_frames(segmenter)
    confidence = keep_subjects(person_confidence(photo, segmenter), threshold)
    return None if confidence is None else refine_edges(photo, confidence)


def shipped_net(name):
    """Opens a net that ships."""
    from kseg.mobile.segmenter import load  # late, so that a test can stand in for it

    return load(name)


def part_confidence(photo, segmenter, names):
    """How sure a net is, pixel by pixel, of one part of a photo.

    Of several classes it is the part's share beside the strongest of the others: above
    0.5 where the part is likelier than each of them. Half of a coat that a net holds for
    a coat by 0.4 and for a top by 0.3 would be lost otherwise.

    Args:
        photo: uint8 array of shape `(height, width, 3)`.
        segmenter: Anything whose `segment(image)` returns `confidence_masks` of shape
            `(height, width, classes)`, and whose `labels` names them.
        names: Labels of the part, in small letters; the confidences of all that are
            there are added, as if they were one class.

    Returns:
        float32 array of shape `(height, width)`.

    Raises:
        ValueError: If the segmenter has no such class.
    """
    masks, found = _find_classes(photo, segmenter, names)
    if masks.shape[-1] == 1:
        return masks[..., 0]
    part, others = (np.zeros(masks.shape[:2], np.float32) for _ in range(2))
    for index in range(masks.shape[-1]):
        if index in found:
            part += masks[..., index]
        else:
            np.maximum(others, masks[..., index], out=others)
    return part / np.maximum(part + others, np.finfo(np.float32).tiny)


def _find_classes(photo, segmenter, names, one_class=False):
    """Returns the confidences of all classes, and the places of those named."""
    masks = np.asarray(segmenter.segment(photo).confidence_masks)
    if masks.ndim != 3:
        raise ValueError(
            "`segmenter` must give confidence masks of shape (height, width, classes). "
            f"Received: confidence_masks of shape {masks.shape}"
        )
    labels = [str(name).lower() for name in getattr(segmenter, "labels", None) or ()]
    # The labels of a net of one class are background and what it finds.
    if masks.shape[-1] == 1 and (one_class or (labels and labels[-1] in names)):
        return masks, [0]
    found = [index for index, name in enumerate(labels) if name in names]
    if not found or masks.shape[-1] == 1:
        how = "" if labels else "; give an `ImageSegmenter` names with `labels=[...]`"
        raise ValueError(
            "`segmenter` must have "
            f"{'one class or ' if one_class else ''}one labelled {names[0]!r}{how}. "
            f"Received: {masks.shape[-1]} classes, labels={labels}"
        )
    return masks, found


def part_alpha(photo, segmenter, names, mask=None, least: float = _LEAST):
    """The matte of a part of a photo, from a net or as given.

    Args:
        photo: uint8 array of shape `(height, width, 3)`.
        segmenter: As in `part_confidence`, whose confidence is refined; or `None`.
        names: As in `part_confidence`.
        mask: In place of a segmenter the matte: path of a picture that is white there,
            or bool or float array of 0-1.
        least: As in `keep_subjects`.

    Returns:
        float32 array of shape `(height, width)`, 0-1; `None` if the part is not there.
    """
    if (segmenter is None) == (mask is None):
        raise ValueError(
            "Exactly one of `segmenter` and `mask` must be given. "
            f"Received: {'none' if mask is None else 'both'}"
        )
    if mask is None:
        forget_frames(segmenter)
        confidence = part_confidence(photo, segmenter, names)
        confidence = keep_subjects(confidence, least=least)
        return None if confidence is None else refine_edges(photo, confidence)
    if isinstance(mask, str | Path):
        mask = read_image(mask)[..., 0] / np.float32(255)
    mask = np.asarray(mask)
    if mask.dtype.kind not in "bf":
        raise TypeError(
            "`mask` must be a bool array or one of floats of 0-1: of class ids pass "
            f"`mask == class_id`, of 0-255 `mask / 255`. Received: dtype={mask.dtype}"
        )
    if mask.shape != photo.shape[:2]:
        raise ValueError(
            f"`mask` must have the photo's height and width {photo.shape[:2]}. "
            f"Received: mask.shape={mask.shape}"
        )
    if not (mask.min() >= 0 and mask.max() <= 1):  # NaN fails too
        raise ValueError(
            "`mask` must hold values of 0-1. "
            f"Received: mask from {mask.min()} to {mask.max()}"
        )
    return mask.astype(np.float32) if mask.any() else None


def keep_subjects(confidence, threshold: float = 0.5, least: float = _LEAST):
    """The confidence with 0.5 at `threshold`, without specks; `None` if nothing is there.

    What covers less than a twentieth of the largest region is a stranger far behind or
    a mistake of the net; less than `least` of the photo is nothing.

    Args:
        confidence: Array of shape `(height, width)`, 0-1.
        threshold: Confidence above which a pixel belongs to a subject.
        least: Share of the photo that the largest region has at least.

    Returns:
        float32 array of shape `(height, width)`, or `None`.
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
    if largest < max(1, least * small.size):
        return None
    dropped = np.flatnonzero(areas < 0.05 * largest)
    specks = np.isin(regions, dropped[dropped > 0]).astype(np.float32)
    if specks.any():
        confidence = np.where(resize_map(specks, size) > 0, 0, confidence)
    return confidence
