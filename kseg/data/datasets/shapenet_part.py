"""ShapeNet-part: models of sixteen kinds of things, their parts labelled."""

import json
from pathlib import Path

import numpy as np

from kseg.data.datasets.layout import Layout, choose
from kseg.data.datasets.points import PointDataset, PointSample, read_numbers
from kseg.plot import palette

# Kinds in the order of the part ids: name, folder, number of parts. Folders from the
# data set's synsetoffset2category.txt, parts from charlesq34/pointnet, part_seg
CATEGORIES = (
    ("Airplane", "02691156", 4),
    ("Bag", "02773838", 2),
    ("Cap", "02954340", 2),
    ("Car", "02958343", 4),
    ("Chair", "03001627", 4),
    ("Earphone", "03261776", 3),
    ("Guitar", "03467517", 3),
    ("Knife", "03624134", 2),
    ("Lamp", "03636649", 4),
    ("Laptop", "03642806", 2),
    ("Motorbike", "03790512", 6),
    ("Mug", "03797390", 2),
    ("Pistol", "03948459", 3),
    ("Rocket", "04099429", 3),
    ("Skateboard", "04225987", 3),
    ("Table", "04379243", 3),
)
_FOLDERS = [folder for _, folder, _ in CATEGORIES]
_FIRST_PARTS = np.cumsum([0, *(parts for *_, parts in CATEGORIES)]).tolist()
_LISTS = {
    "train": ("train", 12137),
    "validation": ("val", 1870),
    "test": ("test", 2874),
}
_SPLIT_LIST = "train_test_split/shuffled_{}_file_list.json"
_TREE = """\
  <path>/02691156/1021a0914a7207aff927ed529ad90a11.txt …   and 15 more folders
  <path>/train_test_split/shuffled_{train,val,test}_file_list.json"""


class ShapeNetPart(PointDataset):
    """ShapeNet-part with normals: 12,137, 1,870 and 2,874 shapes, 16 kinds, 50 parts.

    Points have 6 channels, x, y, z and the normal, as many points as the file holds.
    Labels are part ids 0–49 over all kinds; `category` is the kind, 0–15.

    Reference:
    - [A Scalable Active Framework for Region Annotation in 3D Shape
      Collections](https://doi.org/10.1145/2980179.2980238) (SIGGRAPH Asia 2016)

    Args:
        path: Root of the data set, the folder
            `shapenetcore_partanno_segmentation_benchmark_v0_normal`.
        split: `"train"`, `"validation"` or `"test"`.

    Raises:
        ValueError: If the list of the split or one of its files is missing.
    """

    layout = Layout(
        "ShapeNet-part with normals",
        "https://web.stanford.edu/~ericyi/project_page/part_annotation/index.html",
        _TREE,
        ("train_test_split",),
    )
    up = (0.0, 1.0, 0.0)

    def __init__(self, path: str | Path, split: str = "train"):
        choose("split", split, _LISTS)
        root, (name, self.expected) = Path(path), _LISTS[split]
        file = _SPLIT_LIST.format(name)
        text = self.layout.text(root, file)
        try:
            entries = json.loads(text)
            ids = [entry.removeprefix("shape_data/") for entry in entries]
        except (ValueError, AttributeError, TypeError) as error:
            self.layout.refuse(root, f"with a damaged {file} ({error})")
        unknown = [id for id in ids if id.split("/")[0] not in _FOLDERS]
        if unknown:
            self.layout.refuse(root, f"with unknown kinds in {file}: {unknown[:5]}")
        items = [(id, root / f"{id}.txt", root / f"{id}.txt") for id in ids]
        names = [f"{kind} {i}" for kind, _, parts in CATEGORIES for i in range(parts)]
        # No part is a background, so none is black.
        colors = palette(len(names), background=False)
        super().__init__(self.layout.complete(root, items), names, colors)

    def read_sample(self, id: str, points_path: Path, labels_path: Path) -> PointSample:
        rows = read_numbers(points_path, 7)
        category = _FOLDERS.index(id.split("/")[0])
        labels = rows[:, 6].astype(np.int32)
        first, end = _FIRST_PARTS[category : category + 2]
        wrong = (labels != rows[:, 6]) | (labels < first) | (labels >= end)
        if wrong.any():
            raise ValueError(
                f"Parts of a {CATEGORIES[category][0]} must be {first}..{end - 1}. "
                f"Received: {str(points_path)!r} with "
                f"{np.unique(rows[wrong, 6])[:10].tolist()}"
            )
        return PointSample(rows[:, :6].astype(np.float32), labels, id, category)
