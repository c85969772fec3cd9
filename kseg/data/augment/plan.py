"""What will be done to one sample: geometry as one matrix, then steps on the pixels."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from PIL import Image

IGNORE_CLASS = 255
# The mean of ImageNet's photos. Inside the net it is near zero, as the padding of its
# convolutions is, and unlike a replicated edge it invents no second person.
FILL = (124, 116, 104)


@dataclasses.dataclass(frozen=True)
class Plan:
    """The random choices made for one sample, to be applied to anything of its size.

    Transforms build it step by step (`turn`, `crop`, `then`); pixels move only in
    `image` and `mask`, which resample once, however many steps the geometry has. One
    plan fits every picture of the same height and width: the frames of a clip,
    several masks, a map of weights.

    Attributes:
        source: Height and width of the sample.
        height: Height of the picture so far, in its own pixels.
        width: Width of the picture so far.
        matrix: float64 array of shape `(3, 3)`; takes a point `(x, y, 1)` of the
            picture so far to the same point of the sample. Pixel `i` covers `i` to
            `i + 1`.
        steps: Functions of a PIL image to a PIL image, applied after the geometry.
    """

    source: tuple[int, int]
    height: float
    width: float
    matrix: np.ndarray
    steps: tuple[Callable[[Image.Image], Image.Image], ...] = ()

    @classmethod
    def of(cls, height: int, width: int) -> "Plan":
        """Returns the plan that changes nothing."""
        return cls((height, width), height, width, np.eye(3))

    def turn(self, matrix: np.ndarray) -> "Plan":
        """Moves the picture about its centre, keeping its height and width.

        Args:
            matrix: Array of shape `(2, 2)` or `(3, 3)` that takes a point of the new
                picture to its origin in the picture so far, both relative to the
                centre.
        """
        full = np.eye(3)
        full[: len(matrix), : len(matrix)] = matrix
        center = _translation(self.width / 2, self.height / 2)
        back = _translation(-self.width / 2, -self.height / 2)
        return dataclasses.replace(self, matrix=self.matrix @ center @ full @ back)

    def crop(self, top: float, left: float, height: float, width: float) -> "Plan":
        """Cuts out a window, which may reach beyond the picture."""
        matrix = self.matrix @ _translation(left, top)
        return dataclasses.replace(self, height=height, width=width, matrix=matrix)

    def resize(self, height: int, width: int) -> "Plan":
        """Stretches the picture so far to a size."""
        scale = np.diag([self.width / width, self.height / height, 1.0])
        matrix = self.matrix @ scale
        return dataclasses.replace(self, height=height, width=width, matrix=matrix)

    def then(self, step: Callable[[Image.Image], Image.Image]) -> "Plan":
        """Adds a step on the pixels, merged into the last one where both can."""
        steps = self.steps
        if steps and hasattr(steps[-1], "merge"):
            merged = steps[-1].merge(step)
            if merged is not None:
                return dataclasses.replace(self, steps=(*steps[:-1], merged))
        return dataclasses.replace(self, steps=(*steps, step))

    def image(self, image: np.ndarray, fill=FILL) -> np.ndarray:
        """Applies the plan to a photo.

        Args:
            image: uint8 array of shape `(height, width, 3)`, of the size that the
                plan was made for.
            fill: RGB value of what lies beyond the photo.

        Returns:
            uint8 array of shape `(plan.height, plan.width, 3)`.
        """
        self._check_size("image", image)
        picture = self._resample(Image.fromarray(image), fill)
        for step in self.steps:
            picture = step(picture)
        return np.asarray(picture)

    def mask(self, mask: np.ndarray, fill: float = IGNORE_CLASS) -> np.ndarray:
        """Applies the geometry to a mask, or to a map of weights: nearest neighbour.

        Args:
            mask: uint8, int32 or float32 array of shape `(height, width)`.
            fill: Value of what lies beyond the mask. Defaults to `255`, ignored.

        Returns:
            Array of shape `(plan.height, plan.width)` and the dtype of `mask`.
        """
        self._check_size("mask", mask)
        picture = Image.fromarray(mask)
        nearest = Image.Resampling.NEAREST
        return np.asarray(self._transform(picture, self.matrix, nearest, fill))

    def _check_size(self, name, array):
        if array.shape[:2] != self.source:
            raise ValueError(
                f"`{name}` must have the height and width that the plan was made for, "
                f"{self.source}. Received: {name} of shape {array.shape}"
            )

    def _resample(self, picture, fill):
        """Resamples a photo, averaging over what falls into one pixel."""
        matrix = self.matrix
        bilinear = Image.Resampling.BILINEAR
        if matrix[0, 1] == matrix[1, 0] == 0:
            (x0, x1), (y0, y1) = self._window()
            left, right = min(x0, x1), max(x0, x1)
            top, bottom = min(y0, y1), max(y0, y1)
            if left >= 0 and top >= 0 and right <= picture.width and (
                bottom <= picture.height
            ):
                size = (int(self.width), int(self.height))
                picture = picture.resize(size, bilinear, (left, top, right, bottom))
                if x1 < x0:
                    picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
                if y1 < y0:
                    picture = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
                return picture
        # Bilinear sampling reads 2x2 pixels and would skip what lies between, so
        # blocks of as many pixels as there are to one pixel are averaged before.
        steps = np.hypot(matrix[:2, 0], matrix[:2, 1])
        factors = tuple(max(1, round(step)) for step in steps.tolist())
        if max(factors) > 1:
            box = self._bounds(picture, factors)
            picture = picture.reduce(factors, box)
            matrix = np.diag([1 / factors[0], 1 / factors[1], 1]) @ _translation(
                -box[0], -box[1]
            ) @ matrix
        return self._transform(picture, matrix, bilinear, fill)

    def _window(self):
        """Begin and end of the picture in x and in y of an axis-aligned sample."""
        m = self.matrix
        return (
            (m[0, 2], m[0, 0] * self.width + m[0, 2]),
            (m[1, 2], m[1, 1] * self.height + m[1, 2]),
        )

    def _bounds(self, picture, margin):
        """The box of the sample, in whole pixels, that the picture shows."""
        x, y = np.meshgrid([0, self.width], [0, self.height])
        corners = self.matrix @ np.stack([x.ravel(), y.ravel(), np.ones(4)])
        low, high = corners[:2].min(1), corners[:2].max(1)
        size = (picture.width, picture.height)
        box = [
            min(max(0, math.floor(v - 2 * m)), s - 1)
            for v, m, s in zip(low, margin, size, strict=True)
        ] + [
            max(min(s, math.ceil(v + 2 * m)), 1)
            for v, m, s in zip(high, margin, size, strict=True)
        ]
        return tuple(box)

    def _transform(self, picture, matrix, resample, fill):
        return picture.transform(
            (int(self.width), int(self.height)),
            Image.Transform.AFFINE,
            matrix[:2].ravel().tolist(),
            resample,
            fillcolor=fill,
        )


def _translation(x, y):
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])
