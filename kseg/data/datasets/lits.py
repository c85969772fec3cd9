"""LiTS: computed tomography of the abdomen, the liver and its tumours outlined."""

import re
from pathlib import Path

import numpy as np

from kseg.data.datasets.dataset import Dataset, Sample
from kseg.data.datasets.layout import Layout, choose, recode

_TREE = """\
  <path>/Training Batch 1/volume-0.nii, segmentation-0.nii …
  <path>/Training Batch 2/volume-28.nii, segmentation-28.nii …   (or .nii.gz)"""


class LiTS(Dataset):
    """LiTS: 131 CT volumes with liver and tumour, slice by slice or whole.

    Slices are axial and shown as radiologists see them: the front of the body is up,
    the patient's right is on the left. The first slice is the lowest. Hounsfield
    values within the window become grey values 0 to 255. A mask follows the
    orientation of its volume, voxel by voxel.

    Reference:
    - [The Liver Tumor Segmentation Benchmark](https://arxiv.org/abs/1901.04056)
      (Medical Image Analysis 2023)

    Args:
        path: Folder that holds the volumes, at any depth.
        split: `"train"`; the masks of the test volumes are not published.
        volumes: Whether a sample is a whole volume, of shapes
            `(slices, height, width, 1)` and `(slices, height, width)`, instead of a
            slice, `(height, width, 3)` and `(height, width)`. The ids are
            `"volume-0"` and `"volume-0/017"`.
        window: Level and width of the window in Hounsfield units: the values
            `level - width / 2` and `level + width / 2` become 0 and 255. The default
            shows soft tissue.

    Raises:
        ImportError: If nibabel is not installed.
        ValueError: If there are no volumes, one lacks its segmentation, or the two
            differ in size.
    """

    layout = Layout(
        "LiTS",
        "https://competitions.codalab.org/competitions/17094",
        _TREE,
        ("**/volume-*.nii*", "**/segmentation-*.nii*"),
    )

    def __init__(
        self,
        path: str | Path,
        split: str = "train",
        volumes: bool = False,
        window: tuple[float, float] = (50, 400),
    ):
        choose("split", split, ("train",))
        if len(window) != 2 or not window[1] > 0:
            raise ValueError(
                "`window` must be a pair (level, width), the width positive. "
                f"Received: window={window!r}"
            )
        root = Path(path)
        found = {
            int(match[1]): file
            for file in root.rglob("volume-*.nii*")
            if (match := re.fullmatch(r"volume-(\d+)\.nii(\.gz)?", file.name))
        }
        self.volumes, self.window = volumes, tuple(window)
        self.expected = 131 if volumes else None
        pairs = self.layout.complete(
            root,
            [
                (f"volume-{number}", file, _segmentation(file))
                for number, file in sorted(found.items())
            ],
        )
        items = []
        for id, image, mask in pairs:
            shape = _open(image).shape
            if len(shape) != 3 or _open(mask).shape != shape:
                raise ValueError(
                    "A volume and its segmentation must have one size. Received: "
                    f"{str(image)!r} of {shape}, {str(mask)!r} of {_open(mask).shape}"
                )
            count = shape[_orientation(image)[0].index(2)]
            ids = [id] if volumes else [f"{id}/{i:03}" for i in range(count)]
            items += [(id, image, mask) for id in ids]
        super().__init__(
            items,
            ("background", "liver", "tumour"),
            ((0, 0, 0), (230, 159, 0), (86, 180, 233)),
        )

    def read_sample(self, id: str, image_path: Path, mask_path: Path) -> Sample:
        index = None if self.volumes else int(id.rsplit("/", 1)[1])
        axes = _orientation(image_path)
        values, mask = (_read(path, axes, index) for path in (image_path, mask_path))
        level, width = self.window
        grey = np.clip((values - (level - width / 2)) * (255 / width), 0, 255)
        image = np.rint(grey).astype(np.uint8)[..., None]
        if not self.volumes:
            image = np.repeat(image, 3, axis=-1)
        table = {0: 0, 1: 1, 2: 2}
        return Sample(image, recode(mask.astype(np.int32), table, mask_path), id)


def _segmentation(volume):
    """The file of the mask, compressed or not."""
    stem = volume.name.split(".")[0].replace("volume", "segmentation")
    for suffix in (".nii", ".nii.gz"):
        if (volume.parent / f"{stem}{suffix}").is_file():
            return volume.parent / f"{stem}{suffix}"
    return volume.parent / f"{stem}.nii"


def _read(path, axes, index):
    """A slice `(height, width)`, or all of them if `index` is `None`."""
    order, flipped = axes
    data = _open(path).dataobj
    axial = order.index(2)
    where = [slice(None)] * 3
    if index is not None:
        last = data.shape[axial] - 1
        index = last - index if flipped[axial] else index
        where[axial] = slice(index, index + 1)  # an uncompressed file reads no more
    try:
        voxels = np.asarray(data[tuple(where)])
    except Exception as error:  # zlib, OSError, ValueError: whatever damage provokes
        raise ValueError(
            "A NIfTI file must be whole. "
            f"Received: {str(path)!r} ({type(error).__name__}: {error})"
        ) from error
    for axis in range(3):
        # Towards the right and the front is backwards in the picture.
        backwards = flipped[axis] if order[axis] == 2 else not flipped[axis]
        if backwards and voxels.shape[axis] > 1:
            voxels = np.flip(voxels, axis)
    voxels = voxels.transpose([order.index(2), order.index(1), order.index(0)])
    return voxels if index is None else voxels[0]


def _orientation(path):
    """For each axis of the file which of right, front, top it is, and if reversed."""
    import nibabel

    found = nibabel.io_orientation(_open(path).affine)
    return [int(axis) for axis in found[:, 0]], [way < 0 for way in found[:, 1]]


def _open(path):
    try:
        import nibabel
    except ImportError as error:
        raise ImportError(
            "NIfTI volumes are read with nibabel: `pip install 'kseg[data]'`."
        ) from error
    try:
        return nibabel.load(path)
    except Exception as error:  # nibabel has errors of its own
        raise ValueError(
            "A NIfTI file must be there and whole. "
            f"Received: {str(path)!r} ({type(error).__name__}: {error})"
        ) from error
