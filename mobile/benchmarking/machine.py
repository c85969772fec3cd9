"""Times a .tflite on the CPU and the GPU of this machine."""

from pathlib import Path

from kseg.mobile.benchmarking.logs import delegation
from kseg.mobile.benchmarking.rows import BenchmarkRow, timed_row
from kseg.mobile.tflite.workers import run_gpu_worker, run_worker

_WORKER = "kseg.mobile.benchmarking.worker"
_NO_DRIVER = (
    "no Vulkan driver: mesa-vulkan-drivers of Debian and Ubuntu has those of GPUs, "
    "chromium has one in software"
)


def cpu_row(path: Path, threads: int, runs: int, seconds: float) -> BenchmarkRow:
    """Times LiteRT on the CPU (XNNPACK).

    Args:
        path: A `.tflite`.
        threads: Number of threads.
        runs: Runs to time, after up to 5 that warm up.
        seconds: Stop after this time, but not before 5 runs.

    Raises:
        ImportError: If LiteRT is not installed.
        RuntimeError: If LiteRT crashes.
        ValueError: If the file is no `.tflite`, or a damaged one.
    """
    answer = run_worker(_WORKER, _task(path, threads, runs, seconds))
    return timed_row("cpu", answer["times"], **_common(answer), threads=threads)


def gpu_row(path: Path, runs: int, seconds: float) -> BenchmarkRow:
    """Times LiteRT on the GPU alone, run and read; without one on a software driver.

    Args:
        path: A `.tflite` that the CPU runs.
        runs: As for the CPU.
        seconds: As for the CPU.

    Returns:
        A row, with a note in place of times where they could not be taken.
    """
    try:
        answer = run_gpu_worker(_WORKER, _task(path, 0, runs, seconds))
    except RuntimeError as error:
        return BenchmarkRow("gpu", note=str(error))
    if not answer["driver"]:
        return BenchmarkRow("gpu", note=_NO_DRIVER)
    if "times" not in answer:
        return _refused(answer)
    return timed_row(
        "gpu",
        answer["times"],
        **_common(answer),
        software=answer["software"],
        delegate=answer["adapter"],
        fully_delegated=answer["whole"],
    )


def _refused(answer):
    """A GPU alone must take all; LiteRT's log has what it does not take."""
    said = "; ".join(dict.fromkeys(answer["refused"])) or "kseg lint says more"
    note = f"LiteRT's GPU does not take all of the graph: {said}"
    delegated = {"fully_delegated": False, **delegation(answer["log"])}
    return BenchmarkRow("gpu", **delegated, note=note)


def _task(path, threads, runs, seconds):
    """What the worker is told; no threads mean the GPU."""
    return {"path": str(path), "threads": threads, "runs": runs, "seconds": seconds}


def _common(answer):
    return {"load": answer["load"], "peak_memory": answer["memory"]}
