"""What every data set is: a sequence of samples, read when they are asked for."""

import copy
import dataclasses
import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from kseg.data.reading import read_image, read_mask, read_orientation
from kseg.plot import palette

_MOST_COLORS = 1000  # that `palette` tells apart


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """One picture with its mask.

    Attributes:
        image: uint8 array of shape `(height, width, 3)`, RGB.
        mask: uint8 or int32 array of shape `(height, width)`: class ids, and 255
            for pixels to ignore.
        id: Name of the sample, unique in its data set.
    """

    image: np.ndarray
    mask: np.ndarray
    id: str


class Dataset(Sequence):
    """A sequence of `Sample`, each read from its files at the moment of access.

    `dataset[3]` reads one sample; `dataset[2:10]` and `dataset.take(ids)` are data
    sets again and read nothing. A subclass lists its files and overrides
    `read_mask` where a mask file is more than class ids.

    Args:
        items: Tuples `(id, image path, mask path)`, the ids unique.
        class_names: The name of each class id, counted from 0.
        colors: One RGB triple per class, for pictures of masks. Defaults to the
            colours of `kseg.plot.palette`, where class 0 is black.

    Attributes:
        ids: Tuple of the sample ids, in order.
        class_names: Tuple of names, one per class id.
        colors: Tuple of RGB triples, one per class id.
        num_classes: What the model for this data set is built with.
        ignore_class: 255, the mask value of pixels to ignore.

    Raises:
        ValueError: On access, if a file is damaged or the mask has another size
            than its image.
    """

    ignore_class = 255

    def __init__(
        self,
        items: Iterable[tuple[str, str | Path, str | Path]],
        class_names: Sequence[str],
        colors: Sequence[tuple[int, int, int]] | None = None,
    ):
        self._set_items((id, Path(image), Path(mask)) for id, image, mask in items)
        twice = [id for id, count in Counter(self.ids).items() if count > 1]
        if twice:
            raise ValueError(
                f"`items` must have unique ids. Received more than once: {twice[:10]}"
            )
        self.class_names = tuple(class_names)
        if colors is None:
            colors = default_colors(len(self.class_names))
        self.colors = tuple(tuple(color) for color in colors)
        if len(self.colors) != len(self.class_names):
            raise ValueError(
                "`colors` must hold one RGB triple per class. Received: "
                f"{len(self.colors)} colors, class_names={self.class_names}"
            )

    @property
    def num_classes(self) -> int:
        """1 if the classes are "background" and one more, else their number.

        A net for one class gives the probability of the foreground, so background
        is no output of its own.
        """
        names = self.class_names
        return 1 if len(names) == 2 and names[0] == "background" else len(names)

    def paths(self, index: int) -> tuple[Path, Path]:
        """Returns the image file and the mask file of a sample."""
        return self._items[index][1:]

    def take(self, ids: Iterable[str]) -> "Dataset":
        """Returns the data set of the samples with these ids, in this order."""
        ids = list(ids)
        by_id = {item[0]: item for item in self._items}
        unknown = [id for id in ids if id not in by_id]
        if unknown or len(set(ids)) != len(ids):
            raise ValueError(
                "`ids` must be different ids of this data set, such as "
                f"{', '.join(self.ids[:3])}. Received: "
                + (f"unknown {unknown[:10]}" if unknown else f"ids={ids[:10]}")
            )
        return self._view(by_id[id] for id in ids)

    def read_mask(self, path: Path) -> np.ndarray:
        """Reads a mask file as class ids of shape `(height, width)`."""
        return read_mask(path)

    def read_sample(self, id: str, image_path: Path, mask_path: Path) -> Sample:
        """Reads one sample; data sets whose files hold many override it."""
        image, mask = read_image(image_path), self.read_mask(mask_path)
        if image.shape[:2] != mask.shape:
            _refuse_sizes(image_path, image.shape[:2], mask_path, mask.shape)
        return Sample(image=image, mask=mask, id=id)

    def __len__(self):
        return len(self._items)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self._view(self._items[index])
        if not hasattr(index, "__index__"):
            raise TypeError(
                "`index` must be an integer or a slice; samples are taken by id with "
                f"`dataset.take([id])`. Received: index={index!r}"
            )
        return self.read_sample(*self._items[operator.index(index)])

    def __repr__(self):
        return (
            f"<{type(self).__name__}: {len(self)} samples, "
            f"{len(self.class_names)} classes>"
        )

    def _view(self, items):
        view = copy.copy(self)
        view._set_items(items)
        return view

    def _set_items(self, items):
        self._items = tuple(items)
        self.ids = tuple(item[0] for item in self._items)


def _refuse_sizes(image_path, image_size, mask_path, mask_size):
    hint = ""
    if image_size == mask_size[::-1] and read_orientation(image_path) >= 5:
        hint = (
            " The mask fits the photo as stored, before its EXIF orientation turns "
            "it upright: turn the mask too, or store the photo upright."
        )
    raise ValueError(
        "A mask must have the size (height, width) of its image. "
        f"Received: image={str(image_path)!r} of {image_size}, "
        f"mask={str(mask_path)!r} of {mask_size}.{hint}"
    )


def default_colors(num_classes: int) -> tuple[tuple[int, int, int], ...]:
    """The colours of `kseg.plot.palette`, black first; from the 1001st on, once more."""
    colors = palette(min(num_classes, _MOST_COLORS))
    again = (1 + i % (_MOST_COLORS - 1) for i in range(num_classes - _MOST_COLORS))
    return colors + tuple(colors[i] for i in again)
