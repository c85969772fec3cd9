"""kseg's dense CRF beside pydensecrf (its fork pydensecrf2 1.1, in C++).

Both refine the same probabilities of 21 classes at 500x375: Gaussian 3 pixels, weight
3; bilateral 121 pixels, 5 grey levels, weight 4; 10 iterations, set-up included. Each
runs in a process of its own, in turn, round by round, so that a load of the machine
meets both alike. Printed are the time until the first result with an empty compiler
cache and with a full one; the least and the median time of a run, and the least time on
the processor, which a loaded machine lengthens least; their ratios to the peer; the
memory that a run adds; and how often the classes agree with those of the peer and of
exact inference. It needs Linux.

    make peers
    taskset -c 0 python benchmarks/crf.py --camvid path/to/camvid

Without `--camvid` the image and its classes are made up.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from worker import Worker, peer

SIZE = (375, 500)
CLASSES = 21
SMALL = 7  # every so many pixels of the image are one of exact inference


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--camvid", help="folder of CamVid, for a real image")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(*arguments.worker)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(arguments, Path(folder))


def compare(arguments, folder):
    image, mask = street(arguments.camvid) if arguments.camvid else made_up()
    np.savez(folder / "case.npz", image=image, probabilities=degraded(mask))
    environment = {"NUMBA_CACHE_DIR": str(folder / "cache")}
    workers = {}
    for name, python in {
        "kseg, empty cache": sys.executable,
        "kseg": sys.executable,
        "pydensecrf": peer("pydensecrf", "pydensecrf.densecrf"),
    }.items():
        if python is None:
            continue
        library = name.partition(",")[0]
        workers[name] = Worker(python, __file__, (library, folder), environment)
        print(f"{name:18} first result after {workers[name].ask('first'):6.2f} s")
    workers.pop("kseg, empty cache").end()

    times = {name: [] for name in workers}
    for _ in range(arguments.rounds):
        for name, worker in workers.items():
            times[name].append(worker.ask("run"))
    figures = {name: summary(times[name]) for name in workers}
    reference = figures.get("pydensecrf")
    cores = len(os.sched_getaffinity(0))
    print(f"\n{CLASSES} classes, {SIZE[1]}x{SIZE[0]}, {cores} core(s), seconds")
    for name, own in figures.items():
        row = f"{name:11}"
        for title, value in own.items():
            row += f" {title} {value:.3f}"
            row += f" ({value / reference[title]:.2f})," if reference else ","
        print(f"{row} {workers[name].ask('memory'):.0f} MB")
    for worker in workers.values():
        worker.end()

    ours, lattice, exact = (
        np.load(folder / f"{name}.npy")
        for name in ("kseg", "kseg_lattice", "kseg_exact")
    )
    given = np.load(folder / "case.npz")["probabilities"].argmax(-1)
    print(
        f"\nright of the labelled pixels: {right(given, mask)}, refined {right(ours, mask)}"
    )
    print(f"agreement, lattice with exact inference: {(lattice == exact).mean():.4f}")
    if reference is not None:
        theirs = np.load(folder / "pydensecrf.npy")
        small = np.load(folder / "pydensecrf_lattice.npy")
        print(f"agreement, pydensecrf with exact:        {(small == exact).mean():.4f}")
        print(f"agreement, kseg with pydensecrf:         {(ours == theirs).mean():.4f}")


def summary(times):
    wall, processor = zip(*times, strict=True)
    return {
        "least": min(wall),
        "median": statistics.median(wall),
        "least of the processor": min(processor),
    }


def right(classes, mask):
    return f"{(classes == mask)[mask < CLASSES].mean():.4f}"


def work(library, folder):
    case = np.load(Path(folder) / "case.npz")
    image, probabilities = case["image"], case["probabilities"]
    start = time.perf_counter()
    refine = {"kseg": load_kseg, "pydensecrf": load_peer}[library]()
    result, memory = None, 0
    for line in sys.stdin:
        task = line.strip()
        if task == "first":
            # A small image that takes the same path: what compiling costs, alone.
            refine(image[:80, :80].copy(), probabilities[:80, :80].copy(), "lattice")
            answer = time.perf_counter() - start
        elif task == "run":
            before = memory_mb("VmRSS")
            Path("/proc/self/clear_refs").write_text("5")  # sets the peak back
            begin = time.perf_counter(), time.process_time()
            result = refine(image, probabilities, "lattice")
            end = time.perf_counter(), time.process_time()
            answer = [end[0] - begin[0], end[1] - begin[1]]
            memory = max(memory, memory_mb("VmHWM") - before)
        else:
            answer = memory
        print(json.dumps(answer), flush=True)
    if result is None:
        return
    folder = Path(folder)
    np.save(folder / f"{library}.npy", result.argmax(-1))
    small = [array[::SMALL, ::SMALL].copy() for array in (image, probabilities)]
    for method in ("lattice", "exact"):
        result = refine(*small, method)
        np.save(folder / f"{library}_{method}.npy", result.argmax(-1))


def memory_mb(what):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {what}")


def load_kseg():
    from kseg.postprocess import DenseCRF

    # As pydensecrf does it: a pixel gets a message from itself.
    return lambda image, probabilities, method: DenseCRF(
        self_message=True, method=method
    )(image, probabilities)


def load_peer():
    from pydensecrf.densecrf import DenseCRF2D
    from pydensecrf.utils import unary_from_softmax

    def refine(image, probabilities, method):
        height, width, classes = probabilities.shape
        crf = DenseCRF2D(width, height, classes)
        planes = np.ascontiguousarray(probabilities.transpose(2, 0, 1))
        crf.setUnaryEnergy(unary_from_softmax(planes))
        crf.addPairwiseGaussian(sxy=3, compat=3)
        crf.addPairwiseBilateral(sxy=121, srgb=5, rgbim=image, compat=4)
        result = np.array(crf.inference(10)).reshape(classes, height, width)
        return result.transpose(1, 2, 0)

    return refine


def street(folder):
    """A street of CamVid and its classes, enlarged."""
    from PIL import Image

    image = sorted((Path(folder) / "val").iterdir())[10]
    mask = Path(folder) / "valannot" / f"{image.stem}.png"
    size = SIZE[::-1]
    with Image.open(image) as photo, Image.open(mask) as truth:
        photo = photo.convert("RGB").resize(size, Image.Resampling.BICUBIC)
        return np.asarray(photo), np.asarray(truth.resize(size, 0)).astype(int)


def made_up():
    """Discs of many colours on one another, with noise, and their classes."""
    rng = np.random.default_rng(0)
    y, x = np.indices(SIZE)
    mask = np.zeros(SIZE, int)
    colors = rng.integers(0, 256, (CLASSES, 3))
    for _ in range(60):
        top, left, radius = rng.uniform(0, SIZE[0]), rng.uniform(0, SIZE[1]), 50
        mask[np.hypot(y - top, x - left) < rng.uniform(10, radius)] = rng.integers(21)
    image = colors[mask] + rng.normal(0, 8, (*SIZE, 3))
    return np.clip(image, 0, 255).astype(np.uint8), mask


def degraded(mask):
    """What a net might give: the true classes blurred, with smooth noise."""
    from scipy import ndimage, special

    rng = np.random.default_rng(0)
    truth = (mask[..., None] == np.arange(CLASSES)).astype(float)
    soft = ndimage.gaussian_filter(truth, (4, 4, 0))
    noise = ndimage.gaussian_filter(rng.normal(size=soft.shape), (3, 3, 0))
    return special.softmax(np.log(soft + 0.02) + 8 * noise, -1).astype(np.float32)


if __name__ == "__main__":
    main()
