"""What a benchmark measured: as a table, as JSON and as a picture."""

import dataclasses
import io
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kseg.mobile.benchmarking.rows import BenchmarkRow

_HEADS = (
    "",
    "MB",
    "IoU",
    "load\nms",
    "median\nms",
    "p90\nms",
    "memory\nMB",
    "delegated",
)
_LEAST_SHARE = 0.01
_WIDTH = 120


@dataclasses.dataclass(frozen=True)
class ModelBenchmark:
    """What was measured of one file.

    Attributes:
        path: The file.
        size_bytes: Its size.
        rows: One `BenchmarkRow` per place and number of threads.
        iou: How good its masks are, 0–1; `None` if nobody said.
        iou_of: What `iou` is: `"mean IoU, ImageFolder(my_photos)"`.
    """

    path: Path
    size_bytes: int
    rows: tuple[BenchmarkRow, ...]
    iou: float | None = None
    iou_of: str = ""


@dataclasses.dataclass(frozen=True)
class BenchmarkReport:
    """What `kseg.mobile.benchmark` measured. `print` shows a table.

    Attributes:
        models: One `ModelBenchmark` per file.
    """

    models: tuple[ModelBenchmark, ...]

    def __str__(self) -> str:
        text = io.StringIO()
        Console(file=text, width=_WIDTH, color_system=None).print(self.table())
        lines = [line.rstrip() for line in text.getvalue().splitlines()]
        return "\n".join([*lines, *self.remarks()])

    def table(self) -> Table:
        """Returns the table, for rich to print; columns without values are left out."""
        lines = []
        for model, name in zip(self.models, self._names(), strict=True):
            iou = "" if model.iou is None else f"{model.iou:.3f}"
            lines.append({"": name, "MB": f"{model.size_bytes / 1e6:.2f}", "IoU": iou})
            lines += [_cells(row) for row in model.rows]
        table = Table(box=None, pad_edge=False)
        heads = [head for head in _HEADS if any(line.get(head) for line in lines)]
        for head in heads:
            name = head == ""
            table.add_column(
                head,
                justify="left" if name else "right",
                vertical="bottom",
                overflow="fold",
                no_wrap=not name,
            )
        for line in lines:
            table.add_row(*(escape(line.get(head, "")) for head in heads))
        return table

    def remarks(self) -> list[str]:
        """Returns what the table has no column for, as lines of text."""
        lines = []
        for model, name in zip(self.models, self._names(), strict=True):
            if model.iou is not None:
                lines.append(f"{name}: IoU is {model.iou_of}")
            for row in model.rows:
                lines += [f"{name}, {row.target}: {text}" for text in _remarks(row)]
        return lines

    def to_dict(self) -> dict:
        """Returns the report as JSON takes it; times are in ms, memory in MB."""
        return {
            "models": [
                {**dataclasses.asdict(model), "path": str(model.path)}
                for model in self.models
            ]
        }

    def save_plot(self, path) -> None:
        """Draws latency against IoU against size, a panel for each place.

        Of each place the fastest number of threads is drawn; times of software GPUs are
        left out. Where no file has an IoU, latency is drawn against size.

        Args:
            path: The PNG to write.

        Raises:
            ValueError: If there is nothing to draw.
        """
        from kseg.plot import tradeoff

        panels = {}
        for model, name in zip(self.models, self._names(), strict=True):
            for target, row in _fastest(model.rows).items():
                point = (name, row.latency, model.size_bytes / 1e6, model.iou)
                panels.setdefault(target, []).append(point)
        kinds = {model.iou_of for model in self.models if model.iou is not None}
        tradeoff(panels, path, iou_label=kinds.pop() if len(kinds) == 1 else "IoU")

    def _names(self):
        """The files' names, or their paths if two have the same name."""
        names = [model.path.stem for model in self.models]
        if len(set(names)) == len(names):
            return names
        return [str(model.path) for model in self.models]


def _cells(row):
    """What the table has of a row, by heading; the rest is in the JSON."""
    where = "  " + row.target + (" (software)" if row.software else "")
    if row.threads is not None:
        where += f", {row.threads} thread{'s' if row.threads > 1 else ''}"
    median = _number(row.median, 2)
    if row.median is None and row.average is not None:
        median = f"average {row.average:.2f}"
    return {
        "": where,
        "load\nms": _number(row.load, 0),
        "median\nms": median,
        "p90\nms": _number(row.p90, 2),
        "memory\nMB": _number(row.peak_memory, 0),
        "delegated": row.delegation or "",
    }


def _number(value, digits):
    return "" if value is None else f"{value:.{digits}f}"


def _remarks(row):
    if row.software:
        name = f"{row.delegate} is" if row.delegate else "this was"
        yield f"{name} a GPU in software: it says that the net runs, not how fast"
    elif row.delegate and row.fully_delegated is False:
        yield f"{row.delegate} took {row.delegation} of the graph"
    if row.note:
        yield row.note
    shares = [(kind, share) for kind, share in row.operations if share >= _LEAST_SHARE]
    if shares:
        yield ", ".join(f"{share:.0%} {kind}" for kind, share in shares)


def _fastest(rows):
    """The fastest row of each place where a real device was timed."""
    best = {}
    for row in rows:
        if row.latency is None or row.software:
            continue
        if row.target not in best or row.latency < best[row.target].latency:
            best[row.target] = row
    return best
