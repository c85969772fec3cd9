"""Nets side by side: how fast, how good, how large."""

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from kseg.files import write_whole
from kseg.plot.colors import palette

_SMALLEST, _LARGEST = 40, 900  # areas of bubbles, in square points
_LEAST_SPAN = 0.05  # of IoU: what nobody sees in masks must not look large


def tradeoff(
    panels: Mapping[str, Sequence[tuple[str, float, float, float | None]]],
    png_path,
    *,
    iou_label: str = "IoU",
) -> None:
    """Draws latency against IoU against size: a panel for each place, a bubble a net.

    The area of a bubble is the size of the file. Nets without an IoU are hollow, at
    the lower edge; if none has one, size takes its place. The picture is written under
    another name and then renamed.

    Args:
        panels: Title to the nets that ran there: name, latency in milliseconds, size
            in MB, and IoU of 0-1 or `None`. A net has the same colour in each.
        png_path: The picture to write.
        iou_label: What the IoU is, for the axis.

    Raises:
        ValueError: If there is no net, or a latency or size is not positive.
    """
    nets = [net for panel in panels.values() for net in panel]
    if not nets or not all(latency > 0 and size > 0 for _, latency, size, _ in nets):
        raise ValueError(
            "`panels` must hold nets of positive latency and size. "
            f"Received: panels={panels}"
        )
    # Figure without pyplot: no global state, no window, whatever the backend.
    from matplotlib.figure import Figure

    sizes = {name: size for name, _, size, _ in nets}
    colors = np.array(palette(len(sizes), background=False)) / 255
    styles = {
        name: {"color": color, "s": _area(size, max(sizes.values()))}
        for (name, size), color in zip(sizes.items(), colors, strict=True)
    }
    known = [iou for *_, iou in nets if iou is not None]
    limits, edge = (0, 1.25 * max(sizes.values())), None
    if known:
        middle = (min(known) + max(known)) / 2
        span = max(max(known) - min(known), _LEAST_SPAN)
        limits, edge = (middle - 0.8 * span, middle + 0.8 * span), middle - 0.65 * span
    width = max(5.2, 4.2 * len(panels))
    figure = Figure(figsize=(width, 4.2), dpi=130, layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for ax, (title, panel) in zip(axes, panels.items(), strict=True):
        _draw(ax, panel, styles, edge)
        ax.set_title(title, loc="left", fontsize=11)
        ax.set_xlabel("latency (ms)")
    axes[0].set_ylim(limits)
    axes[0].set_ylabel(iou_label if known else "size (MB)")
    unrated = {name for name, *_, iou in nets if iou is None} if known else set()
    marks = []
    for name, size in sizes.items():
        label = f"{name} ({size:.2f} MB{', IoU unknown' if name in unrated else ''})"
        style = {"color": styles[name]["color"], "alpha": 0.75}
        marks.append(axes[0].scatter([], [], label=label, **style))
    figure.legend(
        handles=marks,
        loc="outside lower center",
        ncols=min(len(marks), max(1, int(width / 2.6))),
        frameon=False,
        fontsize=9,
    )
    write_whole(png_path, functools.partial(figure.savefig, format="png"))


def _draw(ax, panel, styles, edge):
    # Small ones last, so that none is hidden.
    for name, latency, size, iou in sorted(panel, key=lambda net: -net[2]):
        height = size if edge is None else edge if iou is None else iou
        hollow = {"facecolors": "none"} if edge is not None and iou is None else {}
        ax.scatter(latency, height, alpha=0.75, **styles[name], **hollow)
    # From 0, so that twice as slow is twice as far; bubbles stay inside.
    ax.set_xlim(0, 1.25 * max(latency for _, latency, _, _ in panel))
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def _area(size, largest):
    return _SMALLEST + (_LARGEST - _SMALLEST) * size / largest
