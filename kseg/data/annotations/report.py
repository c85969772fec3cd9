"""What a conversion did, for people and as a file."""

import dataclasses
from pathlib import Path

_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Report:
    """What `convert` did; `print(report)` shows it, `report.json` keeps it.

    Attributes:
        output: The folder with `images/`, `masks/`, `classes.json`, `report.json`.
        tool: Whose export it was.
        class_names: The name of each class id.
        pixels: Number of pixels of each class, and of "ignored" ones.
        pictures: Per picture a dict of its `id`, the `annotations` file, the `photo`
            and the number of `shapes`.
        missing: Pictures left out because a file of theirs is missing.
        left_out: Numbers of objects without an area, by kind.
        empty: Shapes that cover no pixel: too small, or outside the picture.
        passed_over: Files that hold no annotations of this tool.
    """

    output: Path
    tool: str
    class_names: tuple[str, ...]
    pixels: dict[str, int]
    pictures: tuple[dict, ...]
    missing: tuple[str, ...] = ()
    left_out: dict[str, int] = dataclasses.field(default_factory=dict)
    empty: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()

    def to_dict(self) -> dict:
        """Returns the report for a JSON file, without the place of the folder."""
        content = dataclasses.asdict(self)
        del content["output"]
        return content

    def __str__(self):
        total = sum(self.pixels.values()) or 1
        shapes = sum(picture["shapes"] for picture in self.pictures)
        shares = [f"{k} {v / total:.1%}" for k, v in self.pixels.items() if v]
        never = [name for name in self.class_names if not self.pixels.get(name)]
        lines = [
            f"{len(self.pictures)} pictures with {shapes} shapes ({self.tool}) are in "
            f"{self.output}",
            f"pixels: {', '.join(shares)}",
        ]
        lines += _listed("classes that never occur", never)
        left_out = [f"{kind} ({count})" for kind, count in self.left_out.items()]
        lines += _listed("left out, without an area", left_out)
        lines += _listed("pictures left out, files missing", self.missing)
        lines += _listed("shapes that cover no pixel", self.empty)
        lines += _listed(f"files that are not of {self.tool}", self.passed_over)
        return "\n".join(lines)


def _listed(what, entries):
    if not entries:
        return []
    more = f", … ({len(entries)} in all)" if len(entries) > _SHOWN else ""
    return [f"{what}: {', '.join(entries[:_SHOWN])}{more}"]
