"""Writes converted pictures: a folder that is whole or not there."""

import dataclasses
import os
import secrets
import shutil
import unicodedata
from collections import Counter
from pathlib import Path, PurePath

import numpy as np
from PIL import Image

from kseg.data.annotations import documents, labelme
from kseg.data.annotations.classes import IGNORED, ClassTable
from kseg.data.annotations.painting import paint
from kseg.data.annotations.photos import PICTURES
from kseg.data.annotations.places import Place
from kseg.data.annotations.report import Report
from kseg.data.annotations.shapes import Picture
from kseg.data.scanning import raise_problems, scan
from kseg.files import write_json
from kseg.plot import palette

# PASCAL VOC's colour of pixels to ignore; white would be that of a foreground.
_VOID = (224, 224, 192)
_SPLITS = ("train", "training", "validation", "val", "valid", "test")


@dataclasses.dataclass(frozen=True, eq=False)
class Item:
    """A picture of which everything is known.

    Attributes:
        annotations: The file that holds its shapes.
        picture: The picture.
        photo: The photo; if `embedded`, what it would be called beside that file.
        size: Its height and width, upright.
        embedded: Whether the photo is in the file of annotations.
    """

    annotations: Path
    picture: Picture
    photo: Path
    size: tuple[int, int]
    embedded: bool


def write_folder(
    items: list[Item],
    table: ClassTable,
    report: Report,
    instances: bool,
    line_width: float,
) -> Report:
    """Writes photos and masks to `report.output`; returns the completed report.

    All is written to a hidden folder beside it, which is renamed at the end, and
    removed if anything fails.
    """
    names = _names(items)
    output = report.output
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output.with_name(f".{output.name}.{secrets.token_hex(4)}")
    unfinished.mkdir()
    try:

        def write(index):
            return _write(items[index], names[index], unfinished, table, line_width)

        def write_all(index):
            painting, counts = write(index)
            if instances:
                path = unfinished / "instances" / f"{names[index]}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(painting.instances).save(path)
            return painting.empty, counts

        results = scan(write_all, range(len(items)), "Painting masks")
        problems = [str(result) for result in results if isinstance(result, Exception)]
        raise_problems(problems, len(items), "pictures")
        report = _complete(report, items, names, results)
        write_json(unfinished / "classes.json", list(table.names))
        write_json(unfinished / "report.json", report.to_dict())
        if output.exists():
            output.rmdir()  # empty; where it is not, this is the error
        unfinished.rename(output)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return report


def _write(item, name, folder, table, line_width):
    painting = paint(item.picture.shapes, item.size, table, line_width)
    photo = folder / "images" / f"{name}{item.photo.suffix}"
    mask = folder / "masks" / f"{name}.png"
    for path in (photo, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    if item.embedded:
        place = Place(item.picture.place.file)
        document = documents.read_document(item.annotations, place)
        photo.write_bytes(labelme.photo(document))
    else:
        shutil.copyfile(item.photo, photo)
    image = Image.fromarray(painting.mask)
    image.putpalette(np.array((*palette(IGNORED), _VOID), np.uint8).tobytes())
    image.save(mask)
    counts = np.bincount(painting.mask.ravel(), minlength=256)
    return painting, counts


def _names(items):
    """Path of each picture in the output, without suffix: its id in the data set."""
    parents = [str(item.photo.parent) for item in items]
    root = Path(os.path.commonpath(parents))
    names, problems = [], []
    taken = {}
    for item in items:
        relative = item.photo.relative_to(root)
        first, *others = relative.with_suffix("").parts
        if others and first.lower() in _SPLITS:
            first = first.lower()
        name = PurePath(first, *others).as_posix()
        key = unicodedata.normalize("NFC", name).casefold()
        other = taken.setdefault(key, item)
        if any(part.startswith((".", "__MACOSX")) for part in relative.parts):
            problems.append(f"{item.photo} is hidden: rename it")
        elif item.photo.suffix.lower() not in PICTURES:
            problems.append(f"{item.photo} does not end in {', '.join(PICTURES)}")
        elif other is not item:
            problems.append(
                f"{item.picture.place}: {item.photo} is annotated in "
                f"{other.picture.place}, too, or a photo of the same name but for its "
                "suffix"
            )
        names.append(name)
    raise_problems(problems, len(items), "pictures")
    return names


def _complete(report, items, names, results):
    counts = sum(counts for _, counts in results)
    pixels = {name: int(counts[i]) for i, name in enumerate(report.class_names)}
    if counts[IGNORED]:
        pixels["ignored"] = int(counts[IGNORED])
    pictures = [
        {
            "id": name,
            "annotations": item.picture.place.file,
            "photo": "in the annotations" if item.embedded else str(item.photo),
            "shapes": len(item.picture.shapes),
        }
        for name, item in zip(names, items, strict=True)
    ]
    shapes = Counter(place for empty, _ in results for place in empty)
    return dataclasses.replace(
        report, pixels=pixels, pictures=tuple(pictures), empty=tuple(shapes)
    )
