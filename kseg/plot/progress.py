"""Training curves from a CSV of metrics."""

import csv
import functools
from pathlib import Path

from kseg.files import write_whole

_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


def curves(csv_path: str | Path, png_path: str | Path) -> None:
    """Draws the loss and the mean IoU of a training run over its epochs.

    Loss is drawn from the columns `loss` and `val_loss`, IoU from `mean_iou` and
    `val_mean_iou` (without these, from every column that ends in `iou`). Training is
    dashed, validation solid; the best validation is marked. The picture is written
    under another name and then renamed.

    Args:
        csv_path: File with a header line: `epoch`, and a column for each metric. Empty
            cells are gaps.
        png_path: The picture to write.

    Raises:
        FileNotFoundError: If there is no file `csv_path`.
        ValueError: If it has no column `epoch`, no row, nothing to draw, or a cell
            that is no number.
    """
    columns = _read(Path(csv_path))
    panels = _panels(columns)
    if not panels:
        raise ValueError(
            "`csv_path` must have a column such as 'loss' or 'val_mean_iou'. Received: "
            f"{str(csv_path)!r} with columns {list(columns)}"
        )
    # Figure without pyplot: no global state, no window, whatever the backend.
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(5 * len(panels), 3.6), dpi=130, layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for ax, (title, names, best) in zip(axes, panels.values(), strict=True):
        _draw(ax, columns, names, best)
        ax.set_title(title, loc="left", fontsize=11)
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(alpha=0.25, linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=9)
    write_whole(png_path, functools.partial(figure.savefig, format="png"))


def _panels(columns):
    """What is drawn: title, columns, and which value is best, by panel."""
    losses = [name for name in ("loss", "val_loss") if name in columns]
    ious = [name for name in ("mean_iou", "val_mean_iou") if name in columns]
    ious = ious or [name for name in columns if name.endswith("iou")]
    panels = {"loss": ("Loss", losses, min), "iou": ("Mean IoU", ious, max)}
    return {key: panel for key, panel in panels.items() if panel[1]}


def _draw(ax, columns, names, best):
    bases = list(dict.fromkeys(name.removeprefix("val_") for name in names))
    epochs = columns["epoch"]
    for name in names:
        validation = name.startswith("val_")
        color = _COLORS[bases.index(name.removeprefix("val_")) % len(_COLORS)]
        kind = "validation" if validation else "training"
        label = kind if len(bases) == 1 else name
        style = "-" if validation else "--"
        values = columns[name]
        # One epoch makes no line.
        marker = "o" if len(epochs) == 1 else None
        ax.plot(
            epochs,
            values,
            style,
            color=color,
            alpha=1 if validation else 0.6,
            label=label,
            marker=marker,
            linewidth=1.6,
        )
        finite = [(v, e) for v, e in zip(values, epochs, strict=True) if abs(v) < 1e300]
        if validation and len(bases) == 1 and finite:
            value, epoch = best(finite, key=lambda point: point[0])
            ax.plot([epoch], [value], "o", color=color, ms=5)
            ax.annotate(
                f"{value:.3f}",
                (epoch, value),
                xytext=(0, -14 if best is min else 6),
                textcoords="offset points",
                ha="center",
                fontsize=9,
            )


def _read(path):
    """The columns of the file, as lists of floats by name."""
    if not path.is_file():
        raise FileNotFoundError(
            f"`csv_path` must be a CSV file. Received: csv_path={str(path)!r}"
        )
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or "epoch" not in rows[0]:
        raise ValueError(
            "`csv_path` must have a header line with 'epoch' and a row per epoch. "
            f"Received: {str(path)!r} with {len(rows)} rows"
        )
    try:
        return {
            name: [float(row[name] or "nan") for row in rows]
            for name in rows[0]
            if name is not None
        }
    except ValueError as error:
        raise ValueError(
            f"`csv_path` must hold numbers. Received: {str(path)!r} ({error})"
        ) from error
