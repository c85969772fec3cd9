"""The parameters of TensorFlow Lite's benchmark app for iOS.

Reference:
- [TFLite iOS benchmark app](https://github.com/tensorflow/tensorflow/tree/master/tensorflow/lite/tools/benchmark/ios)
"""

from pathlib import Path

from kseg.files import as_path, write_json, write_whole
from kseg.mobile.benchmarking.benchmarking import positive
from kseg.mobile.tflite.operations import read_operations


def write_ios_benchmark(
    path, folder, *, threads: int = 2, runs: int = 50, gpu: bool = False
) -> Path:
    """Puts a net and `benchmark_params.json` into the iOS benchmark app.

    Build and run the app in Xcode, then read what it printed, or the text on its
    screen, with `kseg.mobile.benchmark(path, logs=["xcode.txt"])`.

    Args:
        path: A `.tflite`.
        folder: The app's folder `benchmark_data`; both files are to be among Xcode's
            "Copy Bundle Resources".
        threads: CPU threads.
        runs: Runs to time.
        gpu: Run on the GPU (Metal).

    Returns:
        The path of `benchmark_params.json`.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If it is no `.tflite`, or a number is out of range.
    """
    path, folder = as_path(path), as_path(folder, "folder")
    read_operations(path)  # the app would end without a word
    if not folder.is_dir():
        raise FileNotFoundError(
            "`folder` must be the folder benchmark_data of the iOS benchmark app. "
            f"Received: folder={str(folder)!r}"
        )
    values = {
        "benchmark_name": f"{path.stem}_benchmark",
        "num_threads": positive("threads", threads),
        "num_runs": positive("runs", runs),
        "warmup_runs": 1,
        "graph": path.name,
    }
    if gpu:
        values |= {"use_gpu": 1, "gpu_wait_type": "aggressive"}
    write_whole(folder / path.name, path.read_bytes())
    # The app takes strings only: a number ends it.
    parameters = folder / "benchmark_params.json"
    write_json(parameters, {key: str(value) for key, value in values.items()})
    return parameters
