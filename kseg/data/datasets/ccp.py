"""Clothing Co-Parsing (CCP): street fashion photos, the garments outlined."""

import re
from pathlib import Path

import numpy as np

from kseg.data.datasets.dataset import Dataset
from kseg.data.datasets.layout import choose, read_mat, recode

# Which of the 59 tags make up each class of the labels "clothes".
CLOTHES = {
    "background": ("null",),
    "hair": ("hair",),
    "skin": ("skin",),
    "top": (
        *("blouse", "bra", "cardigan", "hoodie", "intimate", "jumper", "shirt"),
        *("sweater", "sweatshirt", "t-shirt", "top", "vest"),
    ),
    "outerwear": ("blazer", "cape", "coat", "jacket", "suit"),
    "dress": ("bodysuit", "dress", "romper", "swimwear"),
    "bottom": (
        *("jeans", "leggings", "panties", "pants", "shorts", "skirt"),
        *("socks", "stockings", "tights"),
    ),
    "shoes": (
        *("boots", "clogs", "flats", "heels", "loafers", "pumps", "sandals"),
        *("shoes", "sneakers", "wedges"),
    ),
    "bag/accessory": (
        *("accessories", "bag", "belt", "bracelet", "earrings", "glasses", "gloves"),
        *("hat", "necklace", "purse", "ring", "scarf", "sunglasses", "tie", "wallet"),
        "watch",
    ),
}
# The colours of Okabe and Ito, which people with any colour vision tell apart.
_CLOTHES_COLORS = (
    *((0, 0, 0), (153, 153, 153), (230, 159, 0), (86, 180, 233), (0, 158, 115)),
    *((240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)),
)
# First and last photo of a split, and how many there are as published.
_SPLITS = {
    "train": (1, 800, 800),
    "validation": (801, 900, 100),
    "all": (1, 9999, 1004),
}
_TREE = """\
  <path>/label_list.mat
  <path>/photos/0001.jpg …
  <path>/annotations/pixel-level/0001.mat …   (as published)
                              or 0001.png …   (class ids, 8-bit greyscale)
It can be downloaded from https://github.com/bearpaw/clothing-co-parsing"""


class CCP(Dataset):
    """Clothing Co-Parsing: 1,004 photos with 59 classes of garments and body parts.

    Reads the data set as published (`.mat` annotations) and a compacted one whose
    annotations are PNG files; photos and annotations must only be of one size.
    Photos that have image-level tags alone are left out.

    Reference:
    - [Clothing Co-Parsing by Joint Image Segmentation and
      Labeling](https://arxiv.org/abs/1502.00739) (CVPR 2014)

    Args:
        path: Root of the data set.
        split: `"train"`, photos 0001–0800; `"validation"`, 0801–0900; or `"all"`
            that are there. The data set itself has no official split.
        labels: `"tags"` for the 59 classes of `label_list.mat`, id 0 being "null";
            `"person"`, where everything but "null" is one foreground class; or
            `"clothes"`, the nine groups of the table `CLOTHES`: background, hair,
            skin, top, outerwear, dress, bottom, shoes, bag/accessory.

    Raises:
        ValueError: If `path` is not the root of the data set, holds nothing of the
            split, or lacks the photo of an annotation.
    """

    def __init__(self, path: str | Path, split: str = "train", labels: str = "tags"):
        choose("split", split, _SPLITS)
        choose("labels", labels, ("tags", "person", "clothes"))
        root = Path(path)
        if not is_ccp(root):
            raise ValueError(
                f"`path` must be the root of Clothing Co-Parsing:\n{_TREE}\n"
                f"Received: path={str(path)!r}"
            )
        photos = _numbered(root / "photos", (".jpg", ".jpeg", ".png"))
        # Where both are there the PNG wins: it goes with compacted photos.
        masks = _numbered(root / "annotations" / "pixel-level", (".mat", ".png"))
        first, last, self.expected = _SPLITS[split]
        stems = sorted(stem for stem in masks if first <= int(stem) <= last)
        missing = [stem for stem in stems if stem not in photos]
        if missing or not stems:
            raise ValueError(
                f"`path` must hold photos and annotations of split {split!r} "
                f"({first:04}–{last:04}):\n{_TREE}\nReceived: path={str(path)!r} "
                + (f"without the photos {missing[:10]}" if missing else "with none")
            )
        self.labels = labels
        names, colors = ("background", "person"), None
        if labels != "person":
            names = [
                str(cell.item()) for cell in read_mat(root / _NAMES, "label_list").flat
            ]
        if labels == "clothes":
            self._group_of = _groups(names, root)
            names, colors = tuple(CLOTHES), _CLOTHES_COLORS
        super().__init__([(s, photos[s], masks[s]) for s in stems], names, colors)

    def read_mask(self, path: Path) -> np.ndarray:
        if path.suffix == ".mat":
            tags = read_mat(path, "groundtruth")
            mask = tags.astype(np.uint8)
            if not np.array_equal(mask, tags):
                raise ValueError(
                    "`groundtruth` must hold class ids. Received: "
                    f"{str(path)!r} with values {tags.min()}..{tags.max()}"
                )
        else:
            mask = super().read_mask(path)
        if self.labels == "clothes":
            return recode(mask, self._group_of, path)
        return (mask > 0).astype(np.uint8) if self.labels == "person" else mask


_NAMES = "label_list.mat"


def is_ccp(root: Path) -> bool:
    """Tells whether a folder is laid out as Clothing Co-Parsing."""
    return (root / _NAMES).is_file() and (root / "annotations" / "pixel-level").is_dir()


def _groups(tags, root):
    """`{tag id: class id}` of the labels "clothes"."""
    class_of = {t: i for i, group in enumerate(CLOTHES.values()) for t in group}
    if set(tags) != set(class_of):
        raise ValueError(
            f"`{_NAMES}` must hold the 59 tags of the data set. Received: "
            f"{str(root / _NAMES)!r}, in one but not in the other: "
            f"{sorted(set(tags) ^ set(class_of))[:10]}"
        )
    return {number: class_of[tag] for number, tag in enumerate(tags)}


def _numbered(folder, suffixes):
    """Files named by a number, `{stem: path}`; a later suffix wins."""
    return {
        path.stem: path
        for suffix in suffixes
        for path in folder.glob(f"*{suffix}")
        if re.fullmatch("[0-9]+", path.stem)
    }
