"""Kinect scenes: tables with things on them, from the Object Segmentation Database."""

from pathlib import Path

import numpy as np

from kseg.data.datasets.layout import Layout, choose
from kseg.data.datasets.points import PointDataset, PointSample
from kseg.data.npz import read_arrays
from kseg.plot import palette

CLASSES = ("table", "object", "rest")
_SPLITS = {"train": "learn", "test": "test"}
_TREE = """\
  <path>/learn0.npz …   test11.npz …   (xyz, rgb and label of each point)"""
# Room for ten times the points of the published scenes.
_MOST_BYTES = 2**26


class KinectScenes(PointDataset):
    """Scenes of mOSD, things on a table, 16,384 points of each drawn from the image.

    The modified Object Segmentation Database cuts off floor and walls: what is left is
    the table (stored as 1 to 9) and the objects on it (20 and more). Whatever else a
    scene holds is "rest", a class that the database itself has no point of.

    Points have 6 channels: x, y, z in metres from the camera (x to the right, y down, z
    away), and red, green, blue of 0 to 255.

    Reference:
    - [Segmentation of Unknown Objects in Indoor
      Environments](https://doi.org/10.1109/IROS.2012.6385661) (IROS 2012)

    Args:
        path: Folder of the `.npz` files.
        split: `"train"`, the files `learn*`, or `"test"`, the files `test*`.

    Raises:
        ValueError: If there are no files of the split, and on access if one is damaged.
    """

    layout = Layout(
        "the Kinect scenes",
        "https://github.com/PointCloudLibrary/data/tree/master/segmentation/mOSD",
        _TREE,
        ("learn*.npz", "test*.npz"),
    )

    def __init__(self, path: str | Path, split: str = "train"):
        choose("split", split, _SPLITS)
        root, name = Path(path), _SPLITS[split]
        files = root.glob(f"{name}*.npz")
        files = sorted(files, key=lambda f: (len(f.stem), f.stem))
        items = [(file.stem, file, file) for file in files]
        colors = palette(len(CLASSES), background=False)
        super().__init__(self.layout.complete(root, items), CLASSES, colors)

    def read_sample(self, id: str, points_path: Path, labels_path: Path) -> PointSample:
        xyz, rgb, stored = _read(points_path)
        labels = np.full(len(stored), CLASSES.index("rest"), np.int32)
        labels[(stored >= 1) & (stored <= 9)] = CLASSES.index("table")
        labels[stored >= 20] = CLASSES.index("object")
        points = np.concatenate([xyz, rgb], axis=1).astype(np.float32)
        return PointSample(points, labels, id)


def _read(path):
    arrays = read_arrays(path, ("xyz", "rgb", "label"), _MOST_BYTES)
    xyz, rgb, label = (arrays.get(name) for name in ("xyz", "rgb", "label"))
    if (
        xyz is None
        or rgb is None
        or label is None
        or xyz.ndim != 2
        or xyz.shape[1] != 3
        or rgb.shape != xyz.shape
        or label.shape != xyz.shape[:1]
        or label.dtype.kind not in "iu"
        or not np.isfinite(xyz).all()
    ):
        found = {name: array.shape for name, array in arrays.items()}
        raise ValueError(
            "A scene must hold finite `xyz` and `rgb` of shape (points, 3) and integers "
            f"`label` of shape (points,). Received: {str(path)!r} with {found}"
        )
    return xyz, rgb, label
