"""KITTI: street scenes of Karlsruhe, the semantic and the road benchmark."""

from pathlib import Path

import numpy as np

from kseg.data.datasets.cityscapes import TRAIN_ID_OF, TRAIN_LABELS
from kseg.data.datasets.dataset import Dataset
from kseg.data.datasets.layout import Layout, choose, recode, recode_colors
from kseg.data.reading import read_mask_colors

_SEMANTIC_TREE = """\
  <path>/training/image_2/000000_10.png …
  <path>/training/semantic/000000_10.png …"""
_ROAD_TREE = """\
  <path>/training/image_2/um_000000.png, umm_000000.png, uu_000000.png …
  <path>/training/gt_image_2/um_road_000000.png, um_lane_000000.png …"""
# Red marks what is evaluated, blue the road: the road devkit's getGroundTruth
_ROAD_COLORS = {(255, 0, 0): 0, (255, 0, 255): 1, (0, 0, 0): 255}


class KITTISemantic(Dataset):
    """KITTI's semantic benchmark: 200 annotated photos with the classes of Cityscapes.

    Its files hold Cityscapes' label ids; they become the 19 train ids. There is no
    official validation split.

    Reference:
    - [Augmented Reality Meets Computer Vision](https://arxiv.org/abs/1708.01566)
      (IJCV 2018)

    Args:
        path: Root of the data set, `data_semantics`.
        split: `"train"`; the masks of the 200 test photos are not published.

    Raises:
        ValueError: If a folder is missing, or a photo or a mask lacks its counterpart.
    """

    layout = Layout(
        "KITTI's semantic benchmark",
        "https://www.cvlibs.net/datasets/kitti/eval_semseg.php",
        _SEMANTIC_TREE,
        ("training/image_2", "training/semantic"),
    )
    expected = 200

    def __init__(self, path: str | Path, split: str = "train"):
        choose("split", split, ("train",))
        root = Path(path)
        self.layout.require(root, *self.layout.markers)
        names = {
            f.name
            for marker in self.layout.markers
            for f in (root / marker).glob("*.png")
        }
        items = [
            (Path(name).stem, *(root / marker / name for marker in self.layout.markers))
            for name in sorted(names)
        ]
        super().__init__(
            self.layout.complete(root, items),
            [name for name, _, _ in TRAIN_LABELS],
            [color for _, _, color in TRAIN_LABELS],
        )

    def read_mask(self, path: Path) -> np.ndarray:
        return recode(super().read_mask(path), TRAIN_ID_OF, path)


class KITTIRoad(Dataset):
    """KITTI's road benchmark: 289 annotated photos, the road or the car's own lane.

    What the benchmark does not evaluate (black in its files) is 255.

    Reference:
    - [A New Performance Measure and Evaluation Benchmark for Road Detection
      Algorithms](https://doi.org/10.1109/ITSC.2013.6728473) (ITSC 2013)

    Args:
        path: Root of the data set, `data_road`.
        split: `"train"`; the masks of the test photos are not published.
        labels: `"road"`, or `"lane"`, which is annotated in the 95 photos `um_*`.

    Raises:
        ValueError: If a folder is missing, or a photo or a mask lacks its counterpart.
    """

    layout = Layout(
        "KITTI's road benchmark",
        "https://www.cvlibs.net/datasets/kitti/eval_road.php",
        _ROAD_TREE,
        ("training/image_2", "training/gt_image_2"),
    )

    def __init__(self, path: str | Path, split: str = "train", labels: str = "road"):
        choose("split", split, ("train",))
        choose("labels", labels, ("road", "lane"))
        root = Path(path)
        self.layout.require(root, *self.layout.markers)
        images, masks = (root / marker for marker in self.layout.markers)
        kinds = ("um",) if labels == "lane" else ("um", "umm", "uu")
        ids = {f.stem for kind in kinds for f in images.glob(f"{kind}_[0-9]*.png")}
        ids |= {
            f.stem.replace(f"_{labels}_", "_") for f in masks.glob(f"*_{labels}_*.png")
        }
        items = [
            (id, images / f"{id}.png", masks / f"{id.replace('_', f'_{labels}_')}.png")
            for id in sorted(ids)
        ]
        self.labels = labels
        self.expected = 95 if labels == "lane" else 289
        super().__init__(
            self.layout.complete(root, items),
            ("background", labels),
            ((0, 0, 0), (255, 0, 255)),
        )

    def read_mask(self, path: Path) -> np.ndarray:
        return recode_colors(read_mask_colors(path), _ROAD_COLORS, path)
