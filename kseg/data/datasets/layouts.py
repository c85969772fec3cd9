"""Opens a folder as the data set that its layout shows it to be."""

import hashlib
from pathlib import Path

from kseg.data.datasets.camvid import CamVid, is_camvid
from kseg.data.datasets.camvid_color import CamVidColor
from kseg.data.datasets.ccp import CCP, is_ccp
from kseg.data.datasets.celebamask_hq import CelebAMaskHQ
from kseg.data.datasets.cityscapes import Cityscapes
from kseg.data.datasets.coco_stuff import COCOStuff
from kseg.data.datasets.dataset import Dataset
from kseg.data.datasets.davis import DAVIS
from kseg.data.datasets.diva_hisdb import DIVAHisDB
from kseg.data.datasets.image_folder import ImageFolder
from kseg.data.datasets.inria import InriaAerial
from kseg.data.datasets.kinect_scenes import KinectScenes
from kseg.data.datasets.kitti import KITTIRoad, KITTISemantic
from kseg.data.datasets.lits import LiTS
from kseg.data.datasets.modelnet40 import ModelNet40
from kseg.data.datasets.pascal_context import PascalContext
from kseg.data.datasets.pascal_voc import PascalVOC
from kseg.data.datasets.pratheepan import Pratheepan
from kseg.data.datasets.s3dis import S3DIS
from kseg.data.datasets.shapenet_part import ShapeNetPart
from kseg.files import as_path

# Every published data set by the name that the command line knows; each is opened
# as READERS[name](path, split=…).
READERS = {
    "camvid": CamVid,
    "camvid-color": CamVidColor,
    "ccp": CCP,
    "celebamask-hq": CelebAMaskHQ,
    "cityscapes": Cityscapes,
    "coco-stuff": COCOStuff,
    "davis": DAVIS,
    "diva-hisdb": DIVAHisDB,
    "inria-aerial": InriaAerial,
    "kinect-scenes": KinectScenes,
    "kitti-road": KITTIRoad,
    "kitti-semantic": KITTISemantic,
    "lits": LiTS,
    "modelnet40": ModelNet40,
    "pascal-context": PascalContext,
    "pascal-voc": PascalVOC,
    "pratheepan": Pratheepan,
    "s3dis": S3DIS,
    "shapenet-part": ShapeNetPart,
}
# What a net can be trained on as it lies there: pictures, with a validation split.
_RECOGNISED = (
    *(CamVidColor, CelebAMaskHQ, Cityscapes, COCOStuff, DAVIS, InriaAerial),
    *(PascalContext, PascalVOC),
)
_SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test",),
}
_TREES = """\
  images/… masks/…                                    (10 % are held out)
  images/train/… masks/train/… images/val/… masks/val/…   (or validation)
  train/images/… train/masks/… val/images/… val/masks/…   (or validation)
  photos/… annotations/pixel-level/… label_list.mat   (Clothing Co-Parsing)
  train/… trainannot/… val/… valannot/…               (CamVid as for SegNet)
or as published, each in the layout that its reader shows (kseg.data.datasets):
  """ + ", ".join(reader.__name__ for reader in _RECOGNISED)


def open_dataset(
    path: str | Path, split: str = "train", labels: str | None = None
) -> Dataset:
    """Opens a folder as the data set that its layout shows it to be.

    Recognised are Clothing Co-Parsing (`CCP`), `CamVid`, the data sets `CamVidColor`,
    `CelebAMaskHQ`, `Cityscapes`, `COCOStuff`, `DAVIS`, `InriaAerial`, `PascalContext`
    and `PascalVOC`, and folders of images and masks (`ImageFolder`):

    - `images/` and `masks/`, optionally each with `train/` and `val/`
    - `train/images/`, `train/masks/`, and optionally the same in `val/`

    A validation folder may be named `val`, `valid` or `validation`. Where there is
    none, the tenth of the samples whose ids hash lowest (SHA-256), at least one, is
    the validation split: the same on every machine and in every run, and `"all"` is
    both together.

    Args:
        path: Root of the data set.
        split: `"train"`, `"validation"`, or another split that the data set has
            (`"test"`; `"all"` for CCP and for folders without validation folder).
        labels: For data sets with several sets of labels (CCP, PASCAL Context) which
            to take.

    Returns:
        The data set. All splits of a folder have the same classes.

    Raises:
        ValueError: If nothing is recognised, the split is absent, or the data set
            has no choice of labels.
    """
    root = as_path(path)
    chosen = {} if labels is None else {"labels": labels}
    if is_ccp(root):
        return CCP(root, split, **chosen)
    if PascalContext.layout.fits(root):
        return PascalContext(root, split, **chosen)
    if labels is not None:
        raise ValueError(
            "`labels` must be None unless the data set has several sets of labels, as "
            f"CCP has. Received: labels={labels!r}, path={str(path)!r}"
        )
    for reader in _RECOGNISED:
        if reader.layout.fits(root):
            return reader(root, split)
    if is_camvid(root):
        return CamVid(root, split)
    folders = _split_folders(root)
    if not folders:
        raise ValueError(
            f"`path` must be a folder laid out in one of these ways:\n{_TREES}\n"
            f"Received: path={str(path)!r}"
            + (f" with {_entries(root)}" if root.is_dir() else ", which is no folder")
        )
    datasets = ImageFolder.splits(root, folders)
    if "validation" not in datasets:
        whole = datasets["train"]
        if split == "all":
            return whole
        datasets["train"], datasets["validation"] = _hold_out(whole)
        datasets["all"] = whole
    if split not in datasets:
        raise ValueError(
            f"`split` must be one of {', '.join(map(repr, datasets))} for this data "
            f"set. Received: split={split!r}, path={str(path)!r}"
        )
    return datasets[split]


def _split_folders(root):
    """Each split's image and mask folder below root; empty if there is no training."""
    found = {}
    for split, names in _SPLIT_FOLDERS.items():
        for name in names:
            for images, masks in (
                (Path("images", name), Path("masks", name)),
                (Path(name, "images"), Path(name, "masks")),
            ):
                # Test images often come without masks; others must have them.
                if (root / images).is_dir() and (
                    (root / masks).is_dir() or split != "test"
                ):
                    found.setdefault(split, (images, masks))
    if "train" not in found:
        plain = Path("images"), Path("masks")
        there = all((root / folder).is_dir() for folder in plain)
        return {"train": plain} if there else {}
    return found


def _hold_out(dataset):
    if len(dataset) < 2:
        raise ValueError(
            "A data set without validation folder must have at least 2 samples, one "
            f"of them to validate on. Received: {dataset!r}"
        )
    ranked = sorted(dataset.ids, key=lambda i: hashlib.sha256(i.encode()).digest())
    held_out = set(ranked[: max(1, round(len(ranked) / 10))])
    return (
        dataset.take(id for id in dataset.ids if id not in held_out),
        dataset.take(id for id in dataset.ids if id in held_out),
    )


def _entries(root):
    names = sorted(p.name + "/" * p.is_dir() for p in root.iterdir())
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "") or "nothing"
