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

from worker import Worker, peer

LIBRARIES = ("kseg", "tf.data", "albumentations")
FILL = (124, 116, 104)
AHEAD = 4  # batches


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
    for name in LIBRARIES:
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
    load = {"kseg": load_kseg, "tf.data": load_tf, "albumentations": load_peer}[library]
    batches = endless(load(**settings))
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


def load_kseg(ccp, size, batch_size, workers, recipe, **_):
    from kseg.data import augment, datasets, loader

    transforms = augment.standard().transforms
    if recipe == "colour":
        left_out = augment.RandomGaussianBlur, augment.RandomNoise, augment.RandomJpeg
        transforms = [t for t in transforms if not isinstance(t, left_out)]
    return loader(
        datasets.CCP(ccp),
        batch_size,
        size,
        augment=augment.Compose(transforms),
        workers=workers,
        max_queue_size=AHEAD,
    )


def load_peer(ccp, size, batch_size, workers, recipe, **_):
    import albumentations as A
    import cv2
    import torch

    cv2.setNumThreads(0)
    transforms = [
        A.RandomResizedCrop((size, size), scale=(0.0625, 1.0), ratio=(0.6, 1.25)),
        A.HorizontalFlip(p=0.5),
        A.Rotate((-15, 15), fill=FILL, fill_mask=255, border_mode=0, p=1.0),
        A.GaussianBlur(blur_limit=0, sigma_limit=(0.3, 2.0), p=0.15),
        A.ColorJitter((0.6, 1.4), (0.6, 1.4), (0.5, 1.5), (-0.03, 0.03), p=1.0),
        A.ToGray(p=0.05),
        A.GaussNoise(std_range=(2 / 255, 12 / 255), p=0.15),
        A.ImageCompression(quality_range=(30, 90), p=0.15),
    ]
    if recipe == "colour":
        left_out = A.GaussianBlur, A.GaussNoise, A.ImageCompression
        transforms = [t for t in transforms if not isinstance(t, left_out)]
    augment = A.Compose(transforms)
    pairs = list_pairs(ccp)

    class Photos(torch.utils.data.Dataset):
        def __len__(self):
            return len(pairs)

        def __getitem__(self, index):
            photo, mask = pairs[index]
            image = cv2.cvtColor(cv2.imread(photo), cv2.COLOR_BGR2RGB)
            made = augment(image=image, mask=cv2.imread(mask, cv2.IMREAD_GRAYSCALE))
            return torch.from_numpy(made["image"]), torch.from_numpy(made["mask"])

    loader = torch.utils.data.DataLoader(
        Photos(),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        prefetch_factor=max(1, AHEAD // max(1, workers)),
        persistent_workers=workers > 0,
    )

    class Epochs:
        def __iter__(self):
            # As bytes the batches pass from process to process in a quarter of the time.
            return ((images.float(), masks.int()) for images, masks in loader)

    return Epochs()


def load_tf(ccp, size, batch_size, workers, recipe, **_):
    import numpy as np
    import tensorflow as tf

    photos, masks = zip(*list_pairs(ccp), strict=True)
    yiq = np.array(
        [[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]],
        "float32",
    )

    def uniform(low, high):
        return tf.random.uniform((), low, high)

    def warp(picture, matrix, interpolation, fill):
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=picture[None],
            transforms=tf.concat([tf.reshape(matrix[:2], (1, 6)), [[0.0, 0.0]]], 1),
            output_shape=[size, size],
            fill_value=fill,
            interpolation=interpolation,
            fill_mode="CONSTANT",
        )[0]

    def geometry(image):
        """Crop, flip and rotation as one matrix, so that one warp does for all."""
        shape = tf.cast(tf.shape(image), tf.float32)
        scale, mix, jitter = uniform(0.25, 1), uniform(0, 1), uniform(-1, 1)
        height = shape[0] * scale
        ratio = (shape[1] / shape[0]) ** (1 - mix) * 1.25**jitter
        width = tf.minimum(height * ratio, shape[1])
        top = uniform(0, 1) * (shape[0] - height)
        left = uniform(0, 1) * (shape[1] - width)
        sign = tf.where(uniform(0, 1) < 0.5, 1.0, -1.0)
        angle = uniform(-np.pi / 12, np.pi / 12)
        cos, sin = tf.cos(angle), tf.sin(angle)
        to_middle = [[width / size, 0.0, -width / 2], [0.0, height / size, -height / 2]]
        turn = [[sign * cos, -sign * sin], [sin, cos]]
        matrix = tf.linalg.matmul(turn, to_middle)
        return matrix + [[0.0, 0.0, left + width / 2], [0.0, 0.0, top + height / 2]]

    def color(image):
        """All changes of colour as one matrix."""
        gain, contrast = uniform(0.6, 1.4), uniform(0.6, 1.4)
        saturation, angle = uniform(0.5, 1.5), 2 * np.pi * uniform(-0.03, 0.03)
        saturation *= tf.where(uniform(0, 1) < 0.05, 0.0, 1.0)
        cos, sin = saturation * tf.cos(angle), saturation * tf.sin(angle)
        turn = [[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]]
        matrix = tf.matmul(np.linalg.inv(yiq), tf.matmul(turn, yiq))
        matrix *= tf.random.uniform((3, 1), 0.9, 1.1)
        image = tf.tensordot(image, tf.transpose(gain * contrast * matrix), 1)
        return tf.clip_by_value(image + (1 - contrast) * 127.5, 0.0, 255.0)

    def sometimes(change, image):
        return tf.cond(uniform(0, 1) < 0.15, lambda: change(image), lambda: image)

    def blur(image):
        taps = tf.exp(-(tf.range(-6.0, 7.0) ** 2) / (2 * uniform(0.3, 2.0) ** 2))
        taps = tf.tile((taps / tf.reduce_sum(taps))[:, None, None], (1, 1, 3))[
            ..., None
        ]
        image = tf.nn.depthwise_conv2d(image[None], taps, [1] * 4, "SAME")
        taps = tf.transpose(taps, (1, 0, 2, 3))
        return tf.nn.depthwise_conv2d(image, taps, [1] * 4, "SAME")[0]

    def noise(image):
        image += tf.random.normal((size, size, 3), 0.0, uniform(2, 12))
        return tf.clip_by_value(image, 0.0, 255.0)

    def jpeg(image):
        quality = tf.random.uniform((), 30, 91, tf.int32)
        image = tf.cast(image, tf.uint8)
        return tf.cast(tf.image.adjust_jpeg_quality(image, quality), tf.float32)

    def make(photo, mask):
        image = tf.io.decode_jpeg(tf.io.read_file(photo), 3)
        mask = tf.io.decode_png(tf.io.read_file(mask), 1)
        matrix = geometry(image)
        image = tf.cast(warp(image, matrix, "BILINEAR", 116.0), tf.float32)
        mask = warp(mask, matrix, "NEAREST", 255.0)[..., 0]
        steps = [blur, color, noise, jpeg] if recipe == "standard" else [color]
        for step in steps:
            image = step(image) if step is color else sometimes(step, image)
        return tf.ensure_shape(image, (size, size, 3)), tf.cast(mask, tf.int32)

    data = tf.data.Dataset.from_tensor_slices((list(photos), list(masks)))
    data = data.shuffle(len(photos)).map(make, tf.data.AUTOTUNE, deterministic=False)
    return data.batch(batch_size, drop_remainder=True).prefetch(AHEAD)


def list_pairs(ccp):
    photos = sorted(Path(ccp, "photos").glob("*.jpg"))
    masks = Path(ccp, "annotations", "pixel-level")
    return [(str(photo), str(masks / f"{photo.stem}.png")) for photo in photos]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(sys.argv[2], json.loads(sys.argv[3]))
    else:
        main()
