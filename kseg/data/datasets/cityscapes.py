"""Cityscapes: street scenes of 50 cities, and the video snippets around them."""

from pathlib import Path

import numpy as np

from kseg.data.datasets.dataset import Dataset
from kseg.data.datasets.layout import Layout, choose, recode
from kseg.data.reading import read_image

# Train ids in order: name, label id, colour. cityscapesScripts, helpers/labels.py
TRAIN_LABELS = (
    ("road", 7, (128, 64, 128)),
    ("sidewalk", 8, (244, 35, 232)),
    ("building", 11, (70, 70, 70)),
    ("wall", 12, (102, 102, 156)),
    ("fence", 13, (190, 153, 153)),
    ("pole", 17, (153, 153, 153)),
    ("traffic light", 19, (250, 170, 30)),
    ("traffic sign", 20, (220, 220, 0)),
    ("vegetation", 21, (107, 142, 35)),
    ("terrain", 22, (152, 251, 152)),
    ("sky", 23, (70, 130, 180)),
    ("person", 24, (220, 20, 60)),
    ("rider", 25, (255, 0, 0)),
    ("car", 26, (0, 0, 142)),
    ("truck", 27, (0, 0, 70)),
    ("bus", 28, (0, 60, 100)),
    ("train", 31, (0, 80, 100)),
    ("motorcycle", 32, (0, 0, 230)),
    ("bicycle", 33, (119, 11, 32)),
)
# The other label ids, 0 to 33, are not evaluated.
TRAIN_ID_OF = dict.fromkeys(range(34), 255) | {
    label: train_id for train_id, (_, label, _) in enumerate(TRAIN_LABELS)
}
_SPLITS = {"train": ("train", 2975), "validation": ("val", 500), "test": ("test", 1525)}
_FRAMES = range(-19, 11)  # a snippet has 30 frames, the annotated one is its 20th
_TREE = """\
  <path>/leftImg8bit/{train,val,test}/aachen/aachen_000000_000019_leftImg8bit.png …
  <path>/gtFine/{train,val,test}/aachen/aachen_000000_000019_gtFine_labelIds.png …
and for video:
  <path>/leftImg8bit_sequence/{train,val,test}/aachen/
      aachen_000000_000000_leftImg8bit.png … aachen_000000_000029_leftImg8bit.png …"""


class Cityscapes(Dataset):
    """Cityscapes with fine annotations: 2,975, 500 and 1,525 frames, 19 classes.

    Label ids 0–33 of the files become the 19 train ids; the others are ignored. The
    annotations of the test split are not published: all of it is ignored there.

    Reference:
    - [The Cityscapes Dataset](https://arxiv.org/abs/1604.01685) (CVPR 2016)

    Args:
        path: Root of the data set, the folder that holds `leftImg8bit` and `gtFine`.
        split: `"train"`, `"validation"` or `"test"`.

    Raises:
        ValueError: If a folder is missing, or a frame or an annotation lacks its
            counterpart.
    """

    layout = Layout(
        "Cityscapes",
        "https://www.cityscapes-dataset.com/downloads/",
        _TREE,
        ("leftImg8bit", "gtFine"),
    )

    def __init__(self, path: str | Path, split: str = "train"):
        choose("split", split, _SPLITS)
        self._root, (self._folder, self.expected) = Path(path), _SPLITS[split]
        images, masks = f"leftImg8bit/{self._folder}", f"gtFine/{self._folder}"
        self.layout.require(self._root, images, masks)
        ids = {
            f"{file.parent.name}/{file.name.removesuffix(end)}"
            for folder, end in ((images, _IMAGE), (masks, _LABELS))
            for file in (self._root / folder).glob(f"*/*{end}")
        }
        items = [
            (
                id,
                self._root / images / f"{id}{_IMAGE}",
                self._root / masks / f"{id}{_LABELS}",
            )
            for id in sorted(ids)
        ]
        super().__init__(
            self.layout.complete(self._root, items),
            [name for name, _, _ in TRAIN_LABELS],
            [color for _, _, color in TRAIN_LABELS],
        )

    def read_mask(self, path: Path) -> np.ndarray:
        return recode(super().read_mask(path), TRAIN_ID_OF, path)

    def snippet_paths(self, index: int) -> list[Path]:
        """Returns the files of the 30 frames around a sample; it is the 20th.

        Frames count on from the number in the sample's name: 19 before, 10 after.

        Raises:
            ValueError: If the sequences, an archive of their own, or one of the frames
                are missing.
        """
        folder = f"leftImg8bit_sequence/{self._folder}"
        self.layout.require(self._root, folder)
        stem, number = self.ids[index].rsplit("_", 1)
        paths = [
            self._root / folder / f"{stem}_{int(number) + step:06}{_IMAGE}"
            for step in _FRAMES
        ]
        self.layout.complete(self._root, [(stem, *paths)])
        return paths

    def read_snippet(self, index: int) -> np.ndarray:
        """Reads the 30 frames of a sample as `(30, height, width, 3)`, uint8."""
        return np.stack([read_image(path) for path in self.snippet_paths(index)])


_IMAGE = "_leftImg8bit.png"
_LABELS = "_gtFine_labelIds.png"
