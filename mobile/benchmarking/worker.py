"""Times one .tflite in a process of its own."""

import contextlib
import importlib
import re
import sys
import time
from pathlib import Path

import numpy as np

from kseg.mobile.tflite.gpu_net import GpuNet, read_log
from kseg.mobile.tflite.runtime import native_log, open_interpreter
from kseg.mobile.tflite.workers import answer

_WARM_UP = 5
_FEWEST_RUNS = 5


def measure(path: str, threads: int, runs: int, seconds: float) -> dict:
    """Times a file, and says what was measured, in ms and MB.

    Args:
        path: The file.
        threads: Of the CPU; 0 for the GPU.
        runs: Runs to time.
        seconds: Stop after this time.
    """
    # The time to load is the file's; without the library, opening has the error.
    with contextlib.suppress(ImportError):
        name = "interpreter" if threads else "compiled_model"
        importlib.import_module(f"ai_edge_litert.{name}")
    if not threads:
        return _gpu(Path(path), runs, seconds)
    memory = _Memory()
    started = time.perf_counter()
    content = Path(path).read_bytes()
    interpreter = open_interpreter(content, num_threads=threads, name=str(path))
    load = time.perf_counter() - started
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], _noise(details))
    times = _times(interpreter.invoke, runs, seconds)
    return {"load": 1e3 * load, "times": times, "memory": memory.growth()}


def _gpu(path, runs, seconds):
    """Times run and read: what comes back earlier is only a promise."""
    memory = _Memory()
    with native_log() as log:
        started = time.perf_counter()
        try:
            net = GpuNet(path.read_bytes())
        except RuntimeError:
            return {**read_log(log()), "log": log()}
        load = time.perf_counter() - started
        net.write({details["name"]: _noise(details) for details in net.inputs})
        times = _times(net.run, runs, seconds)
        found = {"whole": net.whole, **read_log(log())}
    return {
        "load": 1e3 * load,
        "times": times,
        "memory": memory.growth(),
        **found,
    }


def _noise(details):
    """Uniform noise of pixel values; zeros could take shortcuts."""
    random = np.random.default_rng(0)
    return random.integers(0, 128, details["shape"]).astype(details["dtype"])


def _times(run, runs, seconds):
    """Milliseconds that single runs take."""
    started = time.perf_counter()
    for _ in range(_WARM_UP):
        run()
        if time.perf_counter() - started > seconds:
            break
    times, started = [], time.perf_counter()
    while len(times) < runs:
        before = time.perf_counter()
        run()
        after = time.perf_counter()
        times.append(1e3 * (after - before))
        if after - started > seconds and len(times) >= _FEWEST_RUNS:
            break
    return times


class _Memory:
    """The memory of this process, as far as Linux tells."""

    def __init__(self):
        with contextlib.suppress(OSError):  # forget the peak of what came before
            Path("/proc/self/clear_refs").write_text("5")
        self._before = self._kilobytes("VmRSS")

    def growth(self):
        """Megabytes that were added at most, or None."""
        peak = self._kilobytes("VmHWM")
        if self._before is None or peak is None:
            return None
        return (peak - self._before) * 1024 / 1e6

    @staticmethod
    def _kilobytes(name):
        with contextlib.suppress(OSError):
            text = Path("/proc/self/status").read_text()
            found = re.search(rf"^{name}:\s+(\d+) kB", text, re.M)
            return int(found[1]) if found else None
        return None


if __name__ == "__main__":
    answer(measure, sys.argv[1])
