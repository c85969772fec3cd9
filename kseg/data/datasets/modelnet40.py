"""ModelNet40: computer-made models of forty kinds of things."""

import hashlib
from pathlib import Path

import numpy as np

from kseg.data.datasets.layout import Layout, choose
from kseg.data.datasets.points import PointDataset, PointSample
from kseg.plot import palette

# The folders of the data set; also charlesq34/pointnet, shape_names.txt
CLASSES = (
    *("airplane", "bathtub", "bed", "bench", "bookshelf", "bottle", "bowl", "car"),
    *("chair", "cone", "cup", "curtain", "desk", "door", "dresser", "flower_pot"),
    *("glass_box", "guitar", "keyboard", "lamp", "laptop", "mantel", "monitor"),
    *("night_stand", "person", "piano", "plant", "radio", "range_hood", "sink", "sofa"),
    *("stairs", "stool", "table", "tent", "toilet", "tv_stand", "vase", "wardrobe"),
    "xbox",
)
_COUNTS = {"train": 9843, "test": 2468}
_TREE = """\
  <path>/airplane/train/airplane_0001.off …   airplane/test/airplane_0627.off …
  <path>/bathtub/train/bathtub_0001.off …     and so on, 40 folders"""


class ModelNet40(PointDataset):
    """ModelNet40: 9,843 and 2,468 meshes of 40 classes, as points on their surface.

    Points are drawn uniformly by area, centred and scaled into the unit sphere, as in
    PointNet. They are the same at every access: drawn from the id and `seed`. The
    label of a sample is one class id.

    Reference:
    - [3D ShapeNets](https://arxiv.org/abs/1406.5670) (CVPR 2015)

    Args:
        path: Root of the data set, the folder `ModelNet40`.
        split: `"train"` or `"test"`.
        num_points: Points drawn from each mesh.
        seed: Number to draw other points with.

    Raises:
        ValueError: If there are no files of the split.
    """

    layout = Layout(
        "ModelNet40",
        "https://modelnet.cs.princeton.edu/",
        _TREE,
        ("airplane/train", "xbox/train"),
    )

    def __init__(
        self,
        path: str | Path,
        split: str = "train",
        num_points: int = 2048,
        seed: int = 0,
    ):
        choose("split", split, _COUNTS)
        if not isinstance(num_points, int) or num_points < 1:
            raise ValueError(
                "`num_points` must be a positive integer. "
                f"Received: num_points={num_points!r}"
            )
        root = Path(path)
        items = [
            (f"{name}/{file.stem}", file, file)
            for name in CLASSES
            for file in sorted((root / name / split).glob("*.off"))
        ]
        self.num_points, self.seed = num_points, seed
        self.expected = _COUNTS[split]
        # No class is a background, so none is black.
        colors = palette(len(CLASSES), background=False)
        super().__init__(self.layout.complete(root, items), CLASSES, colors)

    def read_sample(self, id: str, points_path: Path, labels_path: Path) -> PointSample:
        vertices, triangles = read_off(points_path)
        digest = hashlib.sha256(f"{self.seed}/{id}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
        points = _sample_surface(vertices[triangles], self.num_points, rng)
        points -= points.mean(0)
        radius = np.linalg.norm(points, axis=1).max()
        points /= radius or 1.0
        label = np.array(CLASSES.index(id.split("/")[0]), np.int32)
        return PointSample(points.astype(np.float32), label, id)


def read_off(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads a mesh in Princeton's Object File Format.

    Faces of more than three corners are split into triangles. The word OFF may run
    into the number after it, as in some files of ModelNet40.

    Args:
        path: File `.off` of text.

    Returns:
        Vertices `(vertices, 3)` as float64 and triangles `(triangles, 3)` as int64.

    Raises:
        ValueError: If the file is damaged or has no face.
    """
    try:
        lines = Path(path).read_text("utf-8").split("\n")
        words = " ".join(line.split("#")[0] for line in lines).split()
        if not words[0].startswith("OFF"):
            raise ValueError("the first word is not OFF")
        words[0] = words[0].removeprefix("OFF")
        words = words if words[0] else words[1:]
        num_vertices, num_faces = int(words[0]), int(words[1])
        end = 3 + 3 * num_vertices
        vertices = np.array(words[3:end], np.float64).reshape(num_vertices, 3)
        triangles = _triangles(words[end:], num_faces)
        if not len(triangles):
            raise ValueError("it has no face")
        finite = np.isfinite(vertices).all(1)
        if not finite.all():
            row = int(finite.argmin())
            raise ValueError(f"vertex {row} is {vertices[row].tolist()}, not finite")
        if triangles.min() < 0 or triangles.max() >= num_vertices:
            raise ValueError("a face names a vertex that is not there")
    except (OSError, ValueError, IndexError) as error:
        raise ValueError(
            "An OFF file must be whole: the word OFF, the numbers of vertices, faces "
            f"and edges, then these. Received: {str(path)!r} ({error})"
        ) from error
    return vertices, triangles


def _triangles(words, num_faces):
    # Nearly all files have triangles alone, and a color never follows them.
    if len(words) == 4 * num_faces:
        rows = np.array(words, np.int64).reshape(-1, 4)
        if (rows[:, 0] == 3).all():
            return rows[:, 1:]
    triangles, at = [], 0
    for _ in range(num_faces):
        count = int(words[at])
        corners = [int(word) for word in words[at + 1 : at + 1 + count]]
        if count < 3 or len(corners) < count:
            raise ValueError("a face is cut short")
        triangles += [(corners[0], *corners[i : i + 2]) for i in range(1, count - 1)]
        at += 1 + count
    return np.array(triangles, np.int64).reshape(-1, 3)


def _sample_surface(corners, count, rng):
    """Points uniform over triangles `(triangles, 3, 3)`."""
    a, b, c = np.moveaxis(corners, 1, 0)
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    total = areas.sum()
    weights = areas / total if total > 0 else np.full(len(areas), 1 / len(areas))
    chosen = rng.choice(len(areas), count, p=weights)
    # The square root makes the density even (Osada et al., Shape Distributions).
    r1, r2 = np.sqrt(rng.random((count, 1))), rng.random((count, 1))
    return (1 - r1) * a[chosen] + r1 * (1 - r2) * b[chosen] + r1 * r2 * c[chosen]
