"""CelebAMask-HQ: portraits with the parts of the face outlined."""

from pathlib import Path

import numpy as np
from PIL import Image

from kseg.data.datasets.dataset import Dataset, Sample
from kseg.data.datasets.layout import Layout, choose
from kseg.data.reading import read_image, read_mask

# Order and colours: switchablenorms/CelebAMask-HQ, face_parsing/Data_preprocessing,
# g_mask.py and g_color.py
_CLASSES = {
    "background": (0, 0, 0),
    "skin": (204, 0, 0),
    "nose": (76, 153, 0),
    "eye_g": (204, 204, 0),
    "l_eye": (51, 51, 255),
    "r_eye": (204, 0, 204),
    "l_brow": (0, 255, 255),
    "r_brow": (255, 204, 204),
    "l_ear": (102, 51, 0),
    "r_ear": (255, 0, 0),
    "mouth": (102, 204, 0),
    "u_lip": (255, 255, 0),
    "l_lip": (0, 0, 153),
    "hair": (0, 0, 204),
    "hat": (255, 51, 153),
    "ear_r": (0, 204, 204),
    "neck_l": (0, 51, 0),
    "neck": (255, 153, 51),
    "cloth": (0, 204, 0),
}
# Numbers of the photos in CelebA, by which g_partition.py divides
_SPLITS = {
    "train": (0, 162770),
    "validation": (162771, 182637),
    "test": (182638, 202599),
    "all": (0, 202599),
}
_COUNTS = {"train": 24183, "validation": 2993, "test": 2824, "all": 30000}
_PHOTOS, _PARTS = "CelebA-HQ-img", "CelebAMask-HQ-mask-anno"
_MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"
_TREE = f"""\
  <path>/{_PHOTOS}/0.jpg … 29999.jpg
  <path>/{_PARTS}/0/00000_skin.png, 00000_hair.png … 14/29999_skin.png
  <path>/{_MAPPING}"""


class CelebAMaskHQ(Dataset):
    """CelebAMask-HQ: 24,183, 2,993 and 2,824 faces, 18 parts and the background.

    The parts of a face are files of their own, 512x512; where they overlap the later
    class wins, as in the authors' script. The photos, 1024x1024, are reduced to the
    size of the masks by the mean of each 2x2 pixels. Left and right are the person's.

    Reference:
    - [MaskGAN](https://arxiv.org/abs/1907.11922) (CVPR 2020)

    Args:
        path: Root of the data set, the folder `CelebAMask-HQ`.
        split: `"train"`, `"validation"`, `"test"` (CelebA's division), or `"all"`.

    Raises:
        ValueError: If a folder or the mapping is missing, or a photo of the split or
            all parts of one.
    """

    layout = Layout(
        "CelebAMask-HQ",
        "https://github.com/switchablenorms/CelebAMask-HQ",
        _TREE,
        (_PHOTOS, _PARTS),
    )

    def __init__(self, path: str | Path, split: str = "train"):
        choose("split", split, _SPLITS)
        root = Path(path)
        self.layout.require(root, *self.layout.markers, _MAPPING)
        # The first part found stands for all of a face.
        parts = {}
        for name in list(_CLASSES)[:0:-1]:
            for file in (root / _PARTS).glob(f"*/[0-9]*_{name}.png"):
                parts[int(file.name.split("_")[0])] = file
        first, last = _SPLITS[split]
        items = [
            (
                str(number),
                root / _PHOTOS / f"{number}.jpg",
                parts.get(number, root / _PARTS / _part(number, "skin")),
            )
            for number, original in self._mapping(root)
            if first <= original <= last
        ]
        self.expected = _COUNTS[split]
        super().__init__(self.layout.complete(root, items), _CLASSES, _CLASSES.values())

    def read_sample(self, id: str, image_path: Path, mask_path: Path) -> Sample:
        image, mask = read_image(image_path), self.read_mask(mask_path)
        factor = image.shape[0] // mask.shape[0]
        if image.shape[:2] != tuple(n * factor for n in mask.shape):
            raise ValueError(
                "A photo must be as large as its mask or a multiple of it. Received: "
                f"{str(image_path)!r} of {image.shape[:2]}, "
                f"{str(mask_path)!r} of {mask.shape}"
            )
        if factor > 1:
            image = np.array(Image.fromarray(image).reduce(factor))
        return Sample(image=image, mask=mask, id=id)

    def read_mask(self, path: Path) -> np.ndarray:
        """Reads all parts of the face that `path` shows a part of."""
        number = path.name.split("_")[0]
        mask = None
        for class_id, name in enumerate(_CLASSES):
            file = path.with_name(f"{number}_{name}.png")
            if not file.is_file():
                continue
            part = read_mask(file)
            if mask is None:
                mask = np.zeros(part.shape, np.uint8)
            elif part.shape != mask.shape:
                raise ValueError(
                    "The parts of a face must have one size. Received: "
                    f"{str(file)!r} of {part.shape} after parts of {mask.shape}"
                )
            mask[part > 0] = class_id
        if mask is None:
            raise ValueError(
                f"A face must have a part in a file. Received: {str(path)!r}"
            )
        return mask

    def _mapping(self, root):
        """`(number here, number in CelebA)`; the first line is a heading."""
        lines = self.layout.text(root, _MAPPING).splitlines()[1:]
        try:
            return [tuple(map(int, line.split()[:2])) for line in lines if line.strip()]
        except ValueError as error:
            self.layout.refuse(root, f"with a damaged {_MAPPING} ({error})")


def _part(number, name):
    return f"{number // 2000}/{number:05}_{name}.png"
