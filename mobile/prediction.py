"""Masks of whole folders of photos, and what a model file takes and gives."""

import functools
from pathlib import Path

from PIL import Image
from rich.progress import track

from kseg import plot
from kseg.files import write_whole
from kseg.mobile.graph import op_counts
from kseg.mobile.images import read_image
from kseg.mobile.metadata import read_metadata
from kseg.mobile.segmenter import load

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


def predict(model, images, output):
    """Writes a mask and an overlay for every photo.

    Args:
        model: A `.keras` or `.tflite` file, or the name of a shipped net.
        images: Photos and folders of photos; a folder is searched at any depth.
        output: Folder to write `NAME_mask.png` (class ids, palette of colours) and
            `NAME_overlay.jpg` to; the folders of `images` are kept below it.

    Returns:
        The paths of the masks.

    Raises:
        FileNotFoundError: If there is no photo.
        ValueError: If a photo cannot be read, or two would have the same mask.
    """
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
    colors = plot.palette(max(2, segmenter.num_classes or 256))
    written = []
    for (photo, _), target in track(
        list(zip(photos, targets, strict=True)), "Segmenting", transient=True
    ):
        image = read_image(photo)
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
    return written


def describe_model(model):
    """Says what a model file takes and gives.

    Args:
        model: A `.keras` or `.tflite` file, or the name of a shipped net.

    Returns:
        A dict of texts, by what they say.
    """
    segmenter = load(model)
    path = Path(model)
    size = segmenter.input_size
    rows = {
        "model": str(model),
        "input": "RGB 0–255, "
        + (f"{size[0]} x {size[1]}" if size else "any height and width"),
        "classes": str(segmenter.num_classes or "ids only")
        + (": the probability of the foreground" if segmenter.num_classes == 1 else ""),
    }
    if segmenter.labels:
        rows["labels"] = ", ".join(segmenter.labels)
    if isinstance(segmenter.model, str | Path):
        path = Path(segmenter.model)
        content = path.read_bytes()
        rows["operations"] = ", ".join(
            f"{count} {name}" for name, count in op_counts(content).items()
        )
        metadata = read_metadata(content)
        rows["metadata"] = str(metadata) if metadata else "none"
    else:
        rows["parameters"] = f"{segmenter.model.count_params():,}"
        rows["layers"] = str(len(segmenter.model.layers))
    if path.is_file():
        rows["size"] = f"{path.stat().st_size / 1e6:.2f} MB"
    return rows


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
