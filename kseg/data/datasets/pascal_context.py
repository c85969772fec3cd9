"""PASCAL Context: the photos of VOC 2010 with every pixel annotated."""

from pathlib import Path

import numpy as np

from kseg.data.datasets.dataset import Dataset
from kseg.data.datasets.layout import Layout, choose, read_mat, recode
from kseg.plot import palette

# In the order of the data set's 59_labels.txt (also in shelhamer's
# fcn.berkeleyvision.org, data/pascal-context/classes-59.txt)
_FREQUENT = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant"),
    *("sheep", "sofa", "train", "tvmonitor", "bag", "bed", "bench", "book"),
    *("building", "cabinet", "ceiling", "clothes", "computer", "cup", "door", "fence"),
    *("floor", "flower", "food", "grass", "ground", "keyboard", "light", "mountain"),
    *("mouse", "curtain", "platform", "sign", "plate", "road", "rock", "shelves"),
    *("sidewalk", "sky", "snow", "bedcloth", "track", "tree", "truck", "wall"),
    *("water", "window", "wood"),
)
# What labels.txt, the list of all 459, calls otherwise; from pascalcontext_layers.py
# of fcn.berkeleyvision.org
_SYNONYMS = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}
_SPLITS = {"train": ("train", 4998), "validation": ("val", 5105)}
_VOC = "VOCdevkit/VOC2010"
_TREE = f"""\
  <path>/labels.txt                     (459 lines such as "2: aeroplane")
  <path>/trainval/2008_000002.mat …
  <path>/{_VOC}/JPEGImages/2008_000002.jpg …
  <path>/{_VOC}/ImageSets/Main/train.txt, val.txt
The photos are those of http://host.robots.ox.ac.uk/pascal/VOC/voc2010/"""


class PascalContext(Dataset):
    """PASCAL Context: 4,998 and 5,105 photos, the 59 frequent classes or all 459.

    Reference:
    - [The Role of Context for Object Detection and Semantic Segmentation in the
      Wild](https://doi.org/10.1109/CVPR.2014.119) (CVPR 2014)

    Args:
        path: Folder in which the archives were unpacked.
        split: `"train"` or `"validation"`, those of VOC 2010's detection task.
        labels: `"59"` for the frequent classes, all else ignored; `"60"` with
            "background", id 0, for all else; or `"full"` for all 459. Their ids are
            those of `labels.txt`, but for class 255, which is id 0, because 255 means
            ignored; `class_names[255]` is "ignored".

    Raises:
        ValueError: If a folder, a list or a file of the split is missing, or
            `labels.txt` lacks a class.
    """

    layout = Layout(
        "PASCAL Context",
        "https://cs.stanford.edu/~roozbeh/pascal-context/",
        _TREE,
        ("labels.txt", "trainval", f"{_VOC}/JPEGImages"),
    )

    def __init__(self, path: str | Path, split: str = "train", labels: str = "59"):
        choose("split", split, _SPLITS)
        choose("labels", labels, ("59", "60", "full"))
        root, (file, self.expected) = Path(path), _SPLITS[split]
        self.labels = labels
        self.layout.require(root, *self.layout.markers)
        numbers = self._numbers(root)
        if labels == "full":
            names = ["", *numbers]
            names[0], names[255] = names[255], "ignored"
            # Number 0 marks pixels without annotation.
            self._class_of = {0: 255} | {i: i for i in numbers.values()} | {255: 0}
        else:
            names = ["background"] * (labels == "60") + list(_FREQUENT)
            other = 0 if labels == "60" else 255
            self._class_of = dict.fromkeys(range(len(numbers) + 1), other)
            for name in _FREQUENT:
                number = numbers[_SYNONYMS.get(name, name)]
                self._class_of[number] = names.index(name)
        items = [
            (id, root / _VOC / f"JPEGImages/{id}.jpg", root / f"trainval/{id}.mat")
            for id in self.layout.ids(root, f"{_VOC}/ImageSets/Main/{file}.txt")
        ]
        super().__init__(
            self.layout.complete(root, items),
            names,
            palette(len(names), background=labels == "60"),
        )

    def read_mask(self, path: Path) -> np.ndarray:
        return recode(read_mat(path, "LabelMap"), self._class_of, path)

    def _numbers(self, root):
        """`{name: number}` of labels.txt, whose numbers count from 1."""
        lines = self.layout.text(root, "labels.txt").splitlines()
        rows = [line.split(":", 1) for line in lines if line.strip()]
        numbers = {row[-1].strip(): i for i, row in enumerate(rows, 1)}
        wanted = {_SYNONYMS.get(name, name) for name in _FREQUENT}
        if (
            [row[0].strip() for row in rows] != [str(i) for i in range(1, 460)]
            or len(numbers) != 459
            or not wanted <= numbers.keys()
        ):
            self.layout.refuse(
                root,
                f"with a labels.txt of {len(rows)} lines, not the 459 names numbered "
                f"from 1; absent: {sorted(wanted - numbers.keys())[:10]}",
            )
        return numbers
