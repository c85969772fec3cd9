"""Finds the files that an export names, and never one outside the given folders."""

import os
import re
from collections import defaultdict
from pathlib import Path

from PIL import Image

from kseg.data.annotations.places import Place
from kseg.data.annotations.shapes import Picture
from kseg.data.reading import read_orientation

# What `kseg.data.datasets.ImageFolder` takes for a picture.
PICTURES = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"),
    *(".avif", ".heic", ".heif", ".jp2"),
)


class Photos:
    """The picture files below some folders.

    A name is first taken as a path, relative to the file that holds it or to one of the
    folders; then the file of that name anywhere below the folders is taken, if there is
    one only. Names may be absolute, of Windows, or lead up by `..`: a file outside the
    folders is never found by them, nor through a link.

    Args:
        folders: The folders, which may overlap.
    """

    def __init__(self, folders: list[Path]):
        self._folders = list(dict.fromkeys(folder.resolve() for folder in folders))
        self._by_name = defaultdict(set)
        self._by_stem = defaultdict(set)
        self._by_frame = defaultdict(set)
        for root in self._folders:
            for folder, folders_below, files in os.walk(root):
                folders_below[:] = [f for f in folders_below if not f.startswith(".")]
                for file in files:
                    if file.lower().endswith(PICTURES) and not file.startswith("."):
                        self._add(Path(folder, file))

    def find(self, picture: Picture, near: Path) -> Path | None:
        """Returns the photo of a picture; `None` if there is none.

        Args:
            picture: The picture.
            near: Folder of the file that names it.
        """
        for name in picture.names:
            found = self.find_name(name, picture.place, near, picture.subset)
            if found is not None:
                return found
        if picture.frame is None:
            return None
        return self._only(self._by_frame[picture.frame], picture.place, picture.frame)

    def find_name(
        self, name: str, place: Place, near: Path, subset: str | None = None
    ) -> Path | None:
        """Returns the file of this name; `None` if there is none."""
        parts = [part for part in re.split(r"[\\/]", name) if part]
        if not parts or "\0" in name:
            raise place.error("This must be the name of a file.", name)
        below = [*(["images"] if subset is None else [f"images/{subset}", subset])]
        bases = [near, *self._folders]
        bases += [folder / b for b in [*below, "images"] for folder in self._folders]
        if subset is not None:  # the same name may lie in every subset
            bases = [*bases[1 + len(self._folders) :], *bases[: 1 + len(self._folders)]]
        for base in bases:
            for path in (base / name, base.joinpath(*parts)):
                if self._is_ours(path):
                    return path.resolve()
        last = parts[-1]
        of_stem = set() if last.lower().endswith(PICTURES) else self._by_stem[last]
        return self._only(self._by_name[last] or of_stem, place, name)

    def _add(self, path):
        if not self._is_ours(path):
            return
        self._by_name[path.name].add(path)
        self._by_stem[path.stem].add(path)
        if digits := re.search(r"(\d+)$", path.stem, re.ASCII):
            self._by_frame[int(digits[1][-12:])].add(path)

    def _is_ours(self, path):
        try:
            real = path.resolve()
            return real.is_file() and any(map(real.is_relative_to, self._folders))
        except (OSError, RuntimeError, ValueError):  # too long a name, links in a ring
            return False

    def _only(self, found, place, name):
        if len(found) > 1:
            shown = ", ".join(map(str, sorted(found)[:3]))
            raise place.error(
                f"This must name one file only, and several fit: {shown}.", name
            )
        return next(iter(found)).resolve() if found else None


def upright_size(path: Path) -> tuple[int, int]:
    """Returns the height and width of a photo turned upright by its EXIF orientation.

    Raises:
        ValueError: If the file is no picture.
    """
    turned = read_orientation(path) >= 5
    with Image.open(path) as image:
        width, height = image.size
    return (width, height) if turned else (height, width)
