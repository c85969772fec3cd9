"""The tracks of a CVAT video: shapes at some frames, interpolated in between."""

import dataclasses
from collections import Counter

import numpy as np

from kseg.data.annotations.cvat_shapes import WITHOUT_AREA, parts
from kseg.data.annotations.places import Element, as_size, parse_number
from kseg.data.annotations.shapes import (
    Box,
    Ellipse,
    Picture,
    Polygon,
    Shape,
    Stroke,
)

_MOST_FRAMES = 1_000_000
_MOST_SHAPES = 5_000_000


def read(document: Element, elements: list[Element], left_out: Counter):
    """Reads the tracks of a video; gives a picture per frame of the task.

    Between the frames of which the file holds shapes, boxes and ellipses move and turn
    evenly, polygons and polylines point by point (with unequal numbers of points: along
    their outline), masks and several points stay. A track ends where it is `outside`;
    if it never is, at the end of the task.

    Args:
        document: The file.
        elements: Its tracks.
        left_out: Counts of what has no area, added to.

    Returns:
        List of `Picture`.
    """
    held = [_shapes(track) for track in elements]
    frames = _frames(document, held)
    pictures = {frame: _picture(document, frame) for frame in frames}
    count = 0
    for index, (track, shapes) in enumerate(zip(elements, held, strict=True)):
        kinds = {element.tag for element, *_ in shapes.values()}
        if kinds & set(WITHOUT_AREA):
            left_out["track of cuboids or skeletons"] += 1
            continue
        if len(kinds) > 1:
            raise track.place.error("A track must be of one kind.", sorted(kinds))
        label = track.get("label").strip()
        for frame, element, covered in _between(shapes, frames):
            shape = Shape(
                label=label,
                parts=covered,
                place=element.place,
                z_order=element.integer("z_order", 0),
                number=index + 1,
            )
            pictures[frame].shapes.append(shape)
            count += 1
            if count > _MOST_SHAPES:
                raise track.place.error(
                    f"The tracks must have at most {_MOST_SHAPES} shapes in all frames."
                )
    return list(pictures.values())


def _shapes(track):
    """The shapes that a file holds of a track, by frame: element, outside, parts."""
    shapes = {}
    for element in track.children():
        if element.tag == "attribute":
            continue
        frame = element.integer("frame")
        if frame < 0 or frame in shapes:
            raise element.place.at("frame").error(
                "The frames of a track must be different, 0 or more.", frame
            )
        covered = () if element.tag in WITHOUT_AREA else parts(element)
        shapes[frame] = element, element.xml.get("outside") == "1", covered
    return dict(sorted(shapes.items()))


def _frames(document, tracks):
    """The frames that the task has, or, if it does not say, those of its tracks."""
    meta = document.xml.find("meta/task")
    meta = document.xml.find("meta/job") if meta is None else meta
    place = document.place.at("meta")
    used = sorted({frame for shapes in tracks for frame in shapes})

    def number(tag):
        text = None if meta is None else (meta.findtext(tag) or "").strip()
        return int(parse_number(text, place.at(tag))) if text else None

    start, stop = number("start_frame"), number("stop_frame")
    if start is None or stop is None:
        return used
    chosen = (meta.findtext("frame_filter") or "").strip()
    step = chosen.removeprefix("step=") if chosen else "1"
    step = int(parse_number(step, place.at("frame_filter")))
    if step < 1 or not 0 <= (stop - start) // step < _MOST_FRAMES:
        raise place.error(
            f"A video must have 1 to {_MOST_FRAMES} frames. Received: "
            f"start_frame={start}, stop_frame={stop}, step={step}"
        )
    return sorted({*range(start, stop + 1, step), *used})


def _picture(document, frame):
    size = next(document.xml.iter("original_size"), None)
    place = document.place.at("frame").at(frame)
    if size is not None:
        size = tuple(
            as_size(parse_number(size.findtext(side) or "", place), place)
            for side in ("height", "width")
        )
    return Picture(names=(f"frame_{frame:06d}",), place=place, size=size, frame=frame)


def _between(shapes, frames):
    """Yields frame, element and parts at every frame at which a track is inside."""
    known = list(shapes)
    later = 0
    for frame in frames:
        while later < len(known) and known[later] <= frame:
            later += 1
        if later == 0:
            continue
        start = known[later - 1]
        element, outside, covered = shapes[start]
        if outside:
            continue
        if start < frame and later < len(known):
            stop = known[later]
            share = (frame - start) / (stop - start)
            following = shapes[stop][2]
            if len(covered) == len(following) == 1:  # several points stay
                covered = (_moved(covered[0], following[0], share),)
        yield frame, element, covered


def _moved(start, stop, share):
    """A part on its way from `start` to `stop`."""
    if isinstance(start, Polygon):
        return Polygon((_mixed(start.rings[0], stop.rings[0], share, closed=True),))
    if isinstance(start, Stroke):
        return Stroke(_mixed(start.points, stop.points, share, closed=False))
    if isinstance(start, Box | Ellipse):
        numbers = {}
        for name, first in dataclasses.asdict(start).items():
            way = np.subtract(getattr(stop, name), first)
            if name == "angle":  # the shorter way round
                way = (way + np.pi) % (2 * np.pi) - np.pi
            numbers[name] = first + share * way
        return type(start)(**numbers)
    return start


def _mixed(start, stop, share, closed):
    if len(start) != len(stop):
        places = np.union1d(_lengths(start, closed), _lengths(stop, closed))
        start, stop = (_along(points, places, closed) for points in (start, stop))
    return (1 - share) * start + share * stop


def _lengths(points, closed):
    """How far along its line each point lies, from 0 to 1."""
    following = np.roll(points, -1, axis=0) if closed else points[1:]
    steps = np.hypot(*(following - points[: len(following)]).T)
    behind = np.concatenate([[0], np.cumsum(steps)])
    whole = behind[-1] or 1
    return behind[: len(points)] / whole


def _along(points, places, closed):
    """The points at these places of a line."""
    known = _lengths(points, closed)
    if closed:
        points, known = np.concatenate([points, points[:1]]), np.append(known, 1.0)
    return np.stack([np.interp(places, known, axis) for axis in points.T], axis=1)
