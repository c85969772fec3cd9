"""Any folder of images with a folder of masks."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kseg.data.datasets.dataset import Dataset
from kseg.data.datasets.inference import infer, infer_colors
from kseg.data.datasets.pairing import pair_files
from kseg.data.reading import read_mask, read_mask_colors
from kseg.files import as_path

# The last is what LabelMe's converter to PASCAL VOC writes.
_NAME_FILES = ("classes.json", "classes.txt", "class_names.txt")


class ImageFolder(Dataset):
    """Images and masks in two folders, paired by name, their meaning inferred.

    `images/street/0001.jpg` goes with `masks/street/0001.png`. All masks are read
    once to find out what their values mean, and `inferred` tells what was found:

    - 0 and 255 alone: a foreground mask, 255 becomes class 1
    - greyscale, 1-bit: the values are class ids
    - palette: the indices are class ids, the palette gives `colors`
    - 255 beside class ids: pixels to ignore
    - the highest id that occurs gives the number of classes

    Names come from `class_names`, else from `classes.json` (a list of names or an
    object id -> name) or `classes.txt` (a name per line; also `class_names.txt`) in
    the mask folder or beside it. What the masks leave open is an error that says how to settle it.

    Args:
        images: Folder of images; with `masks=None` a folder that holds `images` and
            `masks`.
        masks: Folder of masks in a lossless format.
        class_names: The name of each class id, counted from 0.
        ignore_class: The value of pixels to ignore in the mask files. It becomes 255
            in samples.
        colors: For masks painted in colours: mapping from RGB triple to class id, or
            to 255 for pixels to ignore.

    Attributes:
        inferred: Dict of what was inferred, for printing.

    Raises:
        ValueError: If images and masks do not pair up, a mask cannot be read, or
            the masks leave open what their values mean.
    """

    def __init__(
        self,
        images: str | Path,
        masks: str | Path | None = None,
        class_names: Sequence[str] | None = None,
        ignore_class: int = 255,
        colors: Mapping[tuple[int, int, int], int] | None = None,
    ):
        images = as_path(images, "images")
        if masks is None:
            images, masks = images / "images", images / "masks"
        masks = as_path(masks, "masks")
        items = pair_files(images, masks)
        folders = (masks, masks.parent)
        self._set_up(items, folders, class_names, ignore_class, colors)

    @classmethod
    def splits(
        cls,
        root: str | Path,
        folders: Mapping[str, tuple[str | Path, str | Path]],
        class_names: Sequence[str] | None = None,
        ignore_class: int = 255,
        colors: Mapping[tuple[int, int, int], int] | None = None,
    ) -> dict[str, "ImageFolder"]:
        """Opens the splits of one data set, the classes inferred from all of them.

        Args:
            root: Folder of the data set, searched for names of the classes, too.
            folders: The image folder and the mask folder of each split, below `root`.
            class_names: As for `ImageFolder`.
            ignore_class: As for `ImageFolder`.
            colors: As for `ImageFolder`.

        Returns:
            Dict with an `ImageFolder` per split.
        """
        root = as_path(root, "root")
        folders = {k: (root / i, root / m) for k, (i, m) in folders.items()}
        pairs = {name: pair_files(*two) for name, two in folders.items()}
        # Stems may recur from split to split, so the ids tell the split meanwhile.
        items = [(f"{n}/{i[0]}", *i[1:]) for n, split in pairs.items() for i in split]
        searched = [f for _, m in folders.values() for f in (m, m.parent)] + [root]
        whole = cls.__new__(cls)
        whole._set_up(items, searched, class_names, ignore_class, colors)
        return {name: whole._view(split) for name, split in pairs.items()}

    def _set_up(self, items, folders, class_names, ignore_class, colors):
        source = "class_names"
        if class_names is None:
            class_names, source = _find_class_names(folders)
        elif isinstance(class_names, str) or len(class_names) < 2:
            raise ValueError(
                "`class_names` must name every class id from 0 on, so at least two, as "
                "in `class_names=('background', 'person')`. "
                f"Received: class_names={class_names!r}"
            )
        if not isinstance(ignore_class, int) or ignore_class < 0:
            raise ValueError(
                "`ignore_class` must be an integer, 0 or more, of the mask files. "
                f"Received: ignore_class={ignore_class!r}"
            )
        if colors is None:
            meaning = infer([item[2] for item in items], class_names, ignore_class)
        else:
            meaning = infer_colors(colors, class_names)
        self._scaled = meaning.scaled
        self._stored_ignore = ignore_class
        self._class_of_color = colors
        self.inferred = {**meaning.report, "names from": source}
        super().__init__(items, meaning.class_names, meaning.colors)

    def read_mask(self, path: Path) -> np.ndarray:
        if self._class_of_color is not None:
            return _classes_of_colors(path, self._class_of_color)
        mask = read_mask(path)
        ids = (mask > 0).astype(np.uint8) if self._scaled else mask
        if self._stored_ignore != 255:
            ids[mask == self._stored_ignore] = self.ignore_class
        return ids


def _classes_of_colors(path, class_of_color):
    rgb = read_mask_colors(path).astype(np.int32)
    packed = rgb @ np.array([1 << 16, 1 << 8, 1], np.int32)
    mask = np.zeros(packed.shape, np.uint8)
    known = np.zeros(packed.shape, bool)
    for (red, green, blue), class_id in class_of_color.items():
        here = packed == (red << 16 | green << 8 | blue)
        mask[here] = class_id
        known |= here
    if not known.all():
        some = np.unique(rgb[~known], axis=0)[:4].tolist()
        raise ValueError(
            "`colors` must give the class of every colour in the masks. "
            f"Received: {str(path)!r} with {', '.join(str(tuple(c)) for c in some)} "
            f"beside colors={dict(class_of_color)}"
        )
    return mask


def _find_class_names(folders):
    for folder in folders:
        for file in (folder / name for name in _NAME_FILES):
            if file.is_file():
                return _read_class_names(file), str(file)
    return None, "the values of the masks"


def _read_class_names(file):
    expected = (
        "`classes.json` must be a list of names or an object {id: name} with the ids "
        "0, 1, 2, …, and `classes.txt` must hold a name per line; the first is the "
        "name of class 0, often the background. At least two are needed."
    )
    try:
        text = file.read_text(encoding="utf-8-sig")
        names = json.loads(text) if file.suffix == ".json" else text.split("\n")
    except ValueError as error:
        raise ValueError(f"{expected} Received: {str(file)!r} ({error})") from error
    if file.suffix == ".txt":
        names = [line.strip() for line in names if line.strip()]
    if isinstance(names, dict):
        ids = [str(i) for i in range(len(names))]
        names = [names[i] for i in ids] if set(names) == set(ids) else names
    valid = isinstance(names, list) and all(isinstance(n, str) for n in names)
    if not valid or len(names) < 2:
        raise ValueError(f"{expected} Received: {str(file)!r} with {names!r}")
    return names
