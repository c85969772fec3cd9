"""What a schedule costs and what it saves: mIoU, latency and work on a labelled video.

Every frame of CamVid's validation split, which is a video of 101 frames at 15 frames a
second with a label for each, goes through a stream, one schedule after the other. Frames
come at that rate, so that work in the background has the time that it would have.

    python benchmarks/video.py runs/camvid_deeplab/best.keras path/to/camvid
    python benchmarks/video.py NET DATA -o runs/video \\
        --low-latency runs/video/deeplab_v3_plus/low_latency.keras \\
        --netwarp runs/video/deeplab_v3_plus/netwarp.keras

Rows are added to results.json in the output folder; those that are there, of the same
file of the net, are not measured again without --again. The networks of the last two rows come from
examples/train_video.py.
"""

import argparse
import functools
import hashlib
import json
import time
from pathlib import Path

import keras
import matplotlib
import numpy as np
from rich.console import Console
from rich.table import Table

from kseg import metrics
from kseg.data.datasets import open_dataset
from kseg.data.flow import optical_flow
from kseg.files import write_json, write_whole
from kseg.models.video import Stream

RATE = 15
OF_IMAGE_NET = (
    *(
        "every",
        "skip:2",
        "skip:3",
        "warp:2",
        "warp:3",
        "warp:4",
        "fixed:2",
        "fixed:4",
        "fixed:1,2,4",
    ),
    *("pipeline:2", "pipeline:3", "adaptive:0.7", "adaptive:0.75", "adaptive:0.8"),
    "low_latency:2",
)
OF_KEY_NET = (
    *("fixed:2", "fixed:4", "adaptive:0.13", "adaptive:0.15", "adaptive:0.17"),
    *("low_latency:4", "low_latency:0.15"),
)
# The finer presets take longer than the net that they are to save.
FLOW = functools.partial(optical_flow, preset="fast")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("net", help="an image model, a .keras file")
    parser.add_argument("data", help="folder of CamVid")
    parser.add_argument("--low-latency", help="of the same net, trained")
    parser.add_argument("--netwarp", help="of the same net, trained")
    parser.add_argument("--schedule", action="append", help="of the image model alone")
    parser.add_argument(
        "--again", action="store_true", help="measure rows that are there"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/video"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    file = arguments.output / "results.json"
    rows = {}
    if file.exists():
        rows = json.loads(file.read_text("utf-8"))
    clip = list(open_dataset(arguments.data, "validation"))
    for kind, path, schedules in (
        ("image net", arguments.net, arguments.schedule or OF_IMAGE_NET),
        ("low latency", arguments.low_latency, OF_KEY_NET),
        ("netwarp", arguments.netwarp, ("every",)),
    ):
        if path is None:
            continue
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
        if not arguments.again:
            schedules = [s for s in schedules if is_new(rows, f"{kind}, {s}", digest)]
        if not schedules:
            continue
        net = keras.saving.load_model(path, compile=False)
        for schedule in schedules:
            name = f"{kind}, {schedule}"
            rows[name] = {"net": digest, **measure(net, schedule, clip)}
            write_json(file, rows)
            print(name, rows[name], flush=True)
    show(rows)
    write_whole(arguments.output / "latency.png", lambda path: draw(rows, path))


def is_new(rows, name, digest):
    """Whether a row has not been measured yet, with this net."""
    return rows.get(name, {}).get("net") != digest


def measure(net, schedule, clip):
    """One row: quality against the labels, and time and work per frame."""
    stream = Stream(net, schedule, flow=FLOW)
    for sample in clip[:6]:  # compiles all parts
        stream(sample.image)
    stream.reset()
    masks, seconds, shares = [], [], []
    due = time.perf_counter()
    for sample in clip:
        time.sleep(max(0.0, due - time.perf_counter()))
        start = time.perf_counter()
        masks.append(stream(sample.image))
        seconds.append(time.perf_counter() - start)
        shares.append(stream.work.share)
        due = max(due + 1 / RATE, start)
    stream.reset()  # waits for what runs in the background
    truth = np.stack([sample.mask for sample in clip]).astype("int32")
    masks = np.stack(masks).astype("int32")
    mean_iou, flicker = metrics.MeanIoU(11), metrics.FlickerRate(11)
    for one, other in zip(truth, masks, strict=True):
        mean_iou.update_state(one[None], other[None])
    flicker.update_state(truth[None], masks[None])
    return {
        "mean_iou": float(mean_iou.result()),
        "flicker_rate": float(flicker.result()),
        "mean_ms": 1e3 * float(np.mean(seconds)),
        "median_ms": 1e3 * float(np.median(seconds)),
        # The first frame of a stream runs all of the network by every schedule.
        "worst_ms": 1e3 * max(seconds[1:]),
        "share": float(np.mean(shares)),
    }


def show(rows):
    """Prints the table."""
    table = Table()
    for title in ("", "mean IoU", "flicker", "share", "ms: mean", "median", "worst"):
        table.add_column(title, justify="right" if title else "left", no_wrap=True)
    for name, row in rows.items():
        table.add_row(
            name,
            *(f"{100 * row[key]:.2f}" for key in ("mean_iou", "flicker_rate")),
            f"{row['share']:.2f}",
            *(f"{row[key]:.0f}" for key in ("mean_ms", "median_ms", "worst_ms")),
        )
    Console().print(table)


def draw(rows, path):
    """Draws mIoU against the mean latency, with a line to the worst."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(10, 6), layout="constrained")
    markers = {"image net": "o", "low latency": "s", "netwarp": "^"}
    for number, (name, row) in enumerate(rows.items(), 1):
        kind, _, schedule = name.partition(", ")
        mean_iou = 100 * row["mean_iou"]
        ends = [row["mean_ms"], row["worst_ms"]]
        (line,) = axes.plot(ends, [mean_iou] * 2, linewidth=1, alpha=0.3)
        axes.plot(
            *(ends[0], mean_iou),
            markers[kind],
            color=line.get_color(),
            markersize=5,
            label=f"{number}  {kind}, {schedule}",
        )
        # Points lie close together: numbers, and names in the legend.
        axes.annotate(
            str(number),
            (ends[0], mean_iou),
            xytext=(0, 6 if number % 2 else -13),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    figure.legend(loc="outside right upper", fontsize=8)
    axes.set_xlabel("latency in ms: mean, and a line to the worst frame")
    axes.set_ylabel("mean IoU in %")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
