"""Portraits and groups made of photos of one person in full figure, to train nets with."""

import numpy as np
from PIL import Image

from kseg.data import augment


class People:
    """Augmentation for `kseg.data.loader`, of photos whose masks have the person as 1.

    Two of five photos are cut to head and shoulders; now and then other people stand
    beside the first; some are before a blurred background, as portraits have it. Then come
    crops of all proportions: photos are squeezed into a square, and those of the data are
    upright.
    """

    def __init__(self, photos):
        self.photos = photos
        behind = augment.RandomBackground(blurred(photos), probability=0.3)
        self.far, self.close = (
            augment.Compose([behind, augment.standard(scale=(lowest, 1.0), aspect=2.0)])
            for lowest in (0.25, 0.7)
        )

    def __call__(self, image, mask, rng, size):
        is_close = rng.random() < 0.4
        if is_close:
            image, mask = head_and_shoulders(image, mask, rng)
        while rng.random() < 0.35:
            other = self.photos[int(rng.integers(len(self.photos)))]
            other = other.image, other.mask
            if is_close:
                other = head_and_shoulders(*other, rng)
            image, mask = beside(image, mask, *other, rng)
        return (self.close if is_close else self.far)(image, mask, rng, size)


def blurred(photos):
    """The photos so small that behind a person they are a blur of natural colours."""
    rng = np.random.default_rng(0)
    sides = rng.integers(8, 40, len(photos))
    return [
        np.asarray(Image.fromarray(sample.image).resize((side, side)))
        for sample, side in zip(photos, sides, strict=True)
    ]


def head_and_shoulders(image, mask, rng):
    """Returns a square around the person's head, less at the edge of the photo."""
    rows, columns = np.nonzero(mask == 1)
    if not rows.size:
        return image, mask
    tall = rows.max() - rows.min() + 1
    center = columns[rows < rows.min() + 0.1 * tall].mean()
    side = max(8.0, tall * rng.uniform(0.18, 0.5))
    top = rows.min() - rng.uniform(0, 0.3) * side
    left = center - rng.uniform(0.35, 0.65) * side
    top, left = (max(0, round(start)) for start in (top, left))
    box = slice(top, top + round(side)), slice(left, left + round(side))
    return image[box], mask[box]


def beside(image, mask, added, added_mask, rng):
    """Returns a wider photo; the added person, on the right, may stand before the first."""
    height, width = mask.shape
    size = (max(1, round(height / len(added) * added.shape[1])), height)
    added = np.asarray(Image.fromarray(added).resize(size))
    added_mask = Image.fromarray(added_mask.astype("uint8"))
    added_mask = np.asarray(added_mask.resize(size, Image.Resampling.NEAREST))
    start = width - int(rng.uniform(0, 0.6) * min(width, size[0]))
    margins = ((0, 0), (0, start + size[0] - width))
    image, mask = np.pad(image, (*margins, (0, 0))), np.pad(mask, margins)
    over = slice(start, start + size[0])
    # Where the two overlap, the first photo goes on behind the other person.
    covers = (added_mask == 1) | (np.arange(size[0]) >= width - start)
    image[:, over] = np.where(covers[..., None], added, image[:, over])
    mask[:, over] = np.where(covers, added_mask, mask[:, over])
    return image, mask
