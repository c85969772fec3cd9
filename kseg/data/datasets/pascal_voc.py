"""PASCAL VOC 2012: photos of 20 kinds of objects, with the annotations of SBD."""

from pathlib import Path

import numpy as np

from kseg.data.datasets.dataset import Dataset
from kseg.data.datasets.layout import Layout, choose, read_mat

# VOC2012 development kit, VOCcode/VOCinit.m
CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car"),
    *("cat", "chair", "cow", "diningtable", "dog", "horse", "motorbike", "person"),
    *("pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_COUNTS = {"train": 1464, "validation": 1449, "all": 2913, "train_aug": 10582}
_LISTS = {"train": "train", "validation": "val", "all": "trainval"}
_ROOT = "VOCdevkit/VOC2012"
_SBD = "benchmark_RELEASE/dataset"
_TREE = f"""\
  <path>/{_ROOT}/JPEGImages/2007_000032.jpg …
  <path>/{_ROOT}/SegmentationClass/2007_000032.png …
  <path>/{_ROOT}/ImageSets/Segmentation/train.txt, val.txt, trainval.txt
and for the split "train_aug" the Semantic Boundaries Dataset (SBD):
  <path>/{_SBD}/cls/2008_000002.mat …
  <path>/{_SBD}/train.txt, val.txt
of http://home.bharathh.info/pubs/codes/SBD/download.html"""


class PascalVOC(Dataset):
    """PASCAL VOC 2012, segmentation task: 1,464 and 1,449 photos, 21 classes.

    Masks are the palette images of the data set: 0 is background, 255 the border of
    each object and what is too hard to tell. Where the mask is one of SBD, nothing is
    ignored.

    References:
    - [The PASCAL Visual Object Classes
      Challenge](https://doi.org/10.1007/s11263-014-0733-5) (IJCV 2015)
    - [Semantic Contours from Inverse
      Detectors](https://doi.org/10.1109/ICCV.2011.6126343) (ICCV 2011), SBD

    Args:
        path: Folder in which the archives were unpacked, the one that holds
            `VOCdevkit`.
        split: `"train"`, `"validation"`, `"all"` (both), or `"train_aug"`: what VOC or
            SBD annotate, less VOC's validation photos, 10,582 in all. Of photos that
            both annotate VOC's mask is taken.

    Raises:
        ValueError: If a folder, a list or a file of the split is missing.
    """

    layout = Layout(
        "PASCAL VOC 2012",
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
        _TREE,
        (f"{_ROOT}/JPEGImages", f"{_ROOT}/SegmentationClass"),
    )

    def __init__(self, path: str | Path, split: str = "train"):
        choose("split", split, _COUNTS)
        root = Path(path)
        self.layout.require(root, *self.layout.markers)
        voc = root / _ROOT
        if split == "train_aug":
            train, validation = self._list(root, "train"), self._list(root, "val")
            extra = {
                id
                for name in ("train", "val")
                for id in self.layout.ids(root, f"{_SBD}/{name}.txt")
            }
            masks = {id: root / _SBD / "cls" / f"{id}.mat" for id in extra}
            masks |= {id: _mask(voc, id) for id in train}
            ids = sorted(masks.keys() - set(validation))
        else:
            ids = self._list(root, _LISTS[split])
            masks = {id: _mask(voc, id) for id in ids}
        items = [(id, voc / "JPEGImages" / f"{id}.jpg", masks[id]) for id in ids]
        self.expected = _COUNTS[split]
        colors = voc_colors(len(CLASSES))
        super().__init__(self.layout.complete(root, items), CLASSES, colors)

    def read_mask(self, path: Path) -> np.ndarray:
        if path.suffix != ".mat":
            return super().read_mask(path)
        annotation = read_mat(path, "GTcls")
        if "Segmentation" not in (annotation.dtype.names or ()):
            raise ValueError(
                "An annotation of SBD must hold `GTcls.Segmentation`. "
                f"Received: {str(path)!r} without it"
            )
        return annotation["Segmentation"][0, 0].astype(np.uint8)

    def _list(self, root, name):
        return self.layout.ids(root, f"{_ROOT}/ImageSets/Segmentation/{name}.txt")


def _mask(voc, id):
    return voc / "SegmentationClass" / f"{id}.png"


def voc_colors(num_classes: int) -> tuple[tuple[int, int, int], ...]:
    """The colour map of PASCAL VOC: the bits of the id, dealt out to R, G and B."""
    colors = []
    for class_id in range(num_classes):
        color = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                digit = class_id >> (3 * bit + channel) & 1
                color[channel] |= digit << (7 - bit)
        colors.append(tuple(color))
    return tuple(colors)
