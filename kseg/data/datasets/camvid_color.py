"""CamVid as published: street scenes from a driving car, in 32 colours."""

import re
from pathlib import Path

import numpy as np

from kseg.data.datasets.dataset import Dataset
from kseg.data.datasets.layout import Layout, choose, recode_colors
from kseg.data.reading import read_mask_colors

# label_colors.txt of the data set, "Void" left out
_CLASSES = {
    "Animal": (64, 128, 64),
    "Archway": (192, 0, 128),
    "Bicyclist": (0, 128, 192),
    "Bridge": (0, 128, 64),
    "Building": (128, 0, 0),
    "Car": (64, 0, 128),
    "CartLuggagePram": (64, 0, 192),
    "Child": (192, 128, 64),
    "Column_Pole": (192, 192, 128),
    "Fence": (64, 64, 128),
    "LaneMkgsDriv": (128, 0, 192),
    "LaneMkgsNonDriv": (192, 0, 64),
    "Misc_Text": (128, 128, 64),
    "MotorcycleScooter": (192, 0, 192),
    "OtherMoving": (128, 64, 64),
    "ParkingBlock": (64, 192, 128),
    "Pedestrian": (64, 64, 0),
    "Road": (128, 64, 128),
    "RoadShoulder": (128, 128, 192),
    "Sidewalk": (0, 0, 192),
    "SignSymbol": (192, 128, 128),
    "Sky": (128, 128, 128),
    "SUVPickupTruck": (64, 128, 192),
    "TrafficCone": (0, 0, 64),
    "TrafficLight": (0, 64, 64),
    "Train": (192, 64, 128),
    "Tree": (128, 128, 0),
    "Truck_Bus": (192, 128, 192),
    "Tunnel": (64, 0, 64),
    "VegetationMisc": (192, 192, 0),
    "Wall": (64, 192, 0),
}
_CLASS_OF = {color: i for i, color in enumerate(_CLASSES.values())} | {(0, 0, 0): 255}
_COUNTS = {"train": 367, "validation": 101, "test": 233, "all": 701}
_TREE = """\
  <path>/701_StillsRaw_full/0001TP_006690.png …
  <path>/LabeledApproved_full/0001TP_006690_L.png …"""


class CamVidColor(Dataset):
    """CamVid as published: 701 frames of 720x960, 32 colours.

    31 of them are classes; the last, "Void" (black), becomes 255. The splits are
    those of SegNet, 367, 101 and 233 frames, told by the names of the frames. For
    SegNet's 11 classes at 360x480 see `CamVid`.

    Reference:
    - [Semantic object classes in video](https://doi.org/10.1016/j.patrec.2008.04.005)
      (Pattern Recognition Letters 2009)

    Args:
        path: Folder in which the two archives were unpacked.
        split: `"train"`, `"validation"`, `"test"` or `"all"`.

    Raises:
        ValueError: If a folder is missing, or a frame or an annotation lacks its
            counterpart.
    """

    layout = Layout(
        "CamVid in colours",
        "http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/",
        _TREE,
        ("701_StillsRaw_full", "LabeledApproved_full"),
    )

    def __init__(self, path: str | Path, split: str = "train"):
        choose("split", split, _COUNTS)
        root = Path(path)
        self.layout.require(root, *self.layout.markers)
        images, masks = (root / marker for marker in self.layout.markers)
        ids = {f.stem for f in images.glob("*.png")}
        ids |= {f.stem.removesuffix("_L") for f in masks.glob("*_L.png")}
        items = [
            (id, images / f"{id}.png", masks / f"{id}_L.png")
            for id in sorted(ids)
            if split in ("all", _split(id))
        ]
        self.expected = _COUNTS[split]
        super().__init__(self.layout.complete(root, items), _CLASSES, _CLASSES.values())

    def read_mask(self, path: Path) -> np.ndarray:
        return recode_colors(read_mask_colors(path), _CLASS_OF, path)


def _split(id):
    """The split of a frame in train.txt, val.txt and test.txt of SegNet's tutorial."""
    video, _, frame = id.partition("_")
    digits = re.sub("[^0-9]", "", frame)
    number = int(digits) if digits else 0
    if video == "0016E5":
        return "validation" if 7959 <= number <= 8159 else "train"
    if video == "0001TP":
        return "train" if number <= 8520 else "test"
    return "train" if video == "0006R0" else "test"
