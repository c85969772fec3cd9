"""What the exports of all tools are read into: pictures with shapes."""

import dataclasses
import io
import math
from collections import Counter
from collections.abc import Callable, Hashable

import numpy as np
from PIL import Image

from kseg.data.annotations import rasterizing
from kseg.data.annotations.places import Place
from kseg.data.annotations.rasterizing import Window
from kseg.data.annotations.runs import decode_runs


@dataclasses.dataclass(frozen=True, eq=False)
class Polygon:
    """The area inside closed rings `(points, 2)`; two rings deep is a hole."""

    rings: tuple[np.ndarray, ...]

    def fill(self, height: int, width: int, line_width: float) -> Window:
        return rasterizing.fill_polygon(self.rings, height, width)


@dataclasses.dataclass(frozen=True, eq=False)
class Box:
    """A rectangle, turned clockwise about its middle by `angle` radians."""

    left: float
    top: float
    right: float
    bottom: float
    angle: float = 0.0

    def fill(self, height: int, width: int, line_width: float) -> Window:
        x, y = (self.left, self.right), (self.top, self.bottom)
        corners = np.array([(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])])
        if self.angle:
            middle = corners.mean(axis=0)
            cos, sin = math.cos(self.angle), math.sin(self.angle)
            corners = (corners - middle) @ np.array([(cos, sin), (-sin, cos)]) + middle
        return rasterizing.fill_polygon((corners,), height, width)


@dataclasses.dataclass(frozen=True, eq=False)
class Ellipse:
    """An ellipse, turned clockwise by `angle` radians."""

    center: tuple[float, float]
    radii: tuple[float, float]
    angle: float = 0.0

    def fill(self, height: int, width: int, line_width: float) -> Window:
        return rasterizing.fill_ellipse(
            self.center, self.radii, self.angle, height, width
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Stroke:
    """A line through points `(points, 2)`; one point alone is a disc."""

    points: np.ndarray

    def fill(self, height: int, width: int, line_width: float) -> Window:
        return rasterizing.fill_stroke(self.points, line_width, height, width)


@dataclasses.dataclass(frozen=True, eq=False)
class Runs:
    """A bitmap as run lengths, expanded when it is drawn."""

    counts: np.ndarray
    top: int
    left: int
    height: int
    width: int
    order: str

    def fill(self, height: int, width: int, line_width: float) -> Window:
        _check_window((self.height, self.width), (height, width))
        inside = decode_runs(self.counts, self.height, self.width, self.order)
        return rasterizing.fill_bitmap(inside, self.top, self.left, height, width)


@dataclasses.dataclass(frozen=True, eq=False)
class Bitmap:
    """A bitmap as a picture file, decoded when it is drawn; 0 is outside.

    Attributes:
        content: The file.
        place: Where it came from, for messages.
        top: Row of its upper left pixel.
        left: Column of its upper left pixel.
        size: Height and width it must have; `None` if those of the picture.
    """

    content: Callable[[], bytes]
    place: Place
    top: int = 0
    left: int = 0
    size: tuple[int, int] | None = None

    def fill(self, height: int, width: int, line_width: float) -> Window:
        expected = (height, width) if self.size is None else self.size
        _check_window(expected, (height, width))
        try:
            with Image.open(io.BytesIO(self.content())) as image:
                if image.size[::-1] != expected:
                    raise ValueError(f"its size is {image.size[::-1]}, not {expected}")
                if image.format != "PNG":
                    raise ValueError(f"its format is {image.format}, not PNG")
                inside = _opaque(image)
        except MemoryError:
            raise
        except Exception as error:  # decoders raise OSError, SyntaxError, …
            raise self.place.error(f"This must be a PNG mask: {error}.") from error
        return rasterizing.fill_bitmap(inside, self.top, self.left, height, width)


@dataclasses.dataclass(frozen=True, eq=False)
class MaskFile:
    """A bitmap in a file of its own; it becomes a `Bitmap` when the file is found."""

    name: str
    place: Place


Part = Polygon | Box | Ellipse | Stroke | Runs | Bitmap | MaskFile


@dataclasses.dataclass(frozen=True, eq=False)
class Shape:
    """An annotated object.

    Attributes:
        label: Its class, as the tool wrote it but for blanks around it.
        parts: What it covers; several parts are joined.
        place: Where it stands, for messages.
        z_order: The higher covers the lower; among equals the later the earlier.
        group: Shapes of one picture with the same label and group are one instance.
        number: Number of the instance, where it is the same in all pictures (tracks).
        crowd: Whether it is several objects that are not told apart.
    """

    label: str
    parts: tuple[Part, ...]
    place: Place
    z_order: int = 0
    group: Hashable = None
    number: int | None = None
    crowd: bool = False


@dataclasses.dataclass(eq=False)
class Picture:
    """A picture with its shapes.

    Attributes:
        names: What the photo may be called, best first, as written in the export.
        place: Where the name stands, for messages.
        size: Height and width, where the export states them.
        shapes: The shapes in the order of the export.
        frame: Number of a video frame: it is found by the digits of its name.
        subset: Name of the subset, a folder in which the photo may lie.
        embedded: Whether the export itself holds the photo.
    """

    names: tuple[str, ...]
    place: Place
    size: tuple[int, int] | None
    shapes: list[Shape] = dataclasses.field(default_factory=list)
    frame: int | None = None
    subset: str | None = None
    embedded: bool = False


@dataclasses.dataclass(eq=False)
class Export:
    """What one file of a tool holds.

    Attributes:
        pictures: The pictures, with or without shapes.
        labels: Labels that the file declares, used or not.
        left_out: Counts of what has no area, by kind.
    """

    pictures: list[Picture]
    labels: tuple[str, ...] = ()
    left_out: Counter = dataclasses.field(default_factory=Counter)


def _check_window(size, picture):
    """Refuses, before memory is asked for, what is no part of a picture."""
    if size[0] > picture[0] or size[1] > picture[1]:
        raise ValueError(
            "A mask must be no larger than its picture. "
            f"Received: mask of {size}, picture of {picture}"
        )


def _opaque(image):
    """Which pixels of a mask are inside; transparent ones are not."""
    if image.mode in ("RGBA", "LA"):
        return np.asarray(image.getchannel("A")) > 0
    values = np.asarray(image)
    return values.any(axis=-1) if values.ndim == 3 else values > 0
