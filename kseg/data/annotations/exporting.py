"""Masks -> files that annotation tools open, so that a model can pre-annotate."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from kseg.data.annotations.classes import BACKGROUND, IGNORE, IGNORED
from kseg.data.annotations.photos import upright_size
from kseg.data.annotations.rasterizing import fill_polygon
from kseg.data.annotations.runs import encode_runs, pack_counts
from kseg.data.annotations.tracing import Region, simplify, trace
from kseg.files import write_whole


def to_labelme(
    mask: np.ndarray,
    class_names: Sequence[str],
    image: str | Path,
    output: str | Path,
    *,
    tolerance: float = 0.0,
    smallest_area: int = 1,
) -> None:
    """Writes a mask as a file of LabelMe, one polygon per region.

    Regions are ordered as LabelMe and `convert` paint them: what lies inside a region
    comes after it. A hole is a polygon "_background_", pixels to ignore are "__ignore__".
    With the defaults, `convert` gives back the mask exactly.

    Args:
        mask: Integer array of shape `(height, width)`: class ids, 255 for pixels to
            ignore.
        class_names: The name of each class id. Of a class "background" only what lies
            in holes is written.
        image: The photo, of the size of the mask.
        output: The `.json` file to write; LabelMe looks for it beside the photo, under
            the photo's name.
        tolerance: Leave out points that move an outline by at most so many pixels.
            Outlines follow the edges of pixels; 1 makes them easy to edit.
        smallest_area: Leave out regions of fewer pixels.

    Raises:
        TypeError: If the mask holds no integers.
        ValueError: If the mask holds a class without name, has not the size of the
            photo, or an argument is out of range.
    """
    mask = _checked(mask, class_names, image, tolerance, smallest_area)
    painted = np.full(mask.shape, -1)
    shapes = []
    for region in _ordered(mask, smallest_area):
        name = _name(region, class_names)
        row, column = region.top, region.left + int(region.inside[0].argmax())
        if name == BACKGROUND and painted[row, column] == -1:
            continue  # outside all regions
        ring = simplify(region.rings[0], tolerance)
        window = fill_polygon([region.rings[0]], *mask.shape)
        painted[window.slices][window.inside] = region.class_id
        shapes.append(
            {
                "label": "_background_" if name == BACKGROUND else name,
                "points": _off_border(ring, mask.shape).tolist(),
                "group_id": None,
                "description": "",
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
            }
        )
    content = {
        "version": "5.7.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": _relative(image, output),
        "imageData": None,
        "imageHeight": mask.shape[0],
        "imageWidth": mask.shape[1],
    }
    _write(output, content)


def to_coco(
    samples: Iterable[tuple[str | Path, np.ndarray]],
    class_names: Sequence[str],
    output: str | Path,
    *,
    tolerance: float = 0.0,
    smallest_area: int = 1,
) -> None:
    """Writes masks as one file of COCO's object detection, one object per region.

    A region without holes is a polygon, one with holes compressed run lengths, because
    COCO's polygons have no holes; run lengths are exact whatever the tolerance. Pixels to
    ignore are of a category "__ignore__". With the defaults, `convert` gives back the
    masks exactly.

    Args:
        samples: Pairs of a photo and its mask, as for `to_labelme`.
        class_names: The name of each class id; "background" is not written.
        output: The `.json` file to write. Photos are named relative to its folder.
        tolerance: As for `to_labelme`.
        smallest_area: As for `to_labelme`.

    Raises:
        TypeError: If a mask holds no integers.
        ValueError: As for `to_labelme`.
    """
    pictures, objects, ignored = [], [], False
    for image_id, (image, mask) in enumerate(samples, 1):
        mask = _checked(mask, class_names, image, tolerance, smallest_area)
        height, width = mask.shape
        pictures.append(
            {
                "id": image_id,
                "file_name": _relative(image, output),
                "height": height,
                "width": width,
            }
        )
        for region in _ordered(mask, smallest_area):
            if _name(region, class_names) == BACKGROUND:
                continue
            ignored = ignored or region.class_id == IGNORED
            rows, columns = region.inside.shape
            objects.append(
                {
                    "id": len(objects) + 1,
                    "image_id": image_id,
                    "category_id": region.class_id,
                    "segmentation": _segmentation(region, mask.shape, tolerance),
                    "area": region.area,
                    "bbox": [region.left, region.top, columns, rows],
                    "iscrowd": 0,
                }
            )
    names = [*enumerate(class_names), *([(IGNORED, IGNORE)] if ignored else [])]
    categories = [
        {"id": class_id, "name": name, "supercategory": ""}
        for class_id, name in names
        if name != BACKGROUND
    ]
    content = {"images": pictures, "annotations": objects, "categories": categories}
    _write(output, content)


def _off_border(ring, size):
    """Moves points at width - 1 and height - 1, which LabelMe takes for the border.

    So little, that the same pixels are inside.
    """
    border = np.array(size[::-1]) - 1
    return np.where(ring == border, border - 0.01, ring)


def _segmentation(region, size, tolerance):
    if len(region.rings) == 1:
        return [simplify(region.rings[0], tolerance).ravel().tolist()]
    whole = np.zeros(size, bool)
    rows, columns = region.inside.shape
    whole[region.top : region.top + rows, region.left : region.left + columns] = (
        region.inside
    )
    counts = encode_runs(whole, order="F")
    return {"size": list(size), "counts": pack_counts(counts)}


def _ordered(mask, smallest_area) -> list[Region]:
    """The regions, each after those in whose holes it lies."""
    regions = [region for region in trace(mask) if region.area >= smallest_area]
    return sorted(regions, key=lambda region: -region.outer_area)


def _name(region, class_names):
    return IGNORE if region.class_id == IGNORED else class_names[region.class_id]


def _checked(mask, class_names, image, tolerance, smallest_area):
    mask = np.asarray(mask)
    if not np.issubdtype(mask.dtype, np.integer):
        raise TypeError(
            "`mask` must hold integer class ids; of scores take the argmax. "
            f"Received: mask of {mask.dtype}, shape={mask.shape}"
        )
    if mask.ndim != 2 or not mask.size:
        raise ValueError(
            "`mask` must be of shape (height, width). "
            f"Received: mask.shape={mask.shape}"
        )
    wrong = (mask < 0) | (mask >= len(class_names)) & (mask != IGNORED)
    if wrong.any():
        raise ValueError(
            f"`mask` must hold class ids 0..{len(class_names) - 1}, one per class name, "
            f"or {IGNORED}. Received: mask with {np.unique(mask[wrong])[:10].tolist()}"
        )
    if not tolerance >= 0 or smallest_area < 1:
        raise ValueError(
            "`tolerance` must be 0 or more, and `smallest_area` 1 or more. Received: "
            f"tolerance={tolerance}, smallest_area={smallest_area}"
        )
    size = upright_size(Path(image))
    if mask.shape != size:
        raise ValueError(
            "`mask` must have the height and width of the photo. Received: "
            f"mask.shape={mask.shape}, image={str(image)!r} of {size}"
        )
    return mask


def _relative(image, output):
    folder = Path(output).resolve().parent
    return Path(os.path.relpath(Path(image).resolve(), folder)).as_posix()


def _write(output, content):
    """Writes a JSON file that is whole or not there."""
    output = Path(output)
    if output.suffix.lower() != ".json":
        raise ValueError(
            f"`output` must end in .json. Received: output={str(output)!r}"
        )
    text = json.dumps(content, ensure_ascii=False) + "\n"
    write_whole(output, text.encode())
