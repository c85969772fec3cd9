"""Times one .tflite in a process of its own.

Memory is counted per process, a GPU's driver is chosen by the environment, and a
driver that crashes must not take the caller along.
"""

import contextlib
import importlib
import json
import re
import sys
import time
from pathlib import Path

import numpy as np

from kseg.mobile.runtime import native_log, open_interpreter

_WARM_UP = 5
_FEWEST_RUNS = 5


def main(task: str) -> None:
    """Prints what was measured as one line of JSON, in ms and MB.

    Args:
        task: JSON of `path`, `threads` (0 for the GPU), `runs` and `seconds`.
    """
    task = json.loads(task)
    try:
        answer = _measure(**task)
    except (ImportError, ValueError) as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(answer))


def _measure(path, threads, runs, seconds):
    if not threads:
        return _gpu(Path(path), runs, seconds)
    # The time to load is the file's; without the library, opening has the error.
    with contextlib.suppress(ImportError):
        importlib.import_module("ai_edge_litert.interpreter")
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
    from ai_edge_litert.compiled_model import CompiledModel, Options
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator

    memory = _Memory()
    with native_log() as log:
        started = time.perf_counter()
        try:
            # With the CPU as a second choice it may take all of it, unsaid.
            options = Options(HardwareAccelerator.GPU)
            model = CompiledModel.from_buffer(path.read_bytes(), options=options)
        except RuntimeError:
            return {"driver": "No adapters found" not in log(), "log": log()}
        load = time.perf_counter() - started
        signature = next(iter(model.get_signature_list()))
        inputs = model.create_input_buffers(0)
        details = model.get_input_tensor_details(signature).values()
        for buffer, detail in zip(inputs, details, strict=True):
            buffer.write(_noise(detail))
        outputs = model.create_output_buffers(0)
        details = model.get_output_tensor_details(signature).values()
        reads = [(int(np.prod(d["shape"])), np.dtype(d["dtype"])) for d in details]

        def run():
            model.run_by_index(0, inputs, outputs)
            for buffer, read in zip(outputs, reads, strict=True):
                buffer.read(*read)

        times = _times(run, runs, seconds)
        adapter = re.search(r"Selected adapter: ([^,\n]+).*adapterType=(.*)", log())
    return {
        "load": 1e3 * load,
        "times": times,
        "memory": memory.growth(),
        "driver": True,
        "adapter": adapter[1] if adapter else "",
        "software": bool(adapter and "CPU" in adapter[2]),
        "whole": model.is_fully_accelerated(),
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
    main(sys.argv[1])
