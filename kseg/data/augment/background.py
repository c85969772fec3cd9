"""Puts other backgrounds behind what a mask leaves."""

from pathlib import Path

import numpy as np

from kseg.data.augment.geometry import RandomCrop, RandomFlip
from kseg.data.augment.transform import Compose, Transform, check_probability

_MADE_UP = ("color", "noise")
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
# Any part of the picture, but not so small that it blurs.
_CUT = Compose([RandomCrop((0.5, 1.0)), RandomFlip()])


class RandomBackground(Transform):
    """Replaces the pixels of background classes by another picture.

    The border between the two is interpolated as the image is. Pixels of the ignore
    class, and what lies beyond the photo, stay as they are; so does the mask, in which
    background is background. Without a mask nothing is done; a clip needs a mask for
    each frame.

    Example:

    ```python
    background = kseg.data.augment.RandomBackground("my_rooms", probability=0.3)
    augment = kseg.data.augment.Compose([RandomCrop(), background, RandomHue()])
    ```

    Args:
        backgrounds: A folder of pictures, a sequence of their paths or of uint8 arrays
            of shape `(height, width, 3)`; or `"color"` for one random colour, `"noise"`
            for random values.
        classes: Class id, or several, of what is replaced.
        probability: How often.
    """

    def __init__(self, backgrounds, classes=0, probability=0.5):
        self.backgrounds = _list_backgrounds(backgrounds)
        self.classes = np.atleast_1d(classes)
        if self.classes.dtype.kind not in "iu" or self.classes.ndim != 1:
            raise ValueError(
                "`classes` must be a class id or a sequence of them. "
                f"Received: classes={classes}"
            )
        self.probability = check_probability("probability", probability)

    def extend(self, plan, rng, size):
        chance = rng.random()
        seed = int(rng.integers(2**63))  # of the background, which is made when applied
        return plan if chance >= self.probability else plan.then(_Behind(self, seed))

    def make(self, rng, size):
        """Makes a background of a size.

        Args:
            rng: `numpy.random.Generator` to draw from.
            size: Height and width.

        Returns:
            uint8 array of shape `(*size, 3)`.
        """
        if self.backgrounds == "color":
            return np.full((*size, 3), rng.integers(0, 256, 3, "uint8"))
        if self.backgrounds == "noise":
            return rng.integers(0, 256, (*size, 3), "uint8")
        chosen = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
        if not isinstance(chosen, np.ndarray):
            from kseg.data.reading import read_image

            chosen = read_image(chosen)
        return _CUT(chosen, None, rng, size)[0]


class _Behind:
    """The step of `RandomBackground`."""

    def __init__(self, transform, seed):
        self.transform = transform
        self.seed = seed

    def bind(self, plan, truth):
        if truth is None:
            return lambda image: image
        replaced = np.isin(truth, self.transform.classes).astype("float32")
        share = plan.weights(replaced)[..., None]

        def replace(image):
            rng = np.random.default_rng(self.seed)
            behind = self.transform.make(rng, image.shape[:2])
            return np.rint(image + share * (behind - image.astype("float32"))).astype(
                "uint8"
            )

        return replace


def _list_backgrounds(backgrounds):
    if isinstance(backgrounds, str) and backgrounds in _MADE_UP:
        return backgrounds
    if isinstance(backgrounds, str | Path):
        folder = Path(backgrounds)
        paths = folder.iterdir() if folder.is_dir() else ()
        # Sorted, so that the choice does not depend on the file system.
        found = sorted(p for p in paths if p.suffix.lower() in _PICTURES)
        if not found:
            raise ValueError(
                "`backgrounds` must be a folder that holds pictures "
                f"({', '.join(_PICTURES)}), a sequence of them, or one of {_MADE_UP}. "
                f"Received: backgrounds={str(backgrounds)!r}"
            )
        return found
    backgrounds = list(backgrounds)
    for one in backgrounds:
        fits = isinstance(one, str | Path)
        if isinstance(one, np.ndarray):
            fits = one.dtype == "uint8" and one.ndim == 3 and one.shape[-1] == 3
        if not fits:
            got = f"{one.dtype} {one.shape}" if hasattr(one, "shape") else repr(one)
            raise ValueError(
                "`backgrounds` must hold paths of pictures, or uint8 arrays of shape "
                f"(height, width, 3). Received: backgrounds with {got}"
            )
    if not backgrounds:
        raise ValueError(
            "`backgrounds` must hold at least one. Received: backgrounds=[]"
        )
    return backgrounds
