"""Which layers lose by quantization: one at a time, all others in float."""

import dataclasses
import math
from collections.abc import Callable

from rich.progress import track

from kseg.mobile.exporting.parity import ExportError, Parity
from kseg.mobile.exporting.quantization import Quantization
from kseg.mobile.tflite.graph import TYPE_NAMES, unpack

_ROWS = 20


@dataclasses.dataclass(frozen=True)
class LayerLoss:
    """What a file loses if one layer of it is quantized and nothing else.

    Attributes:
        layer: Its name, as `keep_float` of `kseg.mobile.export` takes it.
        operations: Number of its operations.
        parity: That file's comparison with Keras. `None` if the quantizer cannot
            quantize the layer alone.
    """

    layer: str
    operations: int
    parity: Parity | None

    @property
    def loss(self) -> float:
        """Mean error of the probabilities; of class ids the share that changed."""
        if self.parity is None:
            return math.nan
        if self.parity.mean_error is None:
            return 1 - self.parity.mean_iou
        return self.parity.mean_error


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """The layers of a file, those that lose most first. `print` shows a table.

    Losses of single layers do not add up to that of the file, in which errors of one
    layer meet those of another, but tell which ones to leave in float.

    Attributes:
        layers: One `LayerLoss` per layer that can be quantized.
    """

    layers: tuple[LayerLoss, ...]

    def __str__(self) -> str:
        shown = self.layers[:_ROWS]
        width = max([len("layer"), *(len(row.layer) for row in shown)])
        lines = [f"{'layer':<{width}}      loss  equal classes  mean IoU"]
        for row in shown:
            if row.parity is None:
                lines.append(f"{row.layer:<{width}}  cannot be quantized alone")
                continue
            lines.append(
                f"{row.layer:<{width}}  {row.loss:8.2g}  {row.parity.agreement:13.2%}  "
                f"{row.parity.mean_iou:8.4f}"
            )
        if len(self.layers) > _ROWS:
            lines.append(f"and {len(self.layers) - _ROWS} layers that lose less")
        return "\n".join(lines)

    def to_dict(self) -> dict:
        """Returns the losses as JSON takes them."""
        return {
            "layers": [{**dataclasses.asdict(x), "loss": x.loss} for x in self.layers]
        }


def measure_sensitivity(
    quantization: Quantization, measure: Callable[[bytes], Parity], verbose: bool
) -> Sensitivity:
    """Quantizes one layer at a time, and compares each file with Keras.

    Args:
        quantization: The file in float.
        measure: Returns the parity of a file's content.
        verbose: Show a progress bar.
    """
    found = []
    for layer, scopes in track(
        quantization.layers.items(),
        "Quantizing one layer at a time",
        transient=True,
        disable=not verbose,
    ):
        try:
            content = quantization.only(layer)
            if not _is_quantized(content):
                continue
            parity = measure(content)
        except ExportError:
            parity = None
        name = _short_name(layer, quantization)
        found.append(LayerLoss(name, len(scopes), parity))
    # Those without a figure last.
    found.sort(key=lambda row: -row.loss if row.parity else math.inf)
    return Sensitivity(tuple(found))


def _short_name(layer, quantization):
    """Returns the shortest of a layer's names that `keep_float` takes for it alone."""
    names = layer.split(" + ")
    own = [name for name in names if quantization.matching([name]) == [layer]]
    return min(own, key=len, default=layer)


def _is_quantized(content):
    """Whether a file holds numbers smaller than float32 inside of its ends."""
    graph = unpack(content)
    return any(
        TYPE_NAMES[tensor.type] in ("INT8", "FLOAT16")
        for subgraph in graph.subgraphs
        for tensor in subgraph.tensors
    )
