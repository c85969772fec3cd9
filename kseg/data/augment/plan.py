"""What will be done to one sample: geometry as one map, then steps on the pixels."""

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np
from PIL import Image

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
        return self.project(_translation(x, y) @ about_origin @ _translation(-x, -y))

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
        image = self._resample(image, "resample_image", np.array(fill, "uint8"))
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
        window = self._window()
        if window is not None:
            return self._resize(mask, window, Image.Resampling.NEAREST)
        result = np.empty(self._size(), mask.dtype)
        fill = mask.dtype.type(fill)
        sampling.resample_mask(mask, self.matrix, self._field, fill, result)
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
        return self._resample(weights, "resample_weights", np.float32(fill))

    def locate(self, points: np.ndarray) -> np.ndarray:
        """Returns the points `(x, y)` of the sample that the plan's picture shows.

        Args:
            points: Array of shape `(points, 2)`: places in the picture, x first.
        """
        from kseg.data.augment import sampling

        field = np.array(points, "float64")[None]
        self._follow(field, sampling)
        return field[0]

    def _check(self, name, array):
        dtypes, rest = _FITS[name]
        if array.dtype not in dtypes or array.shape != (*self.source, *rest):
            shape = (*self.source, *rest)
            raise ValueError(
                f"`{name}` must be {' or '.join(dtypes)} of the shape that the plan "
                f"was made for, {shape}. "
                f"Received: {name} of {array.dtype} {array.shape}"
            )

    def _resample(self, array, kernel, fill):
        from kseg.data.augment import sampling

        matrix, field = self.matrix, self._field
        window = self._window()
        if window is not None:
            return self._resize(array, window, Image.Resampling.BILINEAR)
        # Bilinear sampling reads 2x2 pixels and would skip what lies between them, so
        # blocks of as many pixels as there are to one are averaged before.
        factors = self._factors()
        left, top, right, bottom = self._bounds(factors)
        shift = _translation(-left, -top)
        if max(factors) > 1:
            picture = Image.fromarray(np.ascontiguousarray(array))
            array = np.asarray(picture.reduce(factors, (left, top, right, bottom)))
            shift = np.diag([1 / factors[0], 1 / factors[1], 1.0]) @ shift
        else:
            array = array[top:bottom, left:right]
        if self.bends:
            field = field.copy()
            sampling.project(field, shift)
        result = np.empty((*self._size(), *array.shape[2:]), array.dtype)
        getattr(sampling, kernel)(array, shift @ matrix, field, fill, result)
        return result

    @functools.cached_property
    def _field(self):
        """The point of the sample for each pixel; empty where one matrix says it."""
        if not self.bends:
            return _NO_FIELD
        from kseg.data.augment import sampling

        field = np.empty((*self._size(), 2))
        sampling.pixel_centers(field)
        self._follow(field, sampling)
        return field

    def _follow(self, field, sampling):
        sampling.project(field, self.matrix)
        for matrix, patches, height, width in reversed(self.bends):
            sampling.displace(field, patches, height, width)
            sampling.project(field, matrix)

    def _factors(self):
        """How many pixels of the sample, across and down, there are to one."""
        x, y = self.width / 2, self.height / 2
        ends = [[x - 0.5, y], [x + 0.5, y], [x, y - 0.5], [x, y + 0.5]]
        left, right, above, below = self.locate(ends)
        steps = np.hypot(*(right - left)), np.hypot(*(below - above))
        return tuple(min(max(1, round(step)), 10_000) for step in steps)

    def _window(self):
        """The box that an upright view shows; None for others and beyond the photo."""
        matrix = self.matrix
        tilted = np.any(matrix[[0, 1, 2, 2], [1, 0, 0, 1]])
        if tilted or matrix[2, 2] != 1 or self.bends:
            return None
        x = (matrix[0, 2], matrix[0, 2] + matrix[0, 0] * self.width)
        y = (matrix[1, 2], matrix[1, 2] + matrix[1, 1] * self.height)
        box = np.array([min(x), min(y), max(x), max(y)])
        inside = np.clip(box, 0, [*self.source[::-1]] * 2)
        # The matrix products leave rounding errors at the borders.
        return inside if np.abs(box - inside).max() < 1e-6 else None

    def _resize(self, array, window, filter):
        picture = Image.fromarray(np.ascontiguousarray(array))
        size, box = self._size()[::-1], tuple(window.tolist())
        picture = picture.resize(size, filter, box)
        if self.matrix[0, 0] < 0:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.matrix[1, 1] < 0:
            picture = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        return np.asarray(picture)

    def _bounds(self, margins):
        """The box that the view shows, in whole pixels, with room for averaging."""
        if self.bends:
            points = self._field.reshape(-1, 2)
        else:
            x, y = np.meshgrid([0, self.width], [0, self.height])
            points = np.stack([x.ravel(), y.ravel(), np.ones(4)], -1) @ self.matrix.T
            # A view that reaches beyond the horizon may show any part of the photo.
            everything = [[0.0, 0.0], self.source[::-1]]
            beyond = points[:, 2].min() <= 0
            points = everything if beyond else points[:, :2] / points[:, 2:]
        low, high = [], []
        for values, size, margin in zip(
            np.transpose(points), self.source[::-1], margins, strict=True
        ):
            low.append(min(max(math.floor(values.min()) - 2 * margin, 0), size - 1))
            high.append(max(min(math.ceil(values.max()) + 2 * margin, size), 1))
        return (*low, *high)

    def _size(self):
        return (round(self.height), round(self.width))


def _translation(x, y):
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])
