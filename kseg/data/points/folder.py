"""A folder of labelled clouds as a data set."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kseg.data.datasets.points import PointDataset, PointSample
from kseg.data.points.checking import check_cloud
from kseg.data.points.reading import SUFFIXES, read_cloud
from kseg.plot import palette


class CloudFolder(PointDataset):
    """The labelled clouds of a folder, each file a sample.

    Points have the channels x, y, z, and red, green, blue of 0 to 255 or the normal, if
    all files have them. Coordinates are those of the file minus its least ones, lest
    geographic coordinates lose their digits. Points that are not finite are left out.

    Args:
        path: Folder with files that `kseg.data.points.read_cloud` reads.
        class_names: Name of each label, counted from 0.
        channels: `"colors"`, `"normals"` or `"xyz"`: what follows x, y, z.
        columns: For `.txt`, as in `read_cloud`.

    Raises:
        ValueError: If there are no files, and on access if a file cannot be read, has no
            labels or not the channels, or a label has no name.
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
        cloud = cloud.take(np.isfinite(cloud.xyz).all(1))
        more = None if self.channels == "xyz" else getattr(cloud, self.channels)
        if cloud.labels is None or (more is None and self.channels != "xyz"):
            raise ValueError(
                f"A labelled cloud must have labels and {self.channels}. "
                f"Received: {str(points_path)!r}"
            )
        wrong = (cloud.labels < 0) | (cloud.labels >= len(self.class_names))
        if wrong.any():
            raise ValueError(
                f"Labels must be 0..{len(self.class_names) - 1}. Received: "
                f"{str(points_path)!r} with {np.unique(cloud.labels[wrong])[:10].tolist()}"
            )
        xyz = check_cloud(f"points of {id!r}", cloud.xyz)
        parts = [xyz - xyz.min(0)] + ([] if more is None else [more])
        return PointSample(
            np.concatenate(parts, axis=1).astype(np.float32), cloud.labels, id
        )
