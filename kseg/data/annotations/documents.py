"""Files of annotations -> documents, and whose export each document is."""

import csv
import io
import json
import threading
from pathlib import Path

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from kseg.data.annotations.places import Element, Node, Place, Table

SUFFIXES = (".json", ".ndjson", ".jsonl", ".xml", ".csv")
_LABELBOX = {"dataRow", "data_row", "Labeled Data"}
_CSV_LIMIT = threading.Lock()


def read_document(path: Path, place: Place) -> Node | Element:
    """Reads a file of annotations.

    A file of one JSON value per line gives an array, a CSV file an array of rows.
    JSON and CSV are UTF-8, UTF-16 or UTF-32, XML is what it says.

    Args:
        path: The file, whose suffix is one of `SUFFIXES`.
        place: The file as messages name it.

    Raises:
        ValueError: If the file is no whole document of its kind, or an XML file
            declares entities.
        OSError: If the file cannot be read.
    """
    data = path.read_bytes()
    if path.suffix.lower() == ".xml":
        return Element(_parse_xml(data, place), place)
    try:
        text = data.decode(json.detect_encoding(data))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise place.error(
            "The file must be UTF-8 text; save it in that encoding (it may be "
            f"Latin-1). Received: byte 0x{data[error.start]:02x} in line {line}"
        ) from error
    if path.suffix.lower() == ".csv":
        return Table(_parse_csv(text, place), place)
    return Node(_parse_json(text, place), place)


def recognize(document: Node | Element) -> str | None:
    """Tells whose export a document is; `None` if it is no export that is known."""
    if isinstance(document, Element):
        roots = {"annotations": "cvat", "annotation": "rectlabel"}
        return roots.get(document.tag)
    value = document.value
    if isinstance(document, Table):
        return "via" if _is_via_csv(value) else None
    if isinstance(value, list) and value:
        keys = set(value[0]) if isinstance(value[0], dict) else set()
        return "labelbox" if keys & _LABELBOX else None
    if not isinstance(value, dict):
        return None
    keys = set(value)
    if keys & _LABELBOX:
        return "labelbox"
    if {"images", "annotations"} <= keys:
        return "coco"
    if "shapes" in keys:
        return "labelme"
    if "_via_img_metadata" in keys or {"file", "metadata", "attribute"} <= keys:
        return "via"
    first = next(iter(value.values()), None)
    return "via" if isinstance(first, dict) and "regions" in first else None


def parse_cell(text: str, place: Place) -> Node:
    """Returns the JSON in a cell of a CSV file."""
    try:
        return Node(json.loads(text), place)
    except (ValueError, RecursionError) as error:
        raise place.error(f"This must be JSON ({error}).", text) from error


def _is_via_csv(rows):
    return any(
        "region_shape_attributes" in row or row[0].startswith("# CSV_HEADER")
        for row in rows[:50]
        if row
    )


def _parse_xml(data, place):
    try:
        return defusedxml.ElementTree.fromstring(data, forbid_dtd=True)
    except DefusedXmlException as error:
        raise place.error(
            "An XML file of annotations must have no document type and no entities: "
            f"they can expand without bound or read other files ({error})."
        ) from error
    except (defusedxml.ElementTree.ParseError, ValueError, LookupError) as error:
        raise place.error(f"The file must be whole XML ({error}).") from error


def _parse_json(text, place):
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return _parse_lines(text, place)
        raise place.error(f"The file must be whole JSON ({error}).") from error
    except (ValueError, RecursionError) as error:  # too many digits, too deep
        raise place.error(f"The file must be usable JSON ({error}).") from error


def _parse_lines(text, place):
    values = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            values.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise place.error(
                f"The file must be JSON, or JSON in each line (line {number}: {error})."
            ) from error
    return values


def _parse_csv(text, place):
    # The limit on a cell, 131,072 characters, belongs to the module; outlines are longer.
    with _CSV_LIMIT:
        limit = csv.field_size_limit(len(text) + 1)
        try:
            return list(csv.reader(io.StringIO(text, newline=""), strict=True))
        except csv.Error as error:
            raise place.error(f"The file must be whole CSV ({error}).") from error
        finally:
            csv.field_size_limit(limit)
