"""S3DIS: rooms of six areas of Stanford's buildings, scanned, 13 classes."""

import re
import warnings
from pathlib import Path

import numpy as np

from kseg.data.datasets.layout import Layout, choose
from kseg.data.datasets.points import (
    PointDataset,
    PointSample,
    is_row,
    parse_numbers,
)

# Order and colours: charlesq34/pointnet, sem_seg/indoor3d_util.py
_CLASSES = {
    "ceiling": (0, 255, 0),
    "floor": (0, 0, 255),
    "wall": (0, 255, 255),
    "beam": (255, 255, 0),
    "column": (255, 0, 255),
    "window": (100, 100, 255),
    "door": (200, 200, 100),
    "table": (170, 120, 200),
    "chair": (255, 0, 0),
    "sofa": (200, 100, 100),
    "bookcase": (10, 200, 100),
    "board": (200, 200, 200),
    "clutter": (50, 50, 50),
}
_ROOMS = {1: 44, 2: 40, 3: 23, 4: 49, 5: 68, 6: 48}  # of PointNet's anno_paths.txt
_SPLITS = ("train", "test", "all")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_TREE = """\
  <path>/Area_1/conferenceRoom_1/Annotations/beam_1.txt …
  <path>/Area_2/… Area_6/…   (x y z red green blue in a line)"""


class S3DIS(PointDataset):
    """S3DIS: 272 rooms in six areas; a sample is a room, which
    `kseg.data.points.Blocks` cuts up.

    Points have 6 channels: x, y, z in metres, moved so that the least of each is 0,
    and red, green, blue of 0 to 255. Ids are as in `"Area_1/office_2"`. Stairs and
    whatever else is not among the 13 classes count as clutter, as in PointNet.

    Version 1.2 has lines with a stray control character, the known one being line
    180389 of `Area_5/hallway_6/Annotations/ceiling_1.txt`. Such a line is read with
    the character as a blank or without it, whichever gives six numbers, and a warning
    reports file, line and what was read.

    Reference:
    - [3D Semantic Parsing of Large-Scale Indoor
      Spaces](https://doi.org/10.1109/CVPR.2016.170) (CVPR 2016)

    Args:
        path: Root of the data set, `Stanford3dDataset_v1.2_Aligned_Version`.
        split: `"train"`, all areas but the one to test on; `"test"`; or `"all"`.
        test_area: The area to test on, `1` to `6`.

    Raises:
        ValueError: If an area of the split is missing or has no rooms, and on access
            if a line cannot be read.
    """

    layout = Layout(
        "S3DIS",
        "http://buildingparser.stanford.edu/dataset.html",
        _TREE,
        ("Area_[1-6]/*/Annotations",),
    )

    def __init__(self, path: str | Path, split: str = "train", test_area: int = 5):
        choose("split", split, _SPLITS)
        choose("test_area", test_area, _ROOMS)
        root = Path(path)
        areas = {
            "train": [area for area in _ROOMS if area != test_area],
            "test": [test_area],
            "all": list(_ROOMS),
        }[split]
        items = []
        for area in areas:
            rooms = sorted((root / f"Area_{area}").glob("*/Annotations"))
            if not rooms:
                self.layout.refuse(root, f"without rooms in Area_{area}")
            items += [(f"Area_{area}/{r.parent.name}", r, r) for r in rooms]
        self.expected = sum(_ROOMS[area] for area in areas)
        super().__init__(items, _CLASSES, _CLASSES.values())

    def read_sample(self, id: str, points_path: Path, labels_path: Path) -> PointSample:
        names, rows, labels = list(_CLASSES), [], []
        for file in sorted(points_path.glob("*.txt")):
            found = _read_object(file)
            kind = file.stem.split("_")[0]
            label = names.index(kind if kind in _CLASSES else "clutter")
            rows.append(found)
            labels.append(np.full(len(found), label, np.int32))
        if not rows:
            raise ValueError(
                "A room must hold objects as .txt files. "
                f"Received: {str(points_path)!r} without any"
            )
        points = np.concatenate(rows)
        points[:, :3] -= points[:, :3].min(0)
        return PointSample(points.astype(np.float32), np.concatenate(labels), id)


def _read_object(file):
    """Rows `x y z red green blue` of one object, stray characters repaired."""
    text = file.read_bytes().decode("latin-1")
    text = text.replace("\r\n", "\n")
    lines = text.split("\n")
    if _CONTROL.search(text):
        lines = [
            _repair(line, number, file) if _CONTROL.search(line) else line
            for number, line in enumerate(lines, 1)
        ]
    return parse_numbers(lines, 6, file)


def _repair(line, number, file):
    for replacement in (" ", ""):
        repaired = _CONTROL.sub(replacement, line)
        if is_row(repaired, 6):
            warnings.warn(
                f"{str(file)!r}, line {number}: read {line!r} as {repaired!r}",
                stacklevel=2,
            )
            return repaired
    return line
