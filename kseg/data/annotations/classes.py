"""One table of classes for all files of an export."""

import unicodedata
from collections.abc import Mapping, Sequence

from kseg.data.annotations.places import Place

BACKGROUND = "background"
IGNORE = "__ignore__"
IGNORED = 255
_BACKGROUNDS = (BACKGROUND, "_background_", "__background__")


class ClassTable:
    """Label -> class id, the same for every file.

    Attributes:
        names: The name of each class id.
        outside: Value of pixels outside all shapes: the id of "background", or 255 if
            the classes are given without a background.

    Args:
        labels: All labels in use, with a place for each.
        declared: Labels that the tool declares, used or not, with a place for each.
        classes: The names of the classes, or `None` to infer them.
        renames: New names for labels.
    """

    def __init__(
        self,
        labels: Mapping[str, Place],
        declared: Mapping[str, Place],
        classes: Sequence[str] | None,
        renames: Mapping[str, str] | None,
    ):
        self._renames = {_plain(k): _plain(v) for k, v in (renames or {}).items()}
        used = {self.rename(label): place for label, place in labels.items()}
        _check(used)
        if classes is None:
            named = {
                self.rename(k): place for k, place in declared.items() if _plain(k)
            }
            _check(named)
            wanted = {*named, *used} - {IGNORE, BACKGROUND}
            if not wanted:
                raise ValueError(
                    "The annotations must hold shapes with an area and a label, or "
                    "`classes` be given. Received: none"
                )
            names = (BACKGROUND, *sorted(wanted))
        else:
            names = _given(classes)
            _check_known(used, names)
        if len(names) > IGNORED:
            raise ValueError(
                "There must be at most 255 classes, because 255 is the value of pixels "
                f"to ignore. Merge labels by `renames`. Received: {len(names)} classes"
            )
        self.names = names
        self.outside = names.index(BACKGROUND) if BACKGROUND in names else IGNORED

    def rename(self, label: str) -> str:
        """Returns the name of the class of a label."""
        label = _plain(label)
        label = self._renames.get(label, label)
        return BACKGROUND if label in _BACKGROUNDS else label

    def id(self, label: str) -> int:
        """Returns the class id of a label; 255 for pixels to ignore."""
        name = self.rename(label)
        if name in self.names:
            return self.names.index(name)
        return self.outside if name == BACKGROUND else IGNORED


def _plain(label):
    """A label without blanks around it, accents composed."""
    return unicodedata.normalize("NFC", label.strip())


def _given(classes):
    if isinstance(classes, str) or not all(isinstance(c, str) for c in classes):
        raise TypeError(
            "`classes` must be a sequence of names, as in ('background', 'car'). "
            f"Received: classes={classes!r}"
        )
    names = tuple(map(_plain, classes))
    names = tuple(BACKGROUND if name in _BACKGROUNDS else name for name in names)
    if len(names) < 2 or len(set(names)) < len(names) or not all(names):
        raise ValueError(
            "`classes` must be at least two different names, those of the ids 0, 1, … "
            f"Received: classes={classes!r}"
        )
    return names


def _check(used):
    for label, place in used.items():
        if not label:
            raise place.error(
                "A shape must have a label. To give shapes without one a class, pass "
                "`renames={'': 'name'}` ('background' and '__ignore__' are names, too)."
            )
        if not label.isprintable():  # among others, half a surrogate pair
            raise place.error("A label must be printable text.", label)


def _check_known(used, names):
    unknown = {k: v for k, v in used.items() if k not in (*names, BACKGROUND, IGNORE)}
    if unknown:
        shown = [f"{label!r} ({place})" for label, place in unknown.items()]
        raise ValueError(
            "`classes` must name every label; pass `renames` to merge labels, or to make "
            "them 'background' or '__ignore__'. Received: "
            f"classes={list(names)}, and labels {', '.join(shown[:10])}"
        )
