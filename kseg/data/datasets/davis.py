"""DAVIS: short videos in which every frame is masked."""

from pathlib import Path

import numpy as np

from kseg.data.datasets.dataset import Dataset
from kseg.data.datasets.layout import Layout, choose

_LISTS = {"train": "train", "validation": "val"}
# Sequences: DAVIS 2016 has 30 + 20 of 50, DAVIS 2017 has 60 + 30
_FRAMES = {(2016, "train"): 2079, (2016, "validation"): 1376}
_TREE = """\
  <path>/JPEGImages/480p/bear/00000.jpg …
  <path>/Annotations/480p/bear/00000.png …
  <path>/ImageSets/480p/train.txt, val.txt     (DAVIS 2016: two paths a line)
  <path>/ImageSets/2017/train.txt, val.txt     (DAVIS 2017: a sequence a line)"""


class DAVIS(Dataset):
    """DAVIS 2016 or 2017 at 480p: the moving objects of every frame, as foreground.

    The ids are `"sequence/frame"`, in the order of the frames. In DAVIS 2017 the
    objects of a frame are numbered; here they are one foreground.

    References:
    - [A Benchmark Dataset and Evaluation Methodology for Video Object
      Segmentation](https://doi.org/10.1109/CVPR.2016.85) (CVPR 2016)
    - [The 2017 DAVIS Challenge](https://arxiv.org/abs/1704.00675)

    Args:
        path: Root of the data set, the folder `DAVIS`.
        split: `"train"` or `"validation"`.
        year: `2016` or `2017`, which sequences to take.

    Attributes:
        sequences: Tuple of the names of the videos.

    Raises:
        ValueError: If a folder, a list or a file of the split is missing.
    """

    layout = Layout(
        "DAVIS",
        "https://davischallenge.org/",
        _TREE,
        ("JPEGImages/480p", "Annotations/480p", "ImageSets"),
    )

    def __init__(self, path: str | Path, split: str = "train", year: int = 2016):
        choose("split", split, _LISTS)
        choose("year", year, (2016, 2017))
        root = Path(path)
        self.layout.require(root, *self.layout.markers)
        folder = "480p" if year == 2016 else str(year)
        entries = self.layout.ids(root, f"ImageSets/{folder}/{_LISTS[split]}.txt")
        if year == 2016:  # "/JPEGImages/480p/bear/00000.jpg /Annotations/480p/…"
            ids = ["/".join(Path(e).with_suffix("").parts[-2:]) for e in entries[::2]]
        else:
            ids = [
                f"{entry}/{file.stem}"
                for entry in entries
                for file in sorted((root / "JPEGImages/480p" / entry).glob("*.jpg"))
            ]
            # A sequence without any frame must not go unnoticed.
            self.layout.require(root, *(f"JPEGImages/480p/{e}" for e in entries))
        items = [
            (
                id,
                root / f"JPEGImages/480p/{id}.jpg",
                root / f"Annotations/480p/{id}.png",
            )
            for id in ids
        ]
        self.year = year
        self.expected = _FRAMES.get((year, split))
        super().__init__(
            self.layout.complete(root, items), ("background", "foreground")
        )

    @property
    def sequences(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(id.split("/")[0] for id in self.ids))

    def sequence(self, name: str) -> "DAVIS":
        """Returns the frames of one video as a data set."""
        choose("name", name, self.sequences)
        return self.take(id for id in self.ids if id.split("/")[0] == name)

    def read_mask(self, path: Path) -> np.ndarray:
        return (super().read_mask(path) > 0).astype(np.uint8)
