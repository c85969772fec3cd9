"""kseg's export beside `model.export(format="litert")` of Keras, and int8 beside float.

The same DeepLabv3+ with a MobileNetV2 goes through both exports; then every net that
ships is exported in float32 and in full_int8: once with the images and scores of the
float32 file, so that the two do the same, and once with bytes, as cameras have them, which
LiteRT turns into int8 and back one by one. The files run in turn, image by image, so
that a load of the machine meets them alike; the figures are medians of LiteRT with
XNNPACK, and ratios. Weights are random in the first part, for latency depends on none.

    python benchmarks/export.py
    taskset -c 0 python benchmarks/export.py --size 512 --width 1.0 --rounds 100
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

import kseg
from kseg.mobile.images import PHOTOS
from kseg.mobile.nets import WEIGHTS
from kseg.mobile.tflite.graph import op_counts
from kseg.mobile.tflite.runtime import native_log, open_interpreter

CLASSES = 21
WAYS = (
    ("float32", "float32", None),
    ("int8 of floats", "full_int8", "float32"),
    ("int8 of bytes", "full_int8", "uint8"),
)
WARM_UP = 5


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--width", type=float, default=0.5, help="of the MobileNetV2")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=50)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare_exports(Path(folder), arguments)
        compare_precisions(Path(folder), arguments)


def compare_exports(folder, arguments):
    """Prints latency and operations of one net as kseg and as Keras export it."""
    model = kseg.models.deeplab_v3_plus(
        (arguments.size, arguments.size, 3),
        CLASSES,
        backbone="mobilenet_v2",
        width_multiplier=arguments.width,
    )
    files = {name: folder / f"{name}.tflite" for name in ("kseg", "keras")}
    kseg.mobile.export(model, files["kseg"], verbose=False)
    with native_log():
        model.export(str(files["keras"]), format="litert", verbose=False)
    times = in_turn(files, arguments.threads, arguments.rounds)
    net = f"deeplab_v3_plus, mobilenet_v2 x {arguments.width:g}, {CLASSES} classes"
    print(f"\n{net}, {conditions(arguments)}, float32")
    own = times["kseg"]
    for name, path in files.items():
        counts = op_counts(path.read_bytes())
        print(
            f"{name:6} {times[name]:8.2f} ms ({times[name] / own:5.2f})  "
            f"{sum(counts.values()):4d} operations  {megabytes(path)}  "
            + ", ".join(f"{count} {op}" for op, count in counts.items())
        )


def compare_precisions(folder, arguments):
    """Prints latency and size of the nets that ship, in float32 and full_int8."""
    print(f"\nnets that ship, {conditions(arguments)}")
    for path in sorted(WEIGHTS.glob("*.keras")):
        segmenter = kseg.load(path)
        size = None if segmenter.input_size else arguments.size
        files, reports = {}, {}
        for name, precision, dtype in WAYS:
            files[name] = folder / f"{path.stem}_{name.replace(' ', '_')}.tflite"
            reports[name] = kseg.mobile.export(
                segmenter.model,
                files[name],
                size=size,
                precision=precision,
                input_dtype=dtype,
                calibration=PHOTOS,
                verbose=False,
            )
        times = in_turn(files, arguments.threads, arguments.rounds)
        print(path.stem)
        for name, file in files.items():
            print(
                f"  {name:16} {times[name]:7.2f} ms {megabytes(file)}  "
                f"{times['float32'] / times[name]:5.2f} times as fast, mean IoU "
                f"{reports[name].parity.mean_iou:.4f} against Keras"
            )


def in_turn(files, threads, rounds):
    """Medians in milliseconds of the files, run one after the other, round by round."""
    interpreters = {name: opened(path, threads) for name, path in files.items()}
    seconds = {name: [] for name in files}
    for number in range(WARM_UP + rounds):
        for name, interpreter in interpreters.items():
            begin = time.perf_counter()
            interpreter.invoke()
            if number >= WARM_UP:
                seconds[name].append(time.perf_counter() - begin)
    return {name: 1e3 * statistics.median(values) for name, values in seconds.items()}


def opened(path, threads):
    """An interpreter with inputs of noise, which no shortcut for zeros can take."""
    interpreter = open_interpreter(
        path.read_bytes(), num_threads=threads, name=str(path)
    )
    for given in interpreter.get_input_details():
        pixels = np.random.default_rng(0).integers(0, 256, given["shape"])
        interpreter.set_tensor(given["index"], pixels.astype(given["dtype"]))
    return interpreter


def conditions(arguments):
    return (
        f"{arguments.size}x{arguments.size}, {arguments.threads} thread(s), median of "
        f"{arguments.rounds}"
    )


def megabytes(path):
    return f"{path.stat().st_size / 1e6:5.2f} MB"


if __name__ == "__main__":
    main()
