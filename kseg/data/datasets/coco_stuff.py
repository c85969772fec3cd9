"""COCO-Stuff: the photos of COCO 2017 with objects and what surrounds them."""

from pathlib import Path

import numpy as np

from kseg.data.datasets.dataset import Dataset
from kseg.data.datasets.layout import Layout, choose, recode
from kseg.plot import palette

# Ids 1 to 182; a dash stands for the eleven that no pixel has.
# Source: nightrome/cocostuff, labels.txt and its README
_LABELS = """
person|bicycle|car|motorcycle|airplane|bus|train|truck|boat|traffic light|
fire hydrant|-|stop sign|parking meter|bench|bird|cat|dog|horse|sheep|cow|elephant|
bear|zebra|giraffe|-|backpack|umbrella|-|-|handbag|tie|suitcase|frisbee|skis|
snowboard|sports ball|kite|baseball bat|baseball glove|skateboard|surfboard|
tennis racket|bottle|-|wine glass|cup|fork|knife|spoon|bowl|banana|apple|sandwich|
orange|broccoli|carrot|hot dog|pizza|donut|cake|chair|couch|potted plant|bed|-|
dining table|-|-|toilet|-|tv|laptop|mouse|remote|keyboard|cell phone|microwave|oven|
toaster|sink|refrigerator|-|book|clock|vase|scissors|teddy bear|hair drier|
toothbrush|-|banner|blanket|branch|bridge|building-other|bush|cabinet|cage|cardboard|
carpet|ceiling-other|ceiling-tile|cloth|clothes|clouds|counter|cupboard|curtain|
desk-stuff|dirt|door-stuff|fence|floor-marble|floor-other|floor-stone|floor-tile|
floor-wood|flower|fog|food-other|fruit|furniture-other|grass|gravel|ground-other|hill|
house|leaves|light|mat|metal|mirror-stuff|moss|mountain|mud|napkin|net|paper|pavement|
pillow|plant-other|plastic|platform|playingfield|railing|railroad|river|road|rock|roof|
rug|salad|sand|sea|shelf|sky-other|skyscraper|snow|solid-other|stairs|stone|straw|
structural-other|table|tent|textile-other|towel|tree|vegetable|wall-brick|
wall-concrete|wall-other|wall-panel|wall-stone|wall-tile|wall-wood|water-other|
waterdrops|window-blind|window-other|wood
"""
_NAMES = _LABELS.replace("\n", "").split("|")
# Files hold id - 1, and 255 where nothing is labelled.
_CLASS_OF = {
    value: class_id
    for class_id, value in enumerate(i for i, name in enumerate(_NAMES) if name != "-")
} | {255: 255}
_SPLITS = {"train": ("train2017", 118287), "validation": ("val2017", 5000)}
_TREE = """\
  <path>/images/train2017/000000000009.jpg …        images/val2017/…
  <path>/annotations/train2017/000000000009.png …   annotations/val2017/…
The annotations are those of stuffthingmaps_trainval2017.zip."""


class COCOStuff(Dataset):
    """COCO-Stuff 164k: 118,287 and 5,000 photos, 171 classes: 80 things, 91 stuff.

    The files number 182 classes, eleven of which never occur; here the 171 that do
    count from 0 to 170 in the same order. Unlabelled pixels are 255.

    Reference:
    - [COCO-Stuff](https://arxiv.org/abs/1612.03716) (CVPR 2018)

    Args:
        path: Root of the data set, the folder `dataset` of its page.
        split: `"train"` or `"validation"`.

    Raises:
        ValueError: If a folder is missing, or a photo or an annotation lacks its
            counterpart.
    """

    layout = Layout(
        "COCO-Stuff 164k",
        "https://github.com/nightrome/cocostuff",
        _TREE,
        ("images/val2017", "annotations/val2017"),
    )

    def __init__(self, path: str | Path, split: str = "train"):
        choose("split", split, _SPLITS)
        root, (folder, self.expected) = Path(path), _SPLITS[split]
        images, masks = f"images/{folder}", f"annotations/{folder}"
        self.layout.require(root, images, masks)
        ids = {
            file.stem
            for pattern in (f"{images}/*.jpg", f"{masks}/*.png")
            for file in root.glob(pattern)
        }
        items = [
            (id, root / images / f"{id}.jpg", root / masks / f"{id}.png")
            for id in sorted(ids)
        ]
        names = [name for name in _NAMES if name != "-"]
        colors = palette(len(names), background=False)
        super().__init__(self.layout.complete(root, items), names, colors)

    def read_mask(self, path: Path) -> np.ndarray:
        return recode(super().read_mask(path), _CLASS_OF, path)
