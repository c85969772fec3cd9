"""Masks of whole folders of photos, as pictures and for annotation tools."""

import functools
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from kseg import plot
from kseg.files import write_whole
from kseg.mobile.images import read_image
from kseg.mobile.segmenter import forget_frames, load

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
ANNOTATIONS = ("labelme", "coco")
# Outlines that follow each edge of a pixel have too many points to be corrected by hand.
_TOLERANCE = 1.0
_MOST_CLASSES = 255  # the next id stands for pixels to ignore


def predict(model, images, output, annotations: str | None = None):
    """Writes a mask and an overlay for every photo.

    Args:
        model: A `.keras` or `.tflite` file, or the name of a shipped net.
        images: Photos and folders of photos; a folder is searched at any depth.
        output: Folder to write `NAME_mask.png` (class ids, palette of colours) and
            `NAME_overlay.jpg` to; the folders of `images` are kept below it.
        annotations: A tool to correct the masks with: `"labelme"` writes `NAME.json`
            for every photo too, `"coco"` one `annotations.json` for all. Outlines are
            simplified by up to a pixel; `kseg.data.annotations` writes exact ones.
            Classes are named as in the `.tflite`, or in the `config.json` that `kseg
            train` leaves beside the model, else by their ids, with 0 for background.

    Returns:
        The paths of the masks.

    Raises:
        FileNotFoundError: If there is no photo.
        ValueError: If a photo cannot be read, or two would have the same mask.
    """
    if annotations not in (None, *ANNOTATIONS):
        raise ValueError(
            f"`annotations` must be one of {ANNOTATIONS} or None. "
            f"Received: annotations={annotations!r}"
        )
    photos = _photos(images)
    output = Path(output)
    targets = [output / place.with_suffix("") for _, place in photos]
    seen = {}
    for (photo, _), target in zip(photos, targets, strict=True):
        if target in seen:
            raise ValueError(
                "`images` must have different names: both "
                f"{str(seen[target])!r} and {str(photo)!r} would be written to "
                f"{str(target) + '_mask.png'!r}"
            )
        seen[target] = photo
    segmenter = load(model)
    names = annotations and _class_names(model, segmenter)
    colors = plot.palette(max(2, segmenter.num_classes or 256))
    written = []
    for (photo, _), target in track(
        list(zip(photos, targets, strict=True)), "Segmenting", transient=True
    ):
        image = read_image(photo)
        forget_frames(segmenter)
        result = segmenter.segment(image, output_confidence_masks=False)
        mask = result.category_mask
        target.parent.mkdir(parents=True, exist_ok=True)
        path = target.with_name(target.name + "_mask.png")
        picture = Image.fromarray(mask)
        if mask.dtype == "uint8":
            picture = picture.convert("P")
            picture.putpalette([int(c) for color in colors for c in color])
        write_whole(path, picture.save)
        overlay = plot.overlay(image, mask, colors)
        write_whole(
            target.with_name(target.name + "_overlay.jpg"),
            functools.partial(overlay.save, quality=92),
        )
        written.append(path)
    samples = zip((photo for photo, _ in photos), written, strict=True)
    if annotations == "labelme":
        _to_labelme(samples, targets, names)
    elif annotations == "coco":
        _to_coco(samples, output / "annotations.json", names)
    return written


def _to_labelme(samples, targets, names):
    from kseg.data.annotations import to_labelme

    for (photo, path), target in zip(samples, targets, strict=True):
        file = target.with_name(target.name + ".json")
        to_labelme(_read_mask(path), names, photo, file, tolerance=_TOLERANCE)


def _to_coco(samples, file, names):
    from kseg.data.annotations import to_coco

    masks = ((photo, _read_mask(path)) for photo, path in samples)
    to_coco(masks, names, file, tolerance=_TOLERANCE)


def _read_mask(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def _class_names(model, segmenter):
    """One name per class id; "background" is what the tools leave unpainted."""
    count = segmenter.num_classes
    names = segmenter.labels
    if not names and count is not None:
        names = ("background", *(f"class {n}" for n in range(1, max(2, count))))
    if not names or len(names) > _MOST_CLASSES:
        raise ValueError(
            f"`annotations` needs a net of at most {_MOST_CLASSES} classes, as many as "
            "its file says. Received: "
            f"{len(names) or 'an unknown number of'} classes, model={str(model)!r}"
        )
    return names


def _photos(images):
    """Pairs of a photo and its place below the output folder, sorted."""
    if isinstance(images, str | Path):
        images = [images]
    found = []
    for item in map(Path, images):
        if item.is_dir():
            inside = [p for p in item.rglob("*") if p.suffix.lower() in SUFFIXES]
            found += [(p, p.relative_to(item)) for p in sorted(inside)]
        elif item.is_file():
            found.append((item, Path(item.name)))
        else:
            raise FileNotFoundError(
                "`images` must be photos or folders of photos. "
                f"Received: {str(item)!r}, which does not exist"
            )
    if not found:
        raise FileNotFoundError(
            f"`images` must hold photos ({', '.join(sorted(SUFFIXES))}). "
            f"Received: {[str(i) for i in images]}, where none is"
        )
    return found
