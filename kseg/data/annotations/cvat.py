"""CVAT: "CVAT for images 1.1" and "CVAT for video 1.1"."""

from collections import Counter

from kseg.data.annotations import cvat_video
from kseg.data.annotations.cvat_shapes import WITHOUT_AREA, parts
from kseg.data.annotations.places import Element
from kseg.data.annotations.shapes import Export, Picture, Shape


def read(document: Element) -> Export:
    """Reads a file of [CVAT](https://docs.cvat.ai/docs/manual/advanced/formats/).

    The export of a task, a job or a project. Shapes cover each other by `z_order`,
    then a later one an earlier one. Polylines and points are drawn as strokes; tags,
    cuboids and skeletons are left out. In a video, a track is one instance with one
    number in all frames.
    """
    pictures, left_out, video = [], Counter(), []
    for child in document.children():
        if child.tag == "image":
            pictures.append(_picture(child, left_out))
        elif child.tag == "track":
            video.append(child)
    if video:
        pictures += cvat_video.read(document, video, left_out)
    return Export(pictures, _declared(document), left_out)


def _picture(image, left_out):
    picture = Picture(
        names=(image.get("name"),),
        place=image.place.at("name"),
        size=(image.size("height"), image.size("width")),
        subset=image.xml.get("subset"),
    )
    for child in image.children():
        if child.tag in WITHOUT_AREA:
            left_out[child.tag] += 1
            continue
        shape = Shape(
            label=child.get("label").strip(),
            parts=parts(child),
            place=child.place,
            z_order=child.integer("z_order", 0),
            group=child.xml.get("group_id"),
        )
        picture.shapes.append(shape)
    return picture


def _declared(document):
    """The labels of a task, a job or a project."""
    labels = document.xml.findall("meta/*/labels/label")
    kept = (label for label in labels if label.findtext("type") != "tag")
    # Parts of skeletons are declared with their parent.
    kept = (label for label in kept if label.find("parent") is None)
    return tuple((label.findtext("name") or "").strip() for label in kept)
