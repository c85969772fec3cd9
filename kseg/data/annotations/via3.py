"""VGG Image Annotator 3: projects as JSON, and its CSV."""

from kseg.data.annotations.documents import parse_cell
from kseg.data.annotations.places import Node
from kseg.data.annotations.shapes import Box, Ellipse, Picture, Polygon, Stroke

# What the first number of a region says, and how many numbers follow (least, most).
_KINDS = {
    1: ("point", 2, 2),
    2: ("rectangle", 4, 4),
    3: ("circle", 3, 3),
    4: ("ellipse", 4, 4),
    5: ("line", 4, 4),
    6: ("polyline", 4, None),
    7: ("polygon", 6, None),
    8: ("rectangle by its extremes", 4, None),
    9: ("circle by three points", 6, 6),
}
_IMAGE = 2


def read_json(document: Node) -> dict:
    """Reads a project: pictures with `(attributes, parts, place)` by their id."""
    files = dict(document["file"].members())
    attributes = document["attribute"]
    pictures, views = {}, {}
    for key, view in document["view"].members():
        ids = [str(node.value) for node in view["fid_list"].elements()]
        views[key] = ids[0] if len(ids) == 1 else None
    for key, node in files.items():
        kind = node.get("type")
        if kind is not None and kind.value != _IMAGE:
            continue  # a video or a sound
        names = [node.get(name) for name in ("fname", "src")]
        picture = Picture(
            tuple(name.text() for name in names if name), node.place.at("fname"), None
        )
        pictures[key] = picture, []
    for _, node in document["metadata"].members():
        view = node["vid"]
        file = views.get(str(view.value))
        if file not in files:
            raise view.place.error("This must be a view of one picture.", view.value)
        if file in pictures and node["xy"].value:
            values = _values(node.get("av"), attributes, node.place)
            pictures[file][1].append((values, _parts(node["xy"]), node.place))
    return pictures


def read_csv(document: Node) -> dict:
    """Reads a CSV file: pictures with `(attributes, parts, place)` by their name."""
    pictures, attributes, columns = {}, None, None
    for index, row in enumerate(document.value, start=1):
        place = document.place.at("line").at(index)
        if not row:
            continue
        if row[0].startswith("#"):
            line = ",".join(row).lstrip("# ")
            name, _, value = line.partition("=")
            if name.strip() == "ATTRIBUTE":
                attributes = parse_cell(value.strip(), place.at("ATTRIBUTE"))
            if name.strip() == "CSV_HEADER":
                header = [cell.strip() for cell in value.split(",")]
                columns = {name: index for index, name in enumerate(header)}
            continue
        needed = ("file_list", "spatial_coordinates", "metadata")
        if columns is None or attributes is None or not set(needed) <= set(columns):
            raise place.error(
                "A line # CSV_HEADER = …, with the columns "
                f"{', '.join(needed)}, and one # ATTRIBUTE = … must come first."
            )
        if len(row) != len(columns):
            raise place.error(f"There must be {len(columns)} cells.", row)
        files, region, values = (
            parse_cell(row[columns[name]], place.at(name)) for name in needed
        )
        names = [node.text() for node in files.elements()]
        if len(names) != 1:
            raise files.place.error("There must be one picture.", names)
        picture = Picture((names[0],), place, None)
        _, regions = pictures.setdefault(names[0], (picture, []))
        if region.value:
            values = _values(values, attributes, place)
            regions.append((values, _parts(region), place))
    return pictures


def _values(node, attributes, place):
    """Attributes by name, the options by what they are called."""
    values = {}
    for key, value in node.members() if node is not None else ():
        attribute = attributes[key]
        name = attribute["aname"].text()
        options = attribute.get("options")
        chosen = str(value.value)
        named = dict(options.members()) if options is not None else {}
        # Several checked boxes are stored as "0,1".
        texts = [
            named[c].text() if c in named else c
            for c in (chosen.split(",") if named else [chosen])
        ]
        values[name] = dict.fromkeys(texts, True) if len(texts) > 1 else texts[0]
    return Node(values, place.at("av"))


def _parts(node):
    numbers = [element.number() for element in node.elements()]
    kind, least, most = _KINDS.get(numbers[0], (None, 0, 0))
    values = numbers[1:]
    if kind is None or len(values) < least or (most and len(values) > most):
        raise node.place.error("This must be a region of VIA 3.", node.value)
    if kind in ("point", "line", "polyline"):
        return (Stroke(_pairs(node)),)
    if kind == "polygon":
        return (Polygon((_pairs(node),)),)
    if kind == "rectangle":
        left, top, width, height = values
        return (Box(left, top, left + width, top + height),)
    if kind == "rectangle by its extremes":
        points = _pairs(node)
        return (Box(*points.min(axis=0), *points.max(axis=0)),)
    if kind == "circle by three points":
        return (_circle(_pairs(node), node),)
    if min(values[2:]) < 0:
        raise node.place.error("A radius must not be negative.", node.value)
    return (Ellipse((values[0], values[1]), (values[2], values[-1])),)


def _pairs(node):
    return Node(node.value[1:], node.place).flat_points()


def _circle(points, node):
    """The circle through three points."""
    (ax, ay), (bx, by) = points[1] - points[0], points[2] - points[0]
    double = 2 * (ax * by - ay * bx)
    if abs(double) < 1e-9:
        raise node.place.error("Three points on a line make no circle.", node.value)
    a, b = ax * ax + ay * ay, bx * bx + by * by
    x, y = (by * a - ay * b) / double, (ax * b - bx * a) / double
    radius = (x * x + y * y) ** 0.5
    return Ellipse((points[0][0] + x, points[0][1] + y), (radius, radius))
