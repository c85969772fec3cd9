"""Pratheepan: photos from the web with the human skin masked."""

from pathlib import Path

import numpy as np

from kseg.data.datasets.dataset import Dataset
from kseg.data.datasets.layout import Layout, choose, recode
from kseg.data.datasets.pairing import pair_files

_PARTS = {"face": ("FacePhoto",), "family": ("FamilyPhoto",)}
_PARTS["all"] = _PARTS["face"] + _PARTS["family"]
_COUNTS = {"face": 32, "family": 46, "all": 78}
_TREE = """\
  <path>/Pratheepan_Dataset/FacePhoto/*.jpg     FamilyPhoto/*.jpg
  <path>/Ground_Truth/GroundT_FacePhoto/*.png   GroundT_FamilyPhoto/*.png"""


class Pratheepan(Dataset):
    """The Pratheepan data set: 32 photos of one person and 46 of several, skin or not.

    It is made to test on and has no training split. The ids are as in
    `"FacePhoto/sarah"`.

    Reference:
    - [A Fusion Approach for Efficient Human Skin
      Detection](https://doi.org/10.1109/TII.2011.2172451) (TII 2012)

    Args:
        path: Folder in which the archive was unpacked.
        split: `"face"`, `"family"`, or `"all"`.

    Raises:
        ValueError: If a folder is missing, or a photo or a mask lacks its counterpart.
    """

    layout = Layout(
        "the Pratheepan data set",
        "http://cs-chan.com/downloads_skin_dataset.html",
        _TREE,
        ("Pratheepan_Dataset", "Ground_Truth"),
    )

    def __init__(self, path: str | Path, split: str = "all"):
        choose("split", split, _PARTS)
        root = Path(path)
        items = []
        for part in _PARTS[split]:
            images, masks = f"Pratheepan_Dataset/{part}", f"Ground_Truth/GroundT_{part}"
            self.layout.require(root, images, masks)
            pairs = pair_files(root / images, root / masks)
            items += [(f"{part}/{id}", image, mask) for id, image, mask in pairs]
        self.expected = _COUNTS[split]
        super().__init__(items, ("background", "skin"), ((0, 0, 0), (230, 159, 0)))

    def read_mask(self, path: Path) -> np.ndarray:
        return recode(super().read_mask(path), {0: 0, 255: 1}, path)
