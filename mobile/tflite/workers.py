"""LiteRT in a process of its own.

Memory is counted per process, the driver of a GPU is chosen by the environment, and one
that crashes must not take the caller along.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

# The driver in software of Debian's package chromium; the Vulkan loader lies beside it.
SOFTWARE_DRIVER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")


def run_worker(
    module: str, task: dict, *, environment=None, timeout: float | None = None
) -> dict:
    """Runs a module that ends in `answer`.

    Args:
        module: Its name.
        task: What it is to do, as JSON takes it; `path` is the file.
        environment: Variables of the process; `None` for those of this one.
        timeout: Seconds until the run is given up.

    Returns:
        What it found.

    Raises:
        ImportError: If LiteRT is not installed.
        RuntimeError: If LiteRT crashes, or takes too long.
        ValueError: If the worker refuses the task.
    """
    try:
        done = subprocess.run(
            # -P: a json.py in the working folder must not be taken for Python's.
            [sys.executable, "-P", "-m", module, json.dumps(task)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"It took more than {timeout:g} s.") from error
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise RuntimeError(
            f"LiteRT ended with status {done.returncode} while it ran "
            f"{Path(task['path']).name}" + (f": {said[-1]}" if said else "")
        )
    found = json.loads(lines[-1])
    if "error" in found:
        kind = ImportError if found["error"] == "ImportError" else ValueError
        raise kind(found["message"])
    return found


def run_gpu_worker(module: str, task: dict, *, timeout: float | None = None) -> dict:
    """Runs a worker for the GPU of this machine; without one, for one in software.

    Args:
        module: As for `run_worker`.
        task: The same.
        timeout: The same, for each of the two runs.

    Returns:
        What it found: `driver` says whether there is any.
    """
    found = run_worker(module, task, timeout=timeout)
    if found["driver"] or not SOFTWARE_DRIVER.exists():
        return found
    folder = str(SOFTWARE_DRIVER.parent)
    libraries = os.environ.get("LD_LIBRARY_PATH")
    environment = {
        **os.environ,
        "VK_ICD_FILENAMES": str(SOFTWARE_DRIVER),
        # Last, so that a Vulkan loader of the system comes first.
        "LD_LIBRARY_PATH": f"{libraries}:{folder}" if libraries else folder,
    }
    return run_worker(module, task, environment=environment, timeout=timeout)


def answer(work: Callable[..., dict], task: str) -> None:
    """Prints what a worker finds as one line of JSON, or the error of its input.

    Args:
        work: Function of what is in the task.
        task: JSON of a dict.
    """
    try:
        found = work(**json.loads(task))
    except (ImportError, OSError, TypeError, ValueError) as error:
        found = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(found))
