"""A folder of clouds as a data set."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kseg.data.datasets.points import PointDataset, PointSample
from kseg.data.points.checking import check_cloud, without_missed
from kseg.data.points.reading import SUFFIXES, read_cloud
from kseg.plot import palette


class CloudFolder(PointDataset):
    """The clouds of a folder, each file a sample.

    Points have the channels x, y, z, and red, green, blue of 0 to 255 or the normal, if
    all files have them. Coordinates are those of the file minus its least ones, the
    sample's `origin`, lest geographic coordinates lose their digits. Points that a depth
    camera missed, whose x, y and z are all NaN, are left out. Files without labels, for
    `predict_rooms`, have `labels` of None.

    Args:
        path: Folder with files that `kseg.data.points.read_cloud` reads.
        class_names: Name of each label, counted from 0.
        channels: `"colors"`, `"normals"` or `"xyz"`: what follows x, y, z.
        columns: For `.txt`, as in `read_cloud`.

    Raises:
        ValueError: If there are no files, and on access if a file cannot be read, has
            not the channels, a coordinate is not finite (the error has its row), or a
            label has no name.
    """

    def __init__(
        self,
        path: str | Path,
        class_names: Sequence[str],
        channels: str = "colors",
        columns: Sequence[str] | None = None,
    ):
        if channels not in ("colors", "normals", "xyz"):
            raise ValueError(
                "`channels` must be 'colors', 'normals' or 'xyz'. "
                f"Received: channels={channels!r}"
            )
        root = Path(path)
        files = sorted(f for f in root.glob("*") if f.suffix.lower() in SUFFIXES)
        if not files:
            raise ValueError(
                f"`path` must be a folder with files {', '.join(SUFFIXES)}. "
                f"Received: path={str(root)!r}"
            )
        self.channels, self.columns = channels, columns
        colors = palette(len(class_names), background=False)
        super().__init__([(f.name, f, f) for f in files], class_names, colors)

    def read_sample(self, id: str, points_path: Path, labels_path: Path) -> PointSample:
        is_text = points_path.suffix.lower() == ".txt"
        cloud = read_cloud(points_path, columns=self.columns if is_text else None)
        cloud = without_missed(f"points of {id!r}", cloud)
        more = None if self.channels == "xyz" else getattr(cloud, self.channels)
        if more is None and self.channels != "xyz":
            raise ValueError(
                f"A cloud must have {self.channels}; channels='xyz' needs none. "
                f"Received: {str(points_path)!r}"
            )
        labels = np.zeros(0) if cloud.labels is None else cloud.labels
        wrong = (labels < 0) | (labels >= len(self.class_names))
        if wrong.any():
            raise ValueError(
                f"Labels must be 0..{len(self.class_names) - 1}. Received: "
                f"{str(points_path)!r} with {np.unique(labels[wrong])[:10].tolist()}"
            )
        xyz = check_cloud(f"points of {id!r}", cloud.xyz)
        origin = xyz.min(0)
        parts = [xyz - origin] + ([] if more is None else [more])
        points = np.concatenate(parts, axis=1).astype(np.float32)
        return PointSample(points, cloud.labels, id, origin=origin)
