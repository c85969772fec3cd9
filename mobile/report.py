"""What an export tells: the file, its operations, its parity."""

import dataclasses
from pathlib import Path

from kseg.mobile.parity import MAX_ERROR, Parity


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What an export wrote, and how near it is to Keras. `print` shows a table.

    Attributes:
        path: The file.
        precision: Its precision.
        output: What it gives.
        size: `(height, width)` of its input; `(points,)` for clouds.
        num_classes: Channels of the scores.
        size_bytes: Size of the file.
        ops: Operation name to count, the most frequent first.
        converter: What made it: `"converter"` (TensorFlow's) or `"quantizer"` (AI Edge).
        parity: Comparison with Keras on real images.
        seconds: Time the export took.
    """

    path: Path
    precision: str
    output: str
    size: tuple[int, ...]
    num_classes: int
    size_bytes: int
    ops: dict[str, int]
    converter: str
    parity: Parity
    seconds: float

    def __str__(self) -> str:
        parity, limit = self.parity, MAX_ERROR.get(self.precision)
        size = " x ".join(map(str, self.size))
        if len(self.size) == 1:
            size += " points"
        rows = {
            "file": f"{self.path} ({self.size_bytes / 1e6:.2f} MB)",
            "input": f"{size}, {self.precision} by the {self.converter}",
            "output": f"{self.output} of {self.num_classes} channel(s)",
            "operations": ", ".join(f"{n} {name}" for name, n in self.ops.items()),
            "compared on": f"{parity.images} inputs, {self.seconds:.1f} s in all",
        }
        if parity.max_error is not None:
            bound = f" (limit {limit:g})" if limit else ""
            rows["largest error"] = f"{parity.max_error:.2g}{bound}"
            rows["mean error"] = f"{parity.mean_error:.2g}"
        rows["equal classes"] = (
            f"{parity.agreement:.2%} of the {parity.decided:.1%} decided pixels, "
            f"{parity.undecided_agreement:.2%} of the rest"
        )
        rows["mean IoU"] = f"{parity.mean_iou:.4f} against Keras"
        width = max(map(len, rows))
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())

    def to_dict(self) -> dict:
        """Returns the report as JSON takes it."""
        return {**dataclasses.asdict(self), "path": str(self.path)}
