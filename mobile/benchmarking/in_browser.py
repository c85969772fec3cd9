"""Times a .tflite in a browser: LiteRT.js in a headless Chromium."""

from collections.abc import Sequence
from pathlib import Path

from kseg.files import as_path
from kseg.mobile.benchmarking.rows import BenchmarkRow, timed_row
from kseg.mobile.browser.chromium import JAVASCRIPT, run_page

_BACKENDS = ("wasm", "webgpu")
# Without a GPU Chromium takes its software driver then, and says so.
_FLAGS = ("--enable-unsafe-webgpu",)
_NO_ADAPTER = "Chromium finds no GPU, and has no software driver for one"
_PARTLY = (
    "what the GPU does not take runs by WebAssembly; `kseg lint` says what and why"
)


def benchmark_browser(
    path,
    *,
    backends: Sequence[str] = _BACKENDS,
    runs: int = 50,
    seconds: float = 5.0,
) -> list[BenchmarkRow]:
    """Times single runs of a `.tflite` by LiteRT.js in Chromium.

    A time counts from the input in the page's memory to the outputs there: what WebGPU
    computes is read back. Each backend has a browser of its own.

    Args:
        path: The file.
        backends: `"wasm"` (WebAssembly, XNNPACK) and `"webgpu"`.
        runs: Runs to time per backend, after up to 5 that warm up.
        seconds: Stop after this time per backend, but not before 5 runs.

    Returns:
        A row per backend. Where WebGPU has no adapter a note says so in place of times;
        an adapter that computes on the CPU is marked `software`.

    Raises:
        FileNotFoundError: If there is no such file, or no Chromium.
        ImportError: If LiteRT.js is not installed.
        RuntimeError: If Chromium or LiteRT.js fails.
        ValueError: If `backends` has an unknown name, or `runs` is below 1.
    """
    path = as_path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"`path` must be an existing .tflite file. Received: path={str(path)!r}"
        )
    backends = [backends] if isinstance(backends, str) else list(backends)
    if not backends or not set(backends) <= set(_BACKENDS):
        raise ValueError(
            f"`backends` must be of {_BACKENDS}. Received: backends={backends}"
        )
    if runs < 1:
        raise ValueError(f"`runs` must be a positive integer. Received: runs={runs}")
    return [_row(path, backend, runs, seconds) for backend in backends]


def _row(path: Path, backend, runs, seconds):
    answer = run_page(
        JAVASCRIPT / "benchmark.html",
        {"backend": backend, "runs": runs, "seconds": seconds},
        files={"model.tflite": path},
        flags=_FLAGS,
        timeout=120 + 20 * seconds,
    )
    if backend == "wasm":
        row = {"threads": answer["threads"]}
    elif answer["adapter"] is None:
        return BenchmarkRow(backend, note=_NO_ADAPTER)
    else:
        row = {
            "software": answer["software"],
            "delegate": f"WebGPU, {answer['adapter']}",
            "taken": answer.get("taken"),
            "total": answer.get("total"),
            "fully_delegated": answer["whole"],
            "note": "" if answer["whole"] else _PARTLY,
        }
    return timed_row(backend, answer["times"], load=answer["load"], **row)
