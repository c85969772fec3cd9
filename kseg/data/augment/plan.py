"""What will be done to one sample: geometry as one map, then steps on the pixels."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
from PIL import Image

from kseg.data.augment.resampling import find_window, resample, resize, translation

IGNORE_CLASS = 255
# The mean colour of ImageNet's photos. After the normalisation inside the net it is
# near zero, which is what its convolutions pad with, and unlike a mirrored edge it
# does not show a second person whom the mask leaves out.
FILL = (124, 116, 104)

_NO_FIELD = np.empty((0, 0, 2))
# Name of an argument -> its dtypes and what follows height and width in its shape.
_FITS = {
    "image": (("uint8",), (3,)),
    "mask": (("uint8", "int32", "float32"), ()),
    "weights": (("float32",), ()),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """The choices made for one sample, to be applied to anything of its size.

    Transforms extend a plan with `crop`, `turn`, `project`, `displace`, `resize` and
    `then`; no pixel moves before `image`, `mask` or `weights` is called, which resample
    once, however many steps the geometry has. One plan fits every picture of the same
    height and width: the frames of a clip, several masks, maps of weights.

    Attributes:
        source: Height and width of the sample.
        height: Height of the picture so far, in pixels of the sample until `resize`.
        width: Width of the picture so far.
        matrix: float64 array of shape `(3, 3)` that takes a point `(x, y, 1)` of the
            picture so far to the same point of the sample, or of the picture as it was
            at the last call of `displace`. Pixel `i` reaches from `i` to `i + 1`.
        steps: Functions of an image to an image, applied after the geometry.
        truth: Mask of the sample, or None, for transforms that look where a class is.
        bends: What `displace` was called for, first to last: for each call the matrix,
            the coefficients, and the height and width at that time.
    """

    source: tuple[int, int]
    height: float
    width: float
    matrix: np.ndarray
    steps: tuple[Callable[[np.ndarray], np.ndarray], ...] = ()
    truth: np.ndarray | None = None
    bends: tuple = ()

    @classmethod
    def of(cls, height: int, width: int, truth: np.ndarray | None = None) -> "Plan":
        """Returns the plan that changes nothing."""
        return cls((height, width), height, width, np.eye(3), truth=truth)

    def crop(self, top: float, left: float, height: float, width: float) -> "Plan":
        """Cuts out a window, which may reach beyond the picture."""
        matrix = self.matrix @ translation(left, top)
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
        return self.project(translation(x, y) @ about_origin @ translation(-x, -y))

    def project(self, matrix: np.ndarray) -> "Plan":
        """Moves the picture by a projective map, keeping its height and width.

        Args:
            matrix: Array of shape `(3, 3)` that takes a point `(x, y, 1)` of the new
                picture to a multiple of `(x, y, 1)` where it was before.
        """
        return dataclasses.replace(self, matrix=self.matrix @ matrix)

    def displace(self, displacements: np.ndarray) -> "Plan":
        """Bends the picture: bicubic interpolation of displacements on a grid.

        Args:
            displacements: Array of shape `(rows, columns, 2)`, at least 2 x 2: how far
                the points of a regular grid move, in pixels and x first, from the new
                picture to where they were before. The outer points of the grid lie on
                the border of the picture.
        """
        from scipy.interpolate import CubicSpline

        rows, columns = (
            CubicSpline(np.arange(n), np.eye(n), bc_type="clamped").c
            for n in displacements.shape[:2]
        )
        patches = np.einsum("myi,nxj,ija->yxmna", rows, columns, displacements)
        bend = (self.matrix, np.ascontiguousarray(patches), self.height, self.width)
        return dataclasses.replace(self, matrix=np.eye(3), bends=(*self.bends, bend))

    def resize(self, height: int, width: int) -> "Plan":
        """Stretches the picture to a size."""
        scale = np.diag([self.width / width, self.height / height, 1.0])
        matrix = self.matrix @ scale
        return dataclasses.replace(self, height=height, width=width, matrix=matrix)

    def then(self, step: Callable[[np.ndarray], np.ndarray]) -> "Plan":
        """Adds a step on the pixels, merged into the last one where that can be.

        Args:
            step: Function of a uint8 image of shape `(height, width, 3)` to another of
                the same size, without randomness. With a method `merge(step)`, it is
                asked for one step that does both; None keeps them apart. With a method
                `bind(plan, truth)`, it is asked for the function when the plan is
                whole, with the mask of the image.
        """
        steps = self.steps
        if steps and hasattr(steps[-1], "merge"):
            merged = steps[-1].merge(step)
            if merged is not None:
                return dataclasses.replace(self, steps=(*steps[:-1], merged))
        return dataclasses.replace(self, steps=(*steps, step))

    def image(self, image: np.ndarray, fill=FILL, truth=None) -> np.ndarray:
        """Applies the plan to a photo: bilinear, averaging where it shrinks.

        Args:
            image: uint8 array of shape `(height, width, 3)`.
            fill: RGB value of what lies beyond the photo. Defaults to a mean colour.
            truth: Mask of this image, where it is another than the plan's.

        Returns:
            uint8 array of shape `(plan.height, plan.width, 3)`.
        """
        self._check("image", image)
        image = resample(self, image, "resample_image", np.array(fill, "uint8"))
        truth = self.truth if truth is None else truth
        for step in self.steps:
            step = step.bind(self, truth) if hasattr(step, "bind") else step
            image = step(image)
        return image

    def mask(self, mask: np.ndarray, fill: float = IGNORE_CLASS) -> np.ndarray:
        """Applies the geometry to a mask: nearest neighbour, which invents no value.

        Args:
            mask: uint8, int32 or float32 array of shape `(height, width)`.
            fill: Value of what lies beyond the photo. Defaults to `255`, ignored.

        Returns:
            Array of shape `(plan.height, plan.width)` and the dtype of `mask`.
        """
        from kseg.data.augment import sampling

        self._check("mask", mask)
        window = find_window(self)
        if window is not None:
            return resize(self, mask, window, Image.Resampling.NEAREST)
        result = np.empty(self.size, mask.dtype)
        fill = np.array(fill, mask.dtype)
        source, target = mask, result
        if mask.dtype == "float32":  # whose bytes are moved as they are
            source, fill, target = (a.view("int32") for a in (mask, fill, result))
        kernel = sampling.resample_mask
        kernel(source, self.matrix, self.field, fill[()], target)
        return result

    def weights(self, weights: np.ndarray, fill: float = 0.0) -> np.ndarray:
        """Applies the geometry to a map of weights: bilinear, averaging as `image`.

        Weights that only make sense as they are, such as zeros that leave pixels out,
        go through `mask(weights, fill=0)`.

        Args:
            weights: float32 array of shape `(height, width)`.
            fill: Value of what lies beyond the photo.

        Returns:
            float32 array of shape `(plan.height, plan.width)`.
        """
        self._check("weights", weights)
        return resample(self, weights, "resample_weights", np.float32(fill))

    def locate(self, points: np.ndarray) -> np.ndarray:
        """Returns the points `(x, y)` of the sample that the plan's picture shows.

        Args:
            points: Array of shape `(points, 2)`: places in the picture, x first.
        """
        field = np.array(points, "float64")[None]
        if self.bends:
            self._follow(field)
            return field[0]
        points = np.insert(field[0], 2, 1.0, axis=1) @ self.matrix.T
        return points[:, :2] / points[:, 2:]

    def _check(self, name, array):
        dtypes, rest = _FITS[name]
        if array.dtype not in dtypes or array.shape != (*self.source, *rest):
            shape = (*self.source, *rest)
            raise ValueError(
                f"`{name}` must be {' or '.join(dtypes)} of the shape that the plan "
                f"was made for, {shape}. "
                f"Received: {name} of {array.dtype} {array.shape}"
            )

    @functools.cached_property
    def field(self) -> np.ndarray:
        """The point of the sample for each pixel; empty where `matrix` says it."""
        if not self.bends:
            return _NO_FIELD
        from kseg.data.augment import fields

        field = np.empty((*self.size, 2))
        fields.pixel_centers(field)
        self._follow(field)
        return field

    def _follow(self, field):
        from kseg.data.augment import fields

        fields.project(field, self.matrix)
        for matrix, patches, height, width in reversed(self.bends):
            fields.displace(field, patches, height, width)
            fields.project(field, matrix)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the result in whole pixels."""
        return (round(self.height), round(self.width))
