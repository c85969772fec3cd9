"""Times a .tflite on this machine's CPU."""

import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kseg.mobile.runtime import open_interpreter

_WARM_UP = 5
_FEWEST_RUNS = 5


@dataclasses.dataclass(frozen=True)
class Latency:
    """Times of single runs with one number of threads, in milliseconds.

    Attributes:
        threads: CPU threads.
        median: The middle time.
        p90: Nine of ten runs are faster.
        best: The fastest run.
        runs: Number of runs timed.
    """

    threads: int
    median: float
    p90: float
    best: float
    runs: int


@dataclasses.dataclass(frozen=True)
class LatencyReport:
    """What `benchmark_latency` measured. `print` shows a table.

    Attributes:
        path: The file.
        size_bytes: Its size.
        load: Time from the file to an interpreter that can run, in milliseconds.
        latencies: One `Latency` per number of threads.
    """

    path: Path
    size_bytes: int
    load: float
    latencies: tuple[Latency, ...]

    def __str__(self) -> str:
        lines = [
            f"{self.path} ({self.size_bytes / 1e6:.2f} MB, loads in {self.load:.0f} ms)",
            "threads   median ms   p90 ms   best ms   runs",
        ]
        lines += [
            f"{row.threads:7d} {row.median:11.2f} {row.p90:8.2f} {row.best:9.2f} "
            f"{row.runs:6d}"
            for row in self.latencies
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict:
        """Returns the report as JSON takes it."""
        return {**dataclasses.asdict(self), "path": str(self.path)}


def benchmark_latency(
    path, *, threads: Sequence[int] | None = None, runs: int = 50, seconds: float = 5.0
) -> LatencyReport:
    """Times single runs of a `.tflite` by LiteRT on the CPU (XNNPACK).

    Only the net is timed: reading and resizing the image is not.

    Args:
        path: The file.
        threads: Numbers of threads. `None` takes 1, 2 and 4, as far as there are cores.
        runs: Runs to time per number of threads, after 5 that warm up.
        seconds: Stop after this time per number of threads, but not before 5 runs.

    Returns:
        A `LatencyReport`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no `.tflite`, or a number is out of range.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"`path` must be an existing .tflite file. Received: path={str(path)!r}"
        )
    if runs < 1:
        raise ValueError(f"`runs` must be a positive integer. Received: runs={runs}")
    if threads is None:
        threads = [n for n in (1, 2, 4) if n <= (os.cpu_count() or 1)]
    if not threads:
        raise ValueError(
            "`threads` must be positive integers, at least one. "
            f"Received: threads={threads}"
        )
    loads, rows = [], []
    for count in threads:
        started = time.perf_counter()
        interpreter = open_interpreter(
            path.read_bytes(), num_threads=count, name=str(path)
        )
        loads.append(time.perf_counter() - started)
        times = _times(interpreter, runs, seconds) * 1e3
        rows.append(
            Latency(
                threads=count,
                median=float(np.median(times)),
                p90=float(np.percentile(times, 90)),
                best=float(times.min()),
                runs=len(times),
            )
        )
    return LatencyReport(path, path.stat().st_size, min(loads) * 1e3, tuple(rows))


def _times(interpreter, runs, seconds):
    """Returns the times of single runs on noise, in seconds."""
    random = np.random.default_rng(0)
    for details in interpreter.get_input_details():
        # Uniform noise of pixel values; zeros could take shortcuts.
        image = random.integers(0, 128, details["shape"]).astype(details["dtype"])
        interpreter.set_tensor(details["index"], image)
    for _ in range(_WARM_UP):
        interpreter.invoke()
    times, started = [], time.perf_counter()
    while len(times) < runs:
        before = time.perf_counter()
        interpreter.invoke()
        after = time.perf_counter()
        times.append(after - before)
        if after - started > seconds and len(times) >= _FEWEST_RUNS:
            break
    return np.asarray(times)
