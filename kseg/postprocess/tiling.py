"""Large images in overlapping tiles: Ronneberger, Fischer, Brox (MICCAI 2015)."""

import itertools
from numbers import Integral

import numpy as np


def predict_tiles(model, image, size, *, margin=None, stride=32, batch_size=1):
    """Predicts an image of any size by tiles, which overlap by their context.

    The net sees a tile with a margin around, and only what is inside of the margin is
    kept. Beyond the border the image is mirrored. So memory does not grow with the image,
    but for the scores themselves, and there are no seams if the margin is at least what
    the net sees to each side.

    Reference:
    - [U-Net](https://arxiv.org/abs/1505.04597) (MICCAI 2015), figure 2

    Args:
        model: A `keras.Model` of one output, or any function of images `(batch, height,
            width, channels)` that returns an array of scores `(batch, height, width,
            classes)`. The scores may be smaller than the images, by the same at opposite
            sides, as those of `kseg.models.unet(padding="valid")`.
        image: Array of shape `(height, width, channels)`.
        size: Height and width of what the net is given, or one number for both.
        margin: Number of pixels at each side of a tile that give context only. Defaults
            to `None`: what the net itself leaves out; if that is nothing, an eighth of
            the size as a multiple of `stride`.
        stride: Stride of the coarsest map of the net. Tiles begin at multiples of it, so
            that pools and strides fall on the pixels that they fall on in the whole
            image. Defaults to `32`.
        batch_size: Number of tiles that are predicted at once. Defaults to `1`.

    Returns:
        A float32 array of shape `(height, width, classes)`.

    Raises:
        ValueError: If a tile has no pixel left, an array has the wrong shape, or a number
            is not positive.
        TypeError: If a number is not an integer.

    Examples:

    >>> model = kseg.models.unet((572, 572, 1), 2, padding="valid")
    >>> scores = kseg.postprocess.predict_tiles(model, image, 572, stride=16)
    """
    image = np.asarray(image)
    if image.ndim != 3 or 0 in image.shape:
        raise ValueError(
            "`image` must have the shape `(height, width, channels)`. "
            f"Received: an image of shape {image.shape}"
        )
    size = tuple(size) if isinstance(size, tuple | list) else (size, size)
    for number in size:
        _check_at_least(1, size=number)
    _check_at_least(1, stride=stride)
    _check_at_least(1, batch_size=batch_size)
    predict = getattr(model, "predict_on_batch", model)
    lost = _lost(predict, np.zeros((1, *size, image.shape[2]), image.dtype))
    margins = _margins(margin, lost, size, stride)
    steps = [(n - 2 * m) // stride * stride for n, m in zip(size, margins, strict=True)]
    if min(steps) < 1:
        raise ValueError(
            "`size` must be at least twice the margin and a stride more, "
            f"{tuple(2 * m + stride for m in margins)}. Received: size={size}, "
            f"margin={margins}, stride={stride}"
        )

    scores = None
    corners = itertools.product(
        *(range(0, n, step) for n, step in zip(image.shape[:2], steps, strict=True))
    )
    while batch := list(itertools.islice(corners, batch_size)):
        tiles = [_window(image, corner, margins, size) for corner in batch]
        outputs = np.asarray(predict(np.stack(tiles)), "float32")
        if scores is None:
            scores = np.empty((*image.shape[:2], outputs.shape[-1]), "float32")
        for (top, left), output in zip(batch, outputs, strict=True):
            target = scores[top : top + steps[0], left : left + steps[1]]
            y, x = (m - cut for m, cut in zip(margins, lost, strict=True))
            target[...] = output[y:, x:][: target.shape[0], : target.shape[1]]
    return scores


def _check_at_least(smallest, **argument):
    ((name, number),) = argument.items()
    if not isinstance(number, Integral):
        raise TypeError(f"`{name}` must be an integer. Received: {name}={number!r}")
    if number < smallest:
        raise ValueError(
            f"`{name}` must be at least {smallest}. Received: {name}={number}"
        )


def _lost(predict, tile):
    """By how many pixels the scores are smaller at each side: (rows, columns)."""
    size, shape = tile.shape[1:3], np.shape(predict(tile))
    if len(shape) != 4 or any(
        (n - kept) % 2 or kept > n for n, kept in zip(size, shape[1:3], strict=True)
    ):
        raise ValueError(
            "`model` must give scores `(batch, height, width, classes)`, of the size of "
            "the images or smaller by the same at opposite sides. "
            f"Received: scores of shape {shape} for images of {size}"
        )
    return tuple((n - kept) // 2 for n, kept in zip(size, shape[1:3], strict=True))


def _margins(margin, lost, size, stride):
    if margin is not None:
        _check_at_least(max(lost), margin=margin)
        return (margin, margin)
    if any(lost):
        return lost
    return tuple(-(-n // (8 * stride)) * stride for n in size)


def _window(image, corner, margins, size):
    """What the net is given for the tile at a corner."""
    rows, columns = (
        _mirrored(np.arange(start - margin, start - margin + n), length)
        for start, margin, n, length in zip(
            corner, margins, size, image.shape[:2], strict=True
        )
    )
    return image[rows[:, None], columns]


def _mirrored(indices, length):
    """Indices reflected at the first and the last, as often as it takes."""
    period = max(2 * (length - 1), 1)
    indices = indices % period
    return np.minimum(indices, period - indices) % max(length, 1)
