"""What will be done to one sample: geometry as one matrix, then steps on the pixels."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from PIL import Image

IGNORE_CLASS = 255
# The mean colour of ImageNet's photos. After the normalisation inside the net it is
# near zero, which is what its convolutions pad with, and unlike a mirrored edge it
# does not show a second person whom the mask leaves out.
FILL = (124, 116, 104)

_BILINEAR = Image.Resampling.BILINEAR
_NEAREST = Image.Resampling.NEAREST
_MASK_DTYPES = ("uint8", "int32", "float32")


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """The choices made for one sample, to be applied to anything of its size.

    Transforms extend a plan with `crop`, `turn`, `resize` and `then`; no pixel moves
    before `image` and `mask` are called, which resample once, however many steps the
    geometry has. One plan fits every picture of the same height and width: the
    frames of a clip, several masks, a map of weights.

    Attributes:
        source: Height and width of the sample.
        height: Height of the picture so far, in pixels of the sample until `resize`.
        width: Width of the picture so far.
        matrix: float64 array of shape `(3, 3)` that takes a point `(x, y, 1)` of the
            picture so far to the same point of the sample. Pixel `i` reaches from
            `i` to `i + 1`.
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

    def crop(self, top: float, left: float, height: float, width: float) -> "Plan":
        """Cuts out a window, which may reach beyond the picture."""
        matrix = self.matrix @ _translation(left, top)
        return dataclasses.replace(self, height=height, width=width, matrix=matrix)

    def turn(self, matrix: np.ndarray) -> "Plan":
        """Moves the picture about its centre, keeping its height and width.

        Args:
            matrix: Array of shape `(2, 2)` that takes a point of the new picture to
                where it was before, both relative to the centre, x first.
        """
        x, y = self.width / 2, self.height / 2
        about_origin = np.eye(3)
        about_origin[:2, :2] = matrix
        matrix = self.matrix @ _translation(x, y) @ about_origin @ _translation(-x, -y)
        return dataclasses.replace(self, matrix=matrix)

    def resize(self, height: int, width: int) -> "Plan":
        """Stretches the picture to a size."""
        scale = np.diag([self.width / width, self.height / height, 1.0])
        matrix = self.matrix @ scale
        return dataclasses.replace(self, height=height, width=width, matrix=matrix)

    def then(self, step: Callable[[Image.Image], Image.Image]) -> "Plan":
        """Adds a step on the pixels, merged into the last one where that can be.

        Args:
            step: Function of a PIL image of mode RGB to one of the same size and
                mode, without randomness. With a method `merge(step)`, it is asked
                for one step that does both; None keeps them apart.
        """
        steps = self.steps
        if steps and hasattr(steps[-1], "merge"):
            merged = steps[-1].merge(step)
            if merged is not None:
                return dataclasses.replace(self, steps=(*steps[:-1], merged))
        return dataclasses.replace(self, steps=(*steps, step))

    def image(self, image: np.ndarray, fill=FILL) -> np.ndarray:
        """Applies the plan to a photo.

        Args:
            image: uint8 array of shape `(height, width, 3)`.
            fill: RGB value of what lies beyond the photo. Defaults to a mean colour.

        Returns:
            uint8 array of shape `(plan.height, plan.width, 3)`.
        """
        self._check("image", image, image.dtype == "uint8" and image.shape[2:] == (3,))
        picture = self._resample(Image.fromarray(image), fill)
        for step in self.steps:
            picture = step(picture)
        return np.asarray(picture)

    def mask(self, mask: np.ndarray, fill: float = IGNORE_CLASS) -> np.ndarray:
        """Applies the geometry to a mask or a map of weights: nearest neighbour.

        Args:
            mask: uint8, int32 or float32 array of shape `(height, width)`.
            fill: Value of what lies beyond the photo. Defaults to `255`, ignored.

        Returns:
            Array of shape `(plan.height, plan.width)` and the dtype of `mask`.
        """
        self._check("mask", mask, mask.dtype in _MASK_DTYPES and mask.ndim == 2)
        picture = Image.fromarray(mask)
        return np.asarray(self._transform(picture, self.matrix, _NEAREST, fill))

    def _check(self, name, array, fits):
        if not fits or array.shape[:2] != self.source:
            dtypes, channels = {
                "image": ("uint8", ", 3"),
                "mask": ("uint8, int32 or float32", ""),
            }[name]
            height, width = self.source
            raise ValueError(
                f"`{name}` must be {dtypes} of the shape that the plan was made for, "
                f"({height}, {width}{channels}). "
                f"Received: {name} of {array.dtype} {array.shape}"
            )

    def _resample(self, picture, fill):
        """Resamples a photo, averaging over what falls into one pixel."""
        matrix = self.matrix
        if matrix[0, 1] == matrix[1, 0] == 0:
            window = self._window(picture)
            if window is not None:
                return self._resize(picture, window)
        # Bilinear sampling reads 2x2 pixels and would skip what lies between them, so
        # blocks of as many pixels as there are to one are averaged before.
        steps = np.hypot(matrix[:2, 0], matrix[:2, 1])
        factors = tuple(max(1, round(step)) for step in steps.tolist())
        if max(factors) > 1:
            box = self._bounds(picture, factors)
            picture = picture.reduce(factors, box)
            shrink = np.diag([1 / factors[0], 1 / factors[1], 1.0])
            matrix = shrink @ _translation(-box[0], -box[1]) @ matrix
        return self._transform(picture, matrix, _BILINEAR, fill)

    def _window(self, picture):
        """The box that an upright view shows, None where it is not inside the photo."""
        matrix = self.matrix
        x = (matrix[0, 2], matrix[0, 2] + matrix[0, 0] * self.width)
        y = (matrix[1, 2], matrix[1, 2] + matrix[1, 1] * self.height)
        box = np.array([min(x), min(y), max(x), max(y)])
        inside = np.clip(box, 0, [picture.width, picture.height] * 2)
        # The matrix products leave rounding errors at the borders.
        return inside if np.abs(box - inside).max() < 1e-6 else None

    def _resize(self, picture, window):
        picture = picture.resize(self._size(), _BILINEAR, tuple(window.tolist()))
        if self.matrix[0, 0] < 0:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.matrix[1, 1] < 0:
            picture = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        return picture

    def _bounds(self, picture, margins):
        """The box that the view shows, in whole pixels, with room for averaging."""
        x, y = np.meshgrid([0, self.width], [0, self.height])
        corners = self.matrix @ np.stack([x.ravel(), y.ravel(), np.ones(4)])
        low, high = [], []
        for values, size, margin in zip(corners, picture.size, margins, strict=False):
            low.append(min(max(math.floor(values.min()) - 2 * margin, 0), size - 1))
            high.append(max(min(math.ceil(values.max()) + 2 * margin, size), 1))
        return (*low, *high)

    def _transform(self, picture, matrix, resample, fill):
        affine = matrix[:2].ravel().tolist()
        method = Image.Transform.AFFINE
        return picture.transform(
            self._size(), method, affine, resample=resample, fillcolor=fill
        )

    def _size(self):
        return (round(self.width), round(self.height))


def _translation(x, y):
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])
