"""Labelbox: the old JSON export, and NDJSON (imports, and exports of version 2)."""

import urllib.parse
from collections import Counter

from kseg.data.annotations.places import Node
from kseg.data.annotations.shapes import (
    Box,
    Export,
    MaskFile,
    Picture,
    Polygon,
    Shape,
    Stroke,
)

_GEOMETRIES = ("bbox", "bounding_box", "polygon", "line", "point", "mask")


def read(document: Node) -> Export:
    """Reads a file of [Labelbox](https://docs.labelbox.com/reference/label-export).

    The old export (one row per picture with `Label`), rows of NDJSON as they are
    imported (one per object, with `dataRow`), and exports of version 2 (`data_row` and
    `projects`); one JSON value per line or an array of them. A photo is found by its
    external id, global key, the name in its address, or the id of its data row. Masks
    are read from files that carry the name in their address; nothing is downloaded.
    An object without a name has its `schemaId` for a label. Objects of videos, PDF
    pages, maps and texts are left out.
    """
    rows = [document] if isinstance(document.value, dict) else list(document.elements())
    export, pictures = Export([]), {}
    for row in rows:
        if row.get("data_row") is not None:
            export.pictures += _read_version_2(row, export.left_out)
        elif row.get("dataRow") is not None:
            _add_object(row, pictures, export.left_out)
        else:
            export.pictures += _read_old(row, export.left_out)
    export.pictures += pictures.values()
    return export


def _read_old(row, left_out):
    label = row["Label"]
    if isinstance(label.value, str):  # "Skip"
        left_out["skipped picture"] += 1
        return []
    if isinstance(label.value, list) or label.get("frames") is not None:
        left_out["video"] += 1
        return []
    names = _names(row, ("External ID", "Global Key", "Labeled Data", "DataRow ID"))
    picture = Picture(names, row.place.at("Labeled Data"), None)
    objects = label.get("objects")
    if objects is None and label.value and label.get("classifications") is None:
        raise label.place.error("`objects` must be given here.", list(label.value))
    nodes = list(objects.elements()) if objects is not None else []
    _add_shapes(picture, nodes, left_out)
    # A row with objects of other media alone is no picture.
    return [picture] if picture.shapes or not nodes else []


def _add_object(row, pictures, left_out):
    data = row["dataRow"]
    names = _names(data, ("id", "globalKey"))
    picture = Picture(names, data.place, None)
    if row.get("segments") is not None or row.get("frames") is not None:
        left_out["object of a video"] += 1
        return
    before = pictures.get(names, picture)
    count = len(before.shapes)
    _add_shapes(before, [row], left_out)
    if len(before.shapes) > count:
        pictures[names] = before


def _read_version_2(row, left_out):
    data = row["data_row"]
    names = _names(data, ("external_id", "global_key", "row_data", "id"))
    media = row.get("media_attributes")
    sides = [media.get(s) for s in ("height", "width")] if media else [None, None]
    size = tuple(side.size() for side in sides) if all(sides) else None
    picture = Picture(names, data.place, size)
    found = 0
    projects = row.get("projects")
    for _, project in projects.members() if projects is not None else ():
        labels = project.get("labels")
        for label in labels.elements() if labels is not None else ():
            annotations = label["annotations"]
            if annotations.get("frames") is not None:
                left_out["video"] += 1
                return []
            objects = annotations.get("objects")
            found += 1 if objects is not None and objects.value else 0
            if found > 1:
                raise label.place.error(
                    "A picture must be labelled once: several labels of it (consensus, "
                    "or several projects) would cover each other. Export one of them."
                )
            nodes = list(objects.elements()) if objects is not None else []
            _add_shapes(picture, nodes, left_out)
    return [picture]


def _add_shapes(picture, nodes, left_out: Counter):
    for node in nodes:
        parts = None if node.get("page") is not None else _parts(node)
        if parts is None:
            left_out[_kind(node)] += 1
            continue
        label = next(
            (
                found.text().strip()
                for key in ("title", "name", "value", "schemaId")
                if (found := node.get(key)) is not None
            ),
            "",
        )
        picture.shapes.append(Shape(label, parts, node.place))


def _kind(node):
    if node.get("page") is not None:
        return "object of a PDF page"
    for key in ("location", "data", "answer", "relationship", "metricValue"):
        if node.get(key) is not None:
            return {"data": "text", "location": "text"}.get(key, key)
    return "other object"


def _parts(node):
    """What an object covers; `None` if it is no area of a picture."""
    kind = next((key for key in _GEOMETRIES if node.get(key) is not None), None)
    if kind is None:
        address = node.get("instanceURI")
        foreign = ("data", "location", "answer", "relationship", "metricValue")
        if address is None or any(node.get(key) is not None for key in foreign):
            return None
        return (MaskFile(address.text(), address.place),)
    value = node[kind]
    if kind in ("bbox", "bounding_box"):
        left, top = value["left"].number(), value["top"].number()
        size = value["width"].number(), value["height"].number()
        return (Box(left, top, left + size[0], top + size[1]),)
    if kind == "mask":
        keys = ("instanceURI", "url", "png")
        address = next((a for k in keys if (a := value.get(k)) is not None), None)
        if address is None:
            raise value.place.error("A mask must have its `instanceURI`.")
        return (MaskFile(address.text(), address.place),)
    if kind == "point":
        return (Stroke(_points([value], value.place)),)
    points = _points(list(value.elements()), value.place, 3 if kind == "polygon" else 1)
    return (Polygon((points,)) if kind == "polygon" else Stroke(points),)


def _points(nodes, place, least=1):
    pairs = [[node["x"].number(), node["y"].number()] for node in nodes]
    return Node(pairs, place).points(least)


def _names(row, keys):
    """What a photo may be called; of an address, its last part."""
    found = (row.get(key) for key in keys)
    texts = [node.text() for node in found if node is not None]
    if not texts:
        raise row.place.error(f"One of {', '.join(keys)} must be given here.")
    return tuple(dict.fromkeys(filter(None, map(last_part, texts))))


def last_part(address: str) -> str:
    """The name at the end of a web address; other texts are returned as they are."""
    if "://" not in address:
        return address
    try:
        path = urllib.parse.unquote(urllib.parse.urlsplit(address).path)
    except ValueError:  # no valid address
        return address
    return path.rstrip("/").rsplit("/", 1)[-1]
