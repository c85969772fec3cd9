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
  <path>/learn/learn0.pcd …   learn44.pcd
  <path>/test/test0.pcd …     test65.pcd
or, of each point xyz, rgb and label:
  <path>/learn0.npz …   test11.npz …"""
_NUM_POINTS = 16384
# Room for ten times the points of the published scenes.
_MOST_BYTES = 2**26


class KinectScenes(PointDataset):
    """Scenes of mOSD, things on a table, 16,384 points of each drawn from the image.

    Of the published `.pcd` files the points that the camera missed, whose x, y and z are
    all NaN, are left out, and from the others as many are drawn, the same ones every time
    (all where there are fewer). Points of `.npz` files are taken as they are.

    The modified Object Segmentation Database cuts off floor and walls: what is left is
    the table (stored as 1 to 9) and the objects on it (20 and more). Whatever else a
    scene holds is "rest", a class that the database itself has no point of.

    Points have 6 channels: x, y, z in metres from the camera (x to the right, y down, z
    away), and red, green, blue of 0 to 255.

    Reference:
    - [Segmentation of Unknown Objects in Indoor
      Environments](https://doi.org/10.1109/IROS.2012.6385661) (IROS 2012)

    Args:
        path: Folder of the download, with `learn` and `test`; or of `.npz` files.
        split: `"train"`, the files `learn*`, or `"test"`, the files `test*`.

    Raises:
        ValueError: If there are no files of the split, and on access if one is damaged
            or a coordinate is not finite; the error has its row.
    """

    layout = Layout(
        "the Kinect scenes",
        "https://github.com/PointCloudLibrary/data/tree/master/segmentation/mOSD",
        _TREE,
        ("learn/learn*.pcd", "test/test*.pcd"),
    )
    up = (0.0, -1.0, 0.0)

    def __init__(self, path: str | Path, split: str = "train"):
        choose("split", split, _SPLITS)
        root, name = Path(path), _SPLITS[split]
        files = [*root.glob(f"{name}/{name}*.pcd")] or root.glob(f"{name}*.npz")
        files = sorted(files, key=lambda f: (len(f.stem), f.stem))
        items = [(file.stem, file, file) for file in files]
        colors = palette(len(CLASSES), background=False)
        super().__init__(self.layout.complete(root, items), CLASSES, colors)

    def read_sample(self, id: str, points_path: Path, labels_path: Path) -> PointSample:
        read = _read_pcd if points_path.suffix == ".pcd" else _read_npz
        points, stored = read(points_path)
        labels = np.full(len(stored), CLASSES.index("rest"), np.int32)
        labels[(stored >= 1) & (stored <= 9)] = CLASSES.index("table")
        labels[stored >= 20] = CLASSES.index("object")
        return PointSample(points.astype(np.float32), labels, id)


def _read_pcd(path):
    # At the call, as these files import this package.
    from kseg.data.points.checking import without_missed
    from kseg.data.points.loading import draw
    from kseg.data.points.reading import read_cloud

    cloud = read_cloud(path, max_bytes=_MOST_BYTES)
    cloud = without_missed(f"points of {path}", cloud)
    if cloud.colors is None or cloud.labels is None or not len(cloud):
        raise ValueError(
            "A scene must have points that the camera did not miss, with colours and "
            f"labels. Received: {str(path)!r} with {len(cloud)} such points"
        )
    wanted = min(_NUM_POINTS, len(cloud))
    cloud = cloud.take(draw(len(cloud), wanted, np.random.default_rng(0)))
    return np.concatenate([cloud.xyz, cloud.colors], axis=1), cloud.labels


def _read_npz(path):
    from kseg.data.points.checking import check_cloud

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
    ):
        found = {name: array.shape for name, array in arrays.items()}
        raise ValueError(
            "A scene must hold numbers `xyz` and `rgb` of shape (points, 3) and integers "
            f"`label` of shape (points,). Received: {str(path)!r} with {found}"
        )
    return check_cloud(f"points of {path}", np.concatenate([xyz, rgb], axis=1)), label
