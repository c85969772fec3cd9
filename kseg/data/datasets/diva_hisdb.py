"""DIVA-HisDB: pages of medieval manuscripts, the parts of the layout marked."""

from pathlib import Path

import numpy as np

from kseg.data.datasets.dataset import Dataset
from kseg.data.datasets.layout import Layout, choose
from kseg.data.datasets.pairing import pair_files
from kseg.data.reading import read_mask_colors

MANUSCRIPTS = ("CB55", "CS18", "CS863")
# Bits of the blue channel, in rising order
_CLASSES = {
    "background": (0, 0, 0),
    "comment": (86, 180, 233),
    "decoration": (230, 159, 0),
    "main text body": (213, 94, 0),
}
_BITS = (1, 2, 4, 8)
_BOUNDARY = 128
_SPLITS = {"train": "training", "validation": "validation", "test": "public-test"}
_PAGES = {"train": 20, "validation": 10, "test": 10}
_TREE = """\
  <path>/img-CB55/img/{training,validation,public-test}/*.jpg
  <path>/pixel-level-gt-CB55/pixel-level-gt/{training,validation,public-test}/*.png
and the same for CS18 and CS863, at any depth"""


class DIVAHisDB(Dataset):
    """DIVA-HisDB: 20, 10 and 10 pages of each of three manuscripts, 4 classes.

    A pixel may be of several classes, whose bits add up; the mask then holds the one
    of the highest bit: main text before decoration before comment. `read_bits` gives
    them all. Boundary pixels, where the outline of a text cuts through background and
    the benchmark accepts both, are 255.

    Reference:
    - [DIVA-HisDB](https://doi.org/10.1109/ICFHR.2016.0093) (ICFHR 2016)

    Args:
        path: Folder in which the archives were unpacked.
        split: `"train"`, `"validation"` or `"test"` (the public one).
        manuscript: `"CB55"`, `"CS18"`, `"CS863"`, or `"all"` that are there.

    Raises:
        ValueError: If the folders are missing, or a page or its truth lacks its
            counterpart.
    """

    layout = Layout(
        "DIVA-HisDB",
        "https://diuf.unifr.ch/main/hisdoc/diva-hisdb",
        _TREE,
        ("**/img-C*", "**/pixel-level-gt-C*"),
    )

    def __init__(self, path: str | Path, split: str = "train", manuscript: str = "all"):
        choose("split", split, _SPLITS)
        choose("manuscript", manuscript, (*MANUSCRIPTS, "all"))
        root = Path(path)
        items, names = [], MANUSCRIPTS if manuscript == "all" else (manuscript,)
        for name in names:
            folders = [
                _find(root, f"{kind}-{name}", kind, _SPLITS[split])
                for kind in ("img", "pixel-level-gt")
            ]
            if all(folders):
                pairs = pair_files(*folders)
                items += [(f"{name}/{id}", image, mask) for id, image, mask in pairs]
            elif any(folders) or manuscript != "all":
                self.layout.refuse(
                    root, f"without pages or truth of {name} for split {split!r}"
                )
        self.expected = _PAGES[split] * len(names)
        super().__init__(self.layout.complete(root, items), _CLASSES, _CLASSES.values())

    def read_mask(self, path: Path) -> np.ndarray:
        bits, boundary = _read(path)
        mask = np.zeros(bits.shape, np.uint8)
        for class_id, bit in enumerate(_BITS):
            mask[bits & bit > 0] = class_id
        mask[boundary] = self.ignore_class
        return mask

    def read_bits(self, index: int) -> np.ndarray:
        """Reads all classes of each pixel: bool of shape `(height, width, 4)`."""
        bits, _ = _read(self.paths(index)[1])
        return np.stack([bits & bit > 0 for bit in _BITS], axis=-1)


def _find(root, folder, kind, split):
    """The folder of a split, with or without the level that the archive adds."""
    for found in sorted(root.rglob(folder)):
        for candidate in (found / kind / split, found / split):
            if candidate.is_dir():
                return candidate
    return None


def _read(path):
    """Class bits and boundary pixels of a file of the truth."""
    red, green, blue = np.moveaxis(read_mask_colors(path), -1, 0)
    wrong = (green > 0) | (blue == 0) | (blue >= 16) | ((red > 0) & (red != _BOUNDARY))
    if wrong.any():
        y, x = np.argwhere(wrong)[0].tolist()
        color = tuple(int(band[y, x]) for band in (red, green, blue))
        raise ValueError(
            "A truth of DIVA-HisDB must hold class bits 1, 2, 4, 8 in blue, 0 in "
            f"green, and 0 or {_BOUNDARY} in red. "
            f"Received: {str(path)!r} with {color} at row {y}, column {x}"
        )
    return blue, red == _BOUNDARY
