"""VGG Image Annotator, versions 1 to 3, as JSON or CSV."""

from kseg.data.annotations import via3
from kseg.data.annotations.documents import parse_cell
from kseg.data.annotations.places import Node, Table
from kseg.data.annotations.shapes import (
    Box,
    Ellipse,
    Export,
    Picture,
    Polygon,
    Shape,
    Stroke,
)

UNNAMED = "object"


def read(document: Node, attribute: str | None = None) -> Export:
    """Reads a file of [VIA](https://www.robots.ox.ac.uk/~vgg/software/via/).

    The class of a region is the value of one of its attributes; of checkboxes, the one
    that is checked. If no region has any attribute, all are of the class "object".
    A later region covers an earlier one. Polylines and points are drawn as strokes.

    Args:
        document: The file.
        attribute: The attribute that names the class; it may be left out where all
            regions have only one.
    """
    if isinstance(document, Table):
        rows = document.value
        third = not any("region_shape_attributes" in str(cell) for cell in rows[0])
        pictures = via3.read_csv(document) if third else _read_rows(document)
    elif "metadata" in document.value and "file" in document.value:
        pictures = via3.read_json(document)
    else:
        project = document.get("_via_img_metadata")
        pictures = _read_regions(document if project is None else project)
    regions = [region for picture in pictures.values() for region in picture[1]]
    attribute = _class_attribute(regions, attribute, document.place)
    export = Export([])
    for picture, held in pictures.values():
        for values, parts, place in held:
            label = _label(values, attribute, place)
            picture.shapes.append(Shape(label, parts, place))
        export.pictures.append(picture)
    return export


def _read_regions(document):
    """JSON of versions 1 and 2: picture and `(attributes, parts, place)` by key."""
    pictures = {}
    for key, node in document.members():
        regions = node["regions"]
        if isinstance(regions.value, dict):  # version 1 numbers its regions
            nodes = [region for _, region in regions.members()]
        else:
            nodes = list(regions.elements())
        name = node["filename"]
        picture = Picture((name.text(),), name.place, None)
        pictures[key] = picture, [_region(region) for region in nodes]
    return pictures


def _read_rows(document):
    """CSV of versions 1 and 2, one region per row."""
    header = [cell.strip().lstrip("#") for cell in document.value[0]]
    columns = {name: index for index, name in enumerate(header)}
    needed = ("filename", "region_shape_attributes", "region_attributes")
    if not set(needed) <= set(header):
        raise document.place.at(0).error(
            f"The columns must include {', '.join(needed)}.", header
        )
    pictures = {}
    for index, row in enumerate(document.value[1:], start=2):
        place = document.place.at("line").at(index)
        if not row:
            continue
        if len(row) != len(header):
            raise place.error(f"There must be {len(header)} cells.", row)
        name, shape, values = (row[columns[column]] for column in needed)
        picture = Picture((name,), place, None)
        _, regions = pictures.setdefault(name, (picture, []))
        cells = (
            parse_cell(shape, place.at(needed[1])),
            parse_cell(values, place.at(needed[2])),
        )
        if cells[0].value:  # a picture without regions has a row with {}
            regions.append((cells[1], _parts(cells[0]), place))
    return pictures


def _region(node):
    values = node.get("region_attributes")
    if values is None:
        values = Node({}, node.place.at("region_attributes"))
    return values, _parts(node["shape_attributes"]), node.place


def _parts(node):
    kind = node["name"].text()
    if kind in ("polygon", "polyline"):
        axes = [node["all_points_x"], node["all_points_y"]]
        counts = [len(list(axis.elements())) for axis in axes]
        if counts[0] != counts[1]:
            raise node.place.error(
                "all_points_x and all_points_y must be equally many.", counts
            )
        pairs = [list(pair) for pair in zip(axes[0].value, axes[1].value, strict=True)]
        node = Node(pairs, node.place.at("all_points_x/y"))
        if kind == "polyline":
            return (Stroke(node.points(least=1)),)
        return (Polygon((node.points(least=3),)),)
    if kind == "rect":
        left, top = node["x"].number(), node["y"].number()
        width, height = node["width"].number(), node["height"].number()
        return (Box(left, top, left + width, top + height),)
    if kind in ("circle", "ellipse", "point"):
        center = node["cx"].number(), node["cy"].number()
        if kind == "point":
            return (Stroke(Node([list(center)], node.place).points()),)
        sides = ("r", "r") if kind == "circle" else ("rx", "ry")
        radii = tuple(node[side].number() for side in sides)
        if min(radii) < 0:
            raise node.place.error("A radius must not be negative.", radii)
        theta = node.get("theta")
        return (Ellipse(center, radii, theta.number() if theta else 0.0),)
    raise node.place.at("name").error(
        "A region must be polygon, polyline, rect, circle, ellipse or point.", kind
    )


def _class_attribute(regions, attribute, place):
    """The attribute that names the class; `None` if no region has any."""
    found = {}
    for values, *_ in regions:
        found.update(dict.fromkeys(name for name, _ in values.members()))
    if attribute is not None:
        if regions and attribute not in found:
            raise place.error(
                "`attribute` must be an attribute of the regions: "
                f"{', '.join(map(repr, found)) or 'they have none'}. "
                f"Received: attribute={attribute!r}"
            )
        return attribute
    if len(found) > 1:
        raise place.error(
            "`attribute` must tell which attribute of a region is its class: "
            f"{', '.join(map(repr, found))}. Received: attribute=None"
        )
    return next(iter(found), None)


def _label(values, attribute, place):
    if attribute is None:
        return UNNAMED
    node = values.get(attribute)
    if node is None:
        return ""
    if isinstance(node.value, dict):
        checked = [name for name, value in node.members() if value.value]
        if len(checked) > 1:
            raise node.place.error("One box must be checked.", checked)
        return checked[0].strip() if checked else ""
    return node.text().strip()
