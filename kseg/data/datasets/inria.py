"""Inria Aerial Image Labeling: buildings of five cities seen from above."""

import re
from pathlib import Path

from kseg.data.datasets.dataset import Dataset, Sample
from kseg.data.datasets.layout import Layout, choose, recode
from kseg.data.datasets.tiff import read_tiff_window, tiff_size

_VALIDATION = 5  # the authors validate on the first five pictures of each city
_PICTURES = {"train": 155, "validation": 25, "all": 180}
_TREE = """\
  <path>/train/images/austin1.tif … vienna36.tif
  <path>/train/gt/austin1.tif … vienna36.tif"""


class InriaAerial(Dataset):
    """Inria Aerial Image Labeling: 180 pictures of 5000x5000, in tiles; buildings.

    A sample is a tile, with the id `"austin1/1500_0500"`: picture, row and column of
    its first pixel. Only the tile is read from the GeoTIFF, never the whole. Where
    the size is no multiple of the tile the last one of a row or column overlaps the
    one before it, so that all tiles are of one size.

    Reference:
    - [Can Semantic Labeling Methods Generalize to Any
      City?](https://doi.org/10.1109/IGARSS.2017.8127684) (IGARSS 2017)

    Args:
        path: Root of the data set, the folder `AerialImageDataset`.
        split: `"train"`; `"validation"`, the first five pictures of each city as the
            authors recommend; or `"all"`. The masks of the test cities are not
            published.
        tile: Height and width of a tile. `500` divides the pictures without overlap.

    Raises:
        ImportError: If tifffile is not installed.
        ValueError: If a folder is missing, a picture or a mask lacks its counterpart
            or is smaller than a tile.
    """

    layout = Layout(
        "Inria Aerial Image Labeling",
        "https://project.inria.fr/aerialimagelabeling/",
        _TREE,
        ("train/images/*.tif", "train/gt/*.tif"),
    )

    def __init__(self, path: str | Path, split: str = "train", tile: int = 500):
        choose("split", split, _PICTURES)
        if not isinstance(tile, int) or tile < 1:
            raise ValueError(
                f"`tile` must be a positive integer. Received: tile={tile!r}"
            )
        root = Path(path)
        self.layout.require(root, "train/images", "train/gt")
        names = {
            file.stem
            for kind in ("images", "gt")
            for file in (root / "train" / kind).glob("*.tif")
        }
        pictures = self.layout.complete(
            root,
            [
                (
                    name,
                    *(root / f"train/{kind}/{name}.tif" for kind in ("images", "gt")),
                )
                for name in sorted(names, key=_city_and_number)
                if split in ("all", _split(name))
            ],
        )
        self.tile = tile
        items = []
        for name, image, mask in pictures:
            size = tiff_size(image)
            if min(size) < tile or tiff_size(mask) != size:
                raise ValueError(
                    f"A picture must have the size of its mask, at least {tile}. "
                    f"Received: {str(image)!r} of {size}, "
                    f"{str(mask)!r} of {tiff_size(mask)}"
                )
            items += [
                (f"{name}/{top:04}_{left:04}", image, mask)
                for top in _starts(size[0], tile)
                for left in _starts(size[1], tile)
            ]
        # As published a picture holds a whole number of tiles, or one more a side.
        self.expected = _PICTURES[split] * (-(-5000 // tile)) ** 2
        super().__init__(
            items, ("background", "building"), ((0, 0, 0), (255, 255, 255))
        )

    def read_sample(self, id: str, image_path: Path, mask_path: Path) -> Sample:
        top, left = map(int, id.rsplit("/", 1)[1].split("_"))
        image, mask = (
            read_tiff_window(path, top, left, self.tile, self.tile)
            for path in (image_path, mask_path)
        )
        if image.ndim != 3 or image.dtype != "uint8" or mask.ndim != 2:
            raise ValueError(
                "A picture must be RGB of 8 bits and its mask greyscale. Received: "
                f"{str(image_path)!r} of {image.dtype} {image.shape}, "
                f"{str(mask_path)!r} of {mask.shape}"
            )
        return Sample(image[..., :3], recode(mask, {0: 0, 255: 1}, mask_path), id)


def _starts(size, tile):
    return [*range(0, size - tile, tile), size - tile]


def _city_and_number(name):
    city, number = re.fullmatch("(.*?)([0-9]*)", name).groups()
    return city, int(number or 0)


def _split(name):
    return "validation" if 1 <= _city_and_number(name)[1] <= _VALIDATION else "train"
