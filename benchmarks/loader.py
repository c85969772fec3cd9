"""Images per second of `kseg.data.loader` beside tf.data and albumentations.

The same files, read, augmented and batched at 512x512 by the standard recipe (a crop of
random scale and aspect ratio, flip, rotation by up to 15 degrees, colour; then blur,
noise and JPEG with a probability of 0.15 each): by kseg, by tf.data and by
albumentations in a DataLoader of PyTorch, each in a process of its own, by turns.
All deliver float32 images, 0 to 255, and integer masks, interpolate images bilinearly
and take the nearest neighbours in masks. `--recipe colour` stops after colour.

    make peers
    python benchmarks/loader.py path/to/ccp

The time of the processors is that of the library's process and its workers.
`benchmarks/waiting.py` measures how long training waits for the loader.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

from loader_pipelines import AHEAD, load_albumentations, load_kseg, load_tf
from worker import Worker, peer

LOADERS = {
    "kseg": load_kseg,
    "tf.data": load_tf,
    "albumentations": load_albumentations,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("ccp", help="folder of Clothing Co-Parsing")
    parser.add_argument("--recipe", choices=["standard", "colour"], default="standard")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--batches", type=int, default=12, help="of each turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--sheet", help="PNG of what each library makes, to look at")
    arguments = parser.parse_args()
    settings = vars(arguments)
    workers = {}
    for name in LOADERS:
        python = sys.executable
        if name == "albumentations":
            python = peer(name, "albumentations", "torch")
        if python is None:
            continue
        workers[name] = Worker(
            python,
            __file__,
            (name, json.dumps(settings)),
            {"NO_ALBUMENTATIONS_UPDATE": "1"},
        )
        print(f"{name:15} first batch after {workers[name].ask('first'):5.1f} s")
    turns = {name: [] for name in workers}
    for _ in range(arguments.rounds):
        for name, worker in workers.items():
            turns[name].append(worker.ask("run"))
    print_rates(turns, arguments)
    if arguments.sheet:
        save_sheet(workers, Path(arguments.sheet))
    for worker in workers.values():
        worker.end()


def print_rates(turns, arguments):
    images = arguments.batches * arguments.batch_size
    cores = len(os.sched_getaffinity(0))
    print(
        f"\n{arguments.recipe} recipe at {arguments.size}, batches of "
        f"{arguments.batch_size}, {arguments.workers} workers, {cores} cores, "
        f"{arguments.rounds} turns of {images} images"
    )
    for name, values in turns.items():
        wall, processor = zip(*values, strict=True)
        row = f"{name:15} {images / statistics.median(wall):6.1f} images/s"
        row += f" (best {images / min(wall):6.1f})"
        row += f"  {1e3 * statistics.median(processor) / images:5.2f} ms of a core each"
        print(row)
    for name in turns:
        if name == "kseg":
            continue
        for title, place in (("images/s", 0), ("images per core-second", 1)):
            # Turn by turn, so that what else runs on the machine cancels out. Both are
            # times of as many images: theirs / own is what kseg makes in theirs.
            ratios = [
                theirs[place] / own[place]
                for own, theirs in zip(turns["kseg"], turns[name], strict=True)
            ]
            listed = ", ".join(f"{ratio:.2f}" for ratio in sorted(ratios))
            print(
                f"kseg / {name:15} {title:22} {statistics.median(ratios):.2f} ({listed})"
            )


def save_sheet(workers, path):
    """Saves six samples of each library, the mask at the edge of each."""
    import numpy as np
    from PIL import Image

    rows = []
    for name, worker in workers.items():
        part = path.with_suffix(f".{name}.npz")
        worker.ask(str(part))
        with np.load(part) as made:
            images = made["images"][:6].astype("uint8")
            masks = np.repeat(made["masks"][:6, :, ::4, None].astype("uint8") * 4, 3, 3)
        rows.append(np.concatenate([*np.concatenate([images, masks], 2)], 1))
        part.unlink()
    Image.fromarray(np.concatenate(rows)).reduce(3).save(path)


def work(library, settings):
    start = time.perf_counter()
    batches = endless(LOADERS[library](**settings))
    for line in sys.stdin:
        task = line.strip()
        if task == "first":
            next(batches)
            answer = time.perf_counter() - start
        elif task == "run":
            # What was made while the others ran does not count.
            for _ in range(AHEAD + 2):
                next(batches)
            begin = time.perf_counter(), processor_time()
            for _ in range(settings["batches"]):
                images, masks = next(batches)
            answer = [time.perf_counter() - begin[0], processor_time() - begin[1]]
            shape = (settings["batch_size"], settings["size"], settings["size"])
            if tuple(images.shape) != (*shape, 3) or tuple(masks.shape) != shape:
                raise RuntimeError(f"{library}: {images.shape}, {masks.shape}")
            if "float32" not in str(images.dtype):
                raise RuntimeError(f"{library}: {images.dtype}")
            wait_until_idle()
        else:
            import numpy as np

            images, masks = next(batches)
            np.savez(task, images=np.asarray(images), masks=np.asarray(masks))
            answer = 0
        print(json.dumps(answer), flush=True)
    os._exit(0)  # without waiting for what is under way


def processor_time():
    """Seconds of the processors that this process and its children have had."""
    own, ticks = os.getpid(), 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if own in (int(folder.name), int(fields[1])):
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def wait_until_idle(limit=5.0):
    """Lets the queues fill up, so that the next library has the machine to itself."""
    end = time.perf_counter() + limit
    before = -1.0
    while time.perf_counter() < end and processor_time() - before > 0.02:
        before = processor_time()
        time.sleep(0.25)


def endless(batches):
    while True:
        yield from batches
        if hasattr(batches, "on_epoch_end"):
            batches.on_epoch_end()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(sys.argv[2], json.loads(sys.argv[3]))
    else:
        main()
