"""What an export tells: the file, its operations, its parity."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

from kseg.mobile.exporting.parity import MAX_ERROR, Parity
from kseg.mobile.exporting.sensitivity import Sensitivity
from kseg.mobile.tflite.graph import end_rows

_CLASSES = 12  # rows of the table; all classes are in the report itself


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What an export wrote, and how near it is to Keras. `print` shows a table.

    Attributes:
        path: The file.
        precision: Its precision.
        output: What it gives.
        size: `(height, width)` at which the net works; `(points,)` for clouds.
        camera_size: `(height, width)` of the file's image and answer, if it resizes them
            itself, else `None`.
        num_classes: Channels of the scores.
        labels: Name per class, background included; empty if there are none.
        inputs: Name of an input of the file to its type and shape; see `state`.
        outputs: The same of the outputs.
        state: Names of the inputs that are zeros for the first frame, and for each other
            what the output of that name gave for the frame before.
        size_bytes: Size of the file.
        ops: Operation name to count, the most frequent first.
        converter: What made it: `"converter"` (TensorFlow's) or `"quantizer"` (AI Edge).
        alternatives: What the other one led to, by its name.
        parity: Comparison with Keras on real images.
        seconds: Time the export took.
    """

    path: Path
    precision: str
    output: str
    size: tuple[int, ...]
    camera_size: tuple[int, int] | None
    num_classes: int
    labels: tuple[str, ...]
    inputs: dict[str, str]
    outputs: dict[str, str]
    state: tuple[str, ...]
    size_bytes: int
    ops: dict[str, int]
    converter: str
    alternatives: dict[str, str]
    parity: Parity
    seconds: float
    _sensitivity: Callable[[bool], Sensitivity] = dataclasses.field(
        repr=False, compare=False
    )

    def sensitivity(self, verbose: bool = True) -> Sensitivity:
        """Finds the layers that lose most: quantizes one at a time, all others in float.

        Takes about a second per layer of a small net. The export's model and images are
        kept in memory for it as long as the report.

        Args:
            verbose: Show a progress bar.

        Returns:
            A `Sensitivity`, of whose layers the first are those for `keep_float`.

        Raises:
            ValueError: If nothing is quantized in a file of this precision.
        """
        return self._sensitivity(verbose)

    def __str__(self) -> str:
        parity, limit = self.parity, MAX_ERROR.get(self.precision)
        size = " x ".join(map(str, self.camera_size or self.size))
        if len(self.size) == 1:
            size += " points"
        if self.camera_size:
            size += f" (the net: {' x '.join(map(str, self.size))})"
        rows = {
            "file": f"{self.path} ({self.size_bytes / 1e6:.2f} MB)",
            "input": f"{size}, {self.precision} by the {self.converter}",
            **self._end_rows(),
            "operations": ", ".join(f"{n} {name}" for name, n in self.ops.items()),
            "compared on": f"{parity.images} inputs, {self.seconds:.1f} s in all",
        }
        for name, result in self.alternatives.items():
            rows[f"by the {name}"] = result
        for name, error in getattr(parity, "relative_errors", {}).items():
            rows[f"error of {name!r}"] = f"{error:.2g} of its size"
        if parity.max_error is not None:
            bound = f" (limit {limit:g})" if limit else ""
            rows["largest error"] = f"{parity.max_error:.2g}{bound}"
            rows["mean error"] = f"{parity.mean_error:.2g}"
        if self.num_classes:
            rows["equal classes"] = (
                f"{parity.agreement:.2%} of the {parity.decided:.1%} decided pixels, "
                f"{parity.undecided_agreement:.2%} of the rest"
            )
            rows["mean IoU"] = f"{parity.mean_iou:.4f} against Keras"
        if parity.truth is not None:
            rows["mean IoU"] += (
                f"; against {parity.truth.images} masks {parity.truth.file_mean_iou:.4f}, "
                f"Keras {parity.truth.model_mean_iou:.4f}"
            )
        rows |= self._class_rows()
        width = max(map(len, rows))
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())

    def to_dict(self) -> dict:
        """Returns the report as JSON takes it."""
        fields = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != "_sensitivity"
        }
        fields["path"], fields["parity"] = (
            str(self.path),
            dataclasses.asdict(self.parity),
        )
        return fields

    def _end_rows(self):
        """Returns what goes in and out by name, where an image is not all of it."""
        output = f"{self.output} of {self.num_classes} channel(s)"
        if len(self.inputs) == len(self.outputs) == 1 and self.num_classes:
            return {"output": output}
        rows = {"output": output} if self.num_classes else {}
        return rows | end_rows(self.inputs, self.outputs)

    def _class_rows(self):
        """Returns the classes of the lowest IoU against Keras, a row each."""
        iou, truth = self.parity.iou, self.parity.truth
        known = [index for index, value in enumerate(iou) if not math.isnan(value)]
        worst = sorted(known, key=lambda index: iou[index])[:_CLASSES]
        rows = {}
        for index in sorted(worst):
            name = self.labels[index] if self.labels else f"class {index}"
            rows[f"  {name}"] = f"{iou[index]:.4f}"
            if truth is not None:
                rows[f"  {name}"] += (
                    f"; against the masks {truth.file_iou[index]:.4f}, "
                    f"Keras {truth.model_iou[index]:.4f}"
                )
        return rows
