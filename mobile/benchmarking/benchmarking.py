"""Times .tflite files on this machine, in a browser and on phones."""

import contextlib
import os
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path

from kseg.files import as_path
from kseg.mobile.benchmarking.adb import Phone
from kseg.mobile.benchmarking.in_browser import benchmark_browser
from kseg.mobile.benchmarking.logs import graph_name, read_log
from kseg.mobile.benchmarking.machine import cpu_row, gpu_row
from kseg.mobile.benchmarking.report import BenchmarkReport, ModelBenchmark

_THREADS = (1, 2, 4)


def benchmark(
    paths,
    *,
    threads: Sequence[int] | None = None,
    runs: int = 50,
    seconds: float = 5.0,
    gpu: bool = False,
    browser: bool = False,
    adb=None,
    serial: str | None = None,
    logs: Sequence = (),
    data=None,
) -> BenchmarkReport:
    """Times single runs of `.tflite` files, in as many places as you ask for.

    Only the net is timed, on noise: reading and resizing the image is not. The CPU of
    this machine (LiteRT with XNNPACK) is always timed, each number of threads in a
    process of its own. Shares of single operations come from the phone tools alone,
    because LiteRT does not tell them to Python.

    Args:
        paths: A file, or several.
        threads: Numbers of CPU threads. `None` takes 1, 2 and 4, here only as far as
            there are cores.
        runs: Runs to time per row, after up to 5 that warm up.
        seconds: On this machine stop after this time per row, but not before 5 runs.
        gpu: Time LiteRT's GPU too, run and read back, without the CPU's help. Without
            a GPU the software driver of Debian's chromium is taken, and marked.
        browser: Time LiteRT.js in Chromium too, by WebAssembly and by WebGPU.
        adb: Path of `benchmark_model` or `benchmark_litert_model`, built for Android:
            times CPU and GPU of a connected phone too. What is put on the phone is
            removed in the end.
        serial: Which phone, if there are several.
        logs: Text files of what such a tool, or the benchmark app for Android or iOS,
            printed elsewhere; each gives a row, called like the file.
        data: A `kseg.data.datasets.Dataset` to measure each file's mean IoU on. `None`
            takes what a card beside the file says, as `person.md` does.

    Returns:
        A `BenchmarkReport`.

    Raises:
        ConnectionError: If `adb` is given and no phone can be reached.
        FileNotFoundError: If there is no such file; or no adb, or no Chromium.
        ImportError: If LiteRT is not installed; with `browser`, LiteRT.js.
        RuntimeError: If LiteRT, the browser or the phone's tool fails.
        ValueError: If a file is no `.tflite` or damaged, a log has no results, or a
            number is out of range.

    Example:

    >>> report = kseg.mobile.benchmark(["small.tflite", "large.tflite"], gpu=True)
    >>> print(report)
    >>> report.save_plot("nets.png")
    """
    paths = [_checked_file(path) for path in _listed("paths", paths)]
    runs = positive("runs", runs)
    if not seconds >= 0:
        raise ValueError(f"`seconds` must be 0 or more. Received: seconds={seconds!r}")
    here = on_phone = _THREADS
    if threads is None:
        here = [count for count in _THREADS if count <= (os.cpu_count() or 1)]
    else:
        here = on_phone = [positive("threads", n) for n in _listed("threads", threads)]
    logs = _read_logs(logs, paths)
    models = []
    with contextlib.ExitStack() as stack:
        # Before the long work: a phone that is missing is said at once.
        phone = None if adb is None else stack.enter_context(Phone(adb, serial))
        for path in paths:
            rows = [cpu_row(path, count, runs, seconds) for count in here]
            if gpu:
                rows.append(gpu_row(path, runs, seconds))
            if browser:
                rows += benchmark_browser(path, runs=runs, seconds=seconds)
            if phone is not None:
                rows += phone.benchmark(path, on_phone, runs)
            rows += [row for name, row in logs if name == path]
            iou, iou_of = _card_figure(path) if data is None else _evaluate(path, data)
            size = path.stat().st_size
            models.append(ModelBenchmark(path, size, tuple(rows), iou, iou_of))
    return BenchmarkReport(tuple(models))


def positive(name: str, value) -> int:
    """Returns an argument that counts something, or raises a ValueError."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(
            f"`{name}` must be a positive integer. Received: {name}={value!r}"
        )
    return int(value)


def _listed(name, values):
    """One value, or several, as a list that is not empty."""
    if isinstance(values, str | os.PathLike | int):
        return [values]
    values = list(values)
    if not values:
        raise ValueError(f"`{name}` must be at least one. Received: {name}=[]")
    return values


def _checked_file(path):
    path = as_path(path, "paths")
    if not path.is_file():
        raise FileNotFoundError(
            f"`paths` must be existing .tflite files. Received: {str(path)!r}"
        )
    if path.suffix == ".keras":
        raise ValueError(
            "`paths` must be .tflite files; kseg.mobile.export makes them of .keras "
            f"files. Received: {str(path)!r}"
        )
    return path


def _read_logs(logs, paths):
    """Pairs of a file and the row of a log, which names the net that was timed."""
    pairs = []
    for log in [
        as_path(log, "logs") for log in (_listed("logs", logs) if logs else ())
    ]:
        if not log.is_file():
            raise FileNotFoundError(
                f"`logs` must be existing text files. Received: {str(log)!r}"
            )
        text = log.read_text("utf-8", errors="replace")
        row = read_log(text, log.stem, name=str(log))
        name = graph_name(text)
        of = [path for path in paths if path.name == name]
        if len(paths) == 1 and (name is None or of):
            of = paths
        if len(of) != 1:
            raise ValueError(
                f"`logs` must be of one of {[path.name for path in paths]}. Received: "
                f"{str(log)!r}, which is of {name or 'a net without a name'}"
            )
        pairs.append((of[0], row))
    return pairs


def _evaluate(path, data):
    from kseg.mobile.segmenter import ImageSegmenter
    from kseg.training import evaluate

    result = evaluate(ImageSegmenter(path), data, metrics_names=("mean_iou",))
    return result["mean_iou"], f"mean IoU, {len(data)} samples of {type(data).__name__}"


def _card_figure(path: Path):
    """The first figure in the file's row of its card: `person.md` for `person_*`."""
    for card in sorted(path.parent.glob("*.md")):
        if not path.stem.startswith(card.stem):
            continue
        heads = []
        for line in card.read_text("utf-8", errors="replace").splitlines():
            cells = [cell.strip(" `") for cell in line.strip(" |").split("|")]
            heads = (heads or cells) if line.startswith("|") else []
            if heads and len(cells) > 1 and cells[0] == path.name:
                with contextlib.suppress(ValueError):
                    return float(cells[1]), f"{heads[1]} ({card.name})"
    return None, ""
