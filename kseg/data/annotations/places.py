"""Values of an export that know their place in it, so that every error names it."""

import dataclasses
import itertools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

_PAIRS = re.compile("[^,;]*,[^,;]*(?:;[^,;]*,[^,;]*)*")
_FARTHEST = 1 << 24  # pixels; beyond, float64 arithmetic on areas loses pixels


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a value stands, such as `photo1.json: shapes[3].points[0]`."""

    file: str
    path: str = ""

    def at(self, key: str | int) -> "Place":
        """Returns the place of a member or of an element."""
        if isinstance(key, int):
            return Place(self.file, f"{self.path}[{key}]")
        if not key.isidentifier():
            return Place(self.file, f"{self.path}[{key!r}]")
        return Place(self.file, f"{self.path}.{key}" if self.path else key)

    def error(self, expected: str, *received: Any) -> ValueError:
        """Returns the error that the value here is not what is expected."""
        text = f"{self}: {expected}"
        if received:
            shown = repr(received[0])
            text += f" Received: {shown[:77] + '…' if len(shown) > 78 else shown}"
        return ValueError(text)

    def __str__(self):
        return f"{self.file}: {self.path}" if self.path else self.file


class Node:
    """A value of a JSON document with its place."""

    __slots__ = ("place", "value")

    def __init__(self, value: Any, place: Place):
        self.value = value
        self.place = place

    def get(self, key: str) -> "Node | None":
        """The member of an object; `None` if it is absent or null."""
        if not isinstance(self.value, dict):
            raise self.place.error("This must be an object.", self.value)
        value = self.value.get(key)
        return None if value is None else Node(value, self.place.at(key))

    def __getitem__(self, key: str) -> "Node":
        node = self.get(key)
        if node is None:
            raise self.place.error(f"`{key}` must be given here.")
        return node

    def members(self) -> "Iterator[tuple[str, Node]]":
        """The names and values of an object."""
        if not isinstance(self.value, dict):
            raise self.place.error("This must be an object.", self.value)
        for key, value in self.value.items():
            yield key, Node(value, self.place.at(key))

    def elements(self) -> "Iterator[Node]":
        """The elements of an array."""
        if not isinstance(self.value, list):
            raise self.place.error("This must be an array.", self.value)
        for index, value in enumerate(self.value):
            yield Node(value, self.place.at(index))

    def text(self) -> str:
        """The value as a string."""
        if not isinstance(self.value, str):
            raise self.place.error("This must be a string.", self.value)
        return self.value

    def number(self) -> float:
        """The value as a finite number that can be a coordinate."""
        return as_number(self.value, self.place)

    def size(self) -> int:
        """The value as the height or width of a picture."""
        return as_size(self.value, self.place)

    def points(self, least: int = 1) -> np.ndarray:
        """The value, an array of pairs, as float64 `(points, 2)`."""
        return as_points(self.value, self.place, least)

    def flat_points(self, least: int = 1) -> np.ndarray:
        """The value, an array x0, y0, x1, y1, …, as float64 `(points, 2)`."""
        values = self.value
        if not isinstance(values, list) or len(values) % 2:
            raise self.place.error("This must be an array x0, y0, x1, y1, …", values)
        pairs = list(zip(values[::2], values[1::2], strict=True))
        return as_points(pairs, self.place, least)


class Table(Node):
    """The rows of a CSV file, lists of texts."""


class Element:
    """An element of an XML document with its place."""

    __slots__ = ("place", "tag", "xml")

    def __init__(self, xml, place: Place):
        self.xml = xml
        self.tag = xml.tag
        self.place = place

    def children(self) -> "Iterator[Element]":
        """The elements inside, each tag counted from 0."""
        seen: dict[str, int] = {}
        for child in self.xml:
            index = seen.get(child.tag, 0)
            seen[child.tag] = index + 1
            yield Element(child, self.place.at(child.tag).at(index))

    def text(self, tag: str) -> str | None:
        """The stripped text of the first element of this tag; `None` if absent."""
        child = self.xml.find(tag)
        return None if child is None else (child.text or "").strip()

    def get(self, name: str) -> str:
        """The value of an attribute."""
        value = self.xml.get(name)
        if value is None:
            raise self.place.error(f"The attribute `{name}` must be given here.")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """The value of an attribute as a finite number."""
        if default is not None and self.xml.get(name) is None:
            return default
        return parse_number(self.get(name), self.place.at(name))

    def integer(self, name: str, default: int | None = None) -> int:
        """The value of an attribute as an integer."""
        number = self.number(name, default)
        if number != int(number):
            raise self.place.at(name).error("This must be an integer.", self.get(name))
        return int(number)

    def size(self, name: str) -> int:
        """The value of an attribute as the height or width of a picture."""
        return as_size(self.integer(name), self.place.at(name))

    def points(self, least: int = 1) -> np.ndarray:
        """The attribute `points`, `x,y;x,y;…`, as float64 `(points, 2)`."""
        place, text = self.place.at("points"), self.get("points")
        try:
            if not _PAIRS.fullmatch(text):
                raise ValueError
            numbers = np.array(text.replace(";", ",").split(","), np.float64)
            points = numbers.reshape(-1, 2)
        except ValueError:
            pairs = [pair.split(",") for pair in text.split(";")]
            points = np.array(
                [_parse_pair(p, place.at(i)) for i, p in enumerate(pairs)]
            )
        return _checked(points, place, least)


def parse_number(text: str, place: Place) -> float:
    """Returns the finite number that a text holds."""
    try:
        number = float(text)
    except ValueError:
        raise place.error("This must be a number.", text) from None
    return as_number(number, place)


def as_number(value: Any, place: Place) -> float:
    """Returns a number that can be a coordinate: finite, at most 2^24 from 0."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise place.error("This must be a number.", value)
    if not abs(value) <= _FARTHEST:
        raise place.error("This must be a finite number from -2^24 to 2^24.", value)
    return float(value)


def as_size(value: Any, place: Place) -> int:
    """Returns a positive integer, the height or width of a picture."""
    number = as_number(value, place)
    if number != int(number) or number < 1:
        raise place.error("A size must be a positive integer.", value)
    return int(number)


def as_points(values: Any, place: Place, least: int) -> np.ndarray:
    """Returns an array of pairs as float64 `(points, 2)`, checked."""
    if not isinstance(values, list):
        raise place.error("This must be an array of points.", values)
    try:
        points = np.array(values)
    except ValueError:  # the pairs are not all pairs
        points = np.empty(0, object)
    numbers = points.dtype.kind in "iuf" and points.shape == (len(values), 2)
    # NumPy takes true and false for numbers.
    if not numbers or bool in set(map(type, itertools.chain.from_iterable(values))):
        points = np.array([_pair(p, place.at(i)) for i, p in enumerate(values)])
    return _checked(points.astype(np.float64), place, least)


def _checked(points, place, least):
    wrong = ~(np.abs(points) <= _FARTHEST)
    if wrong.any():
        index = int(np.flatnonzero(wrong.any(axis=1))[0])
        raise place.at(index).error(
            "A point must be two finite numbers from -2^24 to 2^24.",
            points[index].tolist(),
        )
    if len(points) < least:
        raise place.error(f"There must be at least {least} points.", points.tolist())
    return points


def _pair(value, place):
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise place.error("A point must be two numbers.", value)
    return [as_number(number, place) for number in value]


def _parse_pair(texts, place):
    if len(texts) != 2:
        raise place.error("A point must be two numbers x,y.", ",".join(texts))
    return [parse_number(text, place) for text in texts]
