"""An export of an annotation tool -> a folder that trains."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from kseg.data.annotations import (
    coco,
    cvat,
    documents,
    labelbox,
    labelme,
    rectlabel,
    via,
)
from kseg.data.annotations.classes import ClassTable
from kseg.data.annotations.folder import write_folder
from kseg.data.annotations.locating import locate
from kseg.data.annotations.photos import Photos
from kseg.data.annotations.places import Place
from kseg.data.annotations.report import Report
from kseg.data.scanning import raise_problems, scan

_READERS = {
    "labelme": labelme.read,
    "cvat": cvat.read,
    "via": via.read,
    "rectlabel": rectlabel.read,
    "labelbox": labelbox.read,
    "coco": coco.read,
}
TOOLS = ("auto", *_READERS)


def convert(
    tool: str,
    source: str | Path,
    output: str | Path,
    *,
    classes: Sequence[str] | None = None,
    renames: Mapping[str, str] | None = None,
    images: str | Path | None = None,
    attribute: str | None = None,
    instances: bool = False,
    line_width: float = 10.0,
    skip_missing: bool = False,
) -> Report:
    """Turns an export of an annotation tool into a folder that trains.

    `output` gets `images/` (the photos), `masks/` (palette PNG of class ids),
    `classes.json` (their names) and `report.json`; it is what
    `kseg.data.datasets.open_dataset` and `kseg train` take. It appears as a whole, when
    all is done, or not at all. Subsets called train, validation or test stay such.

    A pixel has the class of the uppermost shape over its centre. Nothing is downloaded.

    Args:
        tool: `"labelme"`, `"cvat"`, `"via"`, `"rectlabel"`, `"labelbox"`, `"coco"`, or
            `"auto"` to tell by the content of the files.
        source: The file of the export, or a folder with all of its files.
        output: A folder that does not exist yet, or is empty.
        classes: Names of the class ids 0, 1, …; pixels outside all shapes are
            "background" if that is one of them, else 255, to be ignored. Defaults to
            "background" and then all labels, those that the tool declares included,
            sorted.
        renames: New names for labels, by which labels can be merged; a label renamed
            "background" or "__ignore__" paints 0 or 255.
        images: Folder of the photos, if they are not below `source`.
        attribute: For VGG Image Annotator, the attribute that names the class of a
            region; needed if regions have several.
        instances: Whether to write `instances/`, too: 16-bit PNG with the number of the
            instance, 0 outside, 65535 in crowds.
        line_width: Thickness of lines and diameter of points in pixels, which have no
            area of their own; 0 leaves them out. Defaults to what LabelMe's own
            converters draw.
        skip_missing: Leave out pictures whose photo, or a mask, is missing, in place of
            an error. The report names them.

    Returns:
        A `Report`.

    Raises:
        ValueError: If a file is damaged or holds anything that has no clear meaning; the
            message names the file and the place in it, for all files. Also if labels
            and `classes` disagree, or files are missing.
        FileExistsError: If `output` is not empty.
    """
    source, output = Path(source), Path(output).resolve()
    _check_arguments(tool, source, output, images, attribute, line_width)
    root = source if source.is_dir() else source.parent
    tool, exports, passed_over = _read_all(tool, source, root, attribute)
    folders = [root] if images is None else [Path(images), root]
    pictures = [(path, picture) for path, e in exports for picture in e.pictures]
    shapes = [shape for _, picture in pictures for shape in picture.shapes]
    declared = {
        label: Place(path.relative_to(root).as_posix())
        for path, export in exports
        for label in export.labels
    }
    places = {shape.label: shape.place for shape in reversed(shapes)}
    table = ClassTable(places, declared, classes, renames)
    items, missing = locate(pictures, Photos(folders))
    if missing and (not skip_missing or not items):
        raise ValueError(
            "The photos, the frames of a video and the files of masks must be below "
            "`source`, or `images` be their folder, frames as pictures whose names end "
            "in their number; `skip_missing=True` leaves their pictures out. Received: "
            f"{len(items)} found, {len(missing)} missing: {', '.join(missing[:10])}"
            + (", …" if len(missing) > 10 else "")
        )
    report = Report(
        output=output,
        tool=tool,
        class_names=table.names,
        pixels={},
        pictures=(),
        missing=tuple(missing),
        left_out=dict(sum((e.left_out for _, e in exports), Counter())),
        passed_over=tuple(passed_over),
    )
    return write_folder(items, table, report, instances, line_width)


def _check_arguments(tool, source, output, images, attribute, line_width):
    if tool not in TOOLS:
        raise ValueError(
            f"`tool` must be one of {', '.join(map(repr, TOOLS))}. "
            f"Received: tool={tool!r}"
        )
    if not source.exists():
        raise ValueError(
            f"`source` must be a file or a folder. Received: source={str(source)!r}"
        )
    if source.is_file() and source.suffix.lower() not in documents.SUFFIXES:
        raise ValueError(
            f"`source` must end in one of {', '.join(documents.SUFFIXES)}, or be a "
            f"folder; unpack archives first. Received: source={str(source)!r}"
        )
    if images is not None and not Path(images).is_dir():
        raise ValueError(f"`images` must be a folder. Received: images={str(images)!r}")
    if attribute is not None and tool != "via":
        raise ValueError(
            "`attribute` must be None unless the tool is 'via'. "
            f"Received: attribute={attribute!r}, tool={tool!r}"
        )
    if not 0 <= line_width <= 1000:
        raise ValueError(
            "`line_width` must be a number of pixels from 0 to 1000. "
            f"Received: line_width={line_width}"
        )
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FileExistsError(
            "`output` must be a folder that does not exist yet, or is empty. "
            f"Received: output={str(output)!r}"
        )


def _read_all(tool, source, root, attribute):
    """Reads every file: whose export it is, `(path, Export)` each, files of others."""
    paths = [source] if source.is_file() else _files_below(root)

    def read(path):
        place = Place(path.relative_to(root).as_posix())
        document = documents.read_document(path, place)
        found = documents.recognize(document)
        if found is None or tool not in ("auto", found):
            return path, found, None
        options = {} if attribute is None else {"attribute": attribute}
        return path, found, _READERS[found](document, **options)

    results = scan(read, paths, "Reading annotations")
    problems = [str(result) for result in results if isinstance(result, Exception)]
    raise_problems(problems, len(paths), "files of annotations")
    exports = [(path, export) for path, _, export in results if export is not None]
    others = [str(path) for path, _, export in results if export is None]
    kinds = Counter(found for _, found, export in results if export is not None)
    if len(kinds) != 1:
        raise ValueError(
            f"`source` must hold the export of one tool{_of(tool)}; name the file if a "
            f"folder holds several. Received: source={str(source)!r} with "
            + (", ".join(f"{n} of {k!r}" for k, n in kinds.items()) or "none")
            + (f", and others such as {others[0]!r}" if others else "")
        )
    return next(iter(kinds)), exports, others


def _of(tool):
    return "" if tool == "auto" else f" ({tool!r})"


def _files_below(root):
    paths = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "__MACOSX")))
        paths += [
            Path(folder, file)
            for file in sorted(files)
            if file.lower().endswith(documents.SUFFIXES) and not file.startswith(".")
        ]
    return paths
