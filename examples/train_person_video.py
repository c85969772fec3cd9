"""The person net for videos: it sees its own mask of the frame before.

    python examples/train_person_video.py path/to/ccp -o runs/person_video

The net of single images is the beginning. It learns on single photos: with each comes what
that net says of the photo moved a little, as of a frame before, with its mistakes; or of
another photo, as behind a cut; or nothing, as at the start. Started again, the script goes
on where it was stopped. Fifteen minutes on 2 cores; `--epochs 1` shows the whole way in one.
Compare it with the net of single images (`benchmarks/person_video.py`) before you use it: of
20 epochs on Clothing Co-Parsing it was no steadier, and none ships.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from train_person import fine_tune

import kseg
from kseg.files import write_json, write_whole


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", help="folder of Clothing Co-Parsing")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/person_video"))
    parser.add_argument("--start", default="person", help="a net of `fpn`, .keras")
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    train, validation = (
        kseg.data.datasets.open_dataset(arguments.data, split, "person")
        for split in ("train", "validation")
    )
    single = kseg.load(arguments.start).model
    net = with_fourth_channel(single)
    augment = kseg.data.augment.standard(scale=(0.25, 1.0), aspect=2.0)
    size = net.input_shape[1:3]
    batches = kseg.data.loader(train, 16, size, augment=augment)
    batches = MasksBefore(batches, single)
    arguments.output.mkdir(parents=True, exist_ok=True)
    net = fine_tune(net, batches, arguments.output, arguments.epochs)

    step = kseg.models.video.mask_feedback(net, name="person_video")
    write_whole(arguments.output / "person_video.keras", step.save)
    path = arguments.output / "person_video_float16.tflite"
    kseg.mobile.export(step, path, precision="float16")

    # Photos are a first frame each, with nothing before it.
    figures = kseg.training.evaluate(kseg.load(path), validation)
    print(f"{path.name}: IoU of person {figures['iou_person']:.4f} on a first frame")
    write_json(arguments.output / "results.json", {path.name: figures})


def with_fourth_channel(single):
    """The same net for four channels, which does not look at the fourth yet."""
    shape = (*single.input_shape[1:3], 4)
    net = kseg.models.fpn(shape, 1, activation="sigmoid")
    (first,) = kseg.models.copy_weights(single, net).different
    backbone, stem = first.split("/")
    old, new = (model.get_layer(backbone).get_layer(stem) for model in (single, net))
    kernel = keras.ops.convert_to_numpy(old.kernel)
    new.kernel.assign(np.pad(kernel, ((0, 0), (0, 0), (0, 1), (0, 0))))
    return net


class MasksBefore(keras.utils.PyDataset):
    """Photos with a mask of 0 to 255 as a fourth channel, their masks, known pixels."""

    def __init__(self, batches, single, seed=0):
        super().__init__()
        self.batches, self.single, self.seed, self.epoch = batches, single, seed, 0

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        images, masks = self.batches[index]
        rng = np.random.default_rng((self.seed, self.epoch, index))
        motions = [motion(rng, images.shape[1:3]) for _ in images]
        moved = keras.ops.image.affine_transform(
            images, np.float32(motions), fill_mode="nearest"
        )
        before = 255 * self.single.predict_on_batch(moved)
        kind = rng.random((len(images), 1, 1, 1))
        before = np.where(kind < 0.1, np.roll(before, 1, axis=0), before)
        before = np.where(kind > 0.75, 0, before).astype("float32")
        truth = (masks == 1)[..., None].astype("float32")
        seen = np.concatenate([images, before], axis=-1)
        return seen, truth, (masks != 255).astype("float32")

    def on_epoch_end(self):
        self.epoch += 1
        self.batches.on_epoch_end()


def motion(rng, size):
    """A small motion, as `keras.ops.image.affine_transform` takes it."""
    angle, scale = np.deg2rad(rng.normal(0, 3)), rng.normal(1, 0.03)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    middle_y, middle_x = np.float64(size) / 2
    y, x = rng.normal(0, 0.03, 2) * size
    return [
        *(cos, -sin, middle_x - cos * middle_x + sin * middle_y + x),
        *(sin, cos, middle_y - sin * middle_x - cos * middle_y + y),
        *(0, 0),
    ]


if __name__ == "__main__":
    main()
