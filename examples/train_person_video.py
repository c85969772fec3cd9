"""The person net for videos: it sees its own mask of the frame before.

    python examples/train_person_video.py path/to/ccp -o runs/person_video

The net of single images is the beginning. It learns on single photos: with each comes a
mask as a frame before could have left it, which is the true one moved a little, or one of
another photo, as behind a cut, or none, as at the start. Started again, the script goes on
where it was stopped. Ten minutes on 2 cores; `--epochs 1` shows the whole way in one.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from scipy import ndimage
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
    net = with_fourth_channel(kseg.load(arguments.start).model)
    augment = kseg.data.augment.standard(scale=(0.25, 1.0), aspect=2.0)
    size = net.input_shape[1:3]
    batches = PreviousMasks(kseg.data.loader(train, 16, size, augment=augment))
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


class PreviousMasks(keras.utils.PyDataset):
    """Photos with a mask of 0 to 255 as a fourth channel, their masks, known pixels."""

    def __init__(self, batches, seed=0):
        super().__init__()
        self.batches, self.seed, self.epoch = batches, seed, 0

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        images, masks = self.batches[index]
        rng = np.random.default_rng((self.seed, self.epoch, index))
        truth = (masks == 1).astype("float32")
        others = np.roll(truth, 1, axis=0)
        before = np.stack(
            [mask_before(*pair, rng) for pair in zip(truth, others, strict=True)]
        )
        seen = np.concatenate([images, 255 * before[..., None]], axis=-1)
        return seen, truth[..., None], (masks != 255).astype("float32")

    def on_epoch_end(self):
        self.epoch += 1
        self.batches.on_epoch_end()


def mask_before(mask, other, rng):
    """A mask as the frame before could have left it."""
    kind = rng.random()
    if kind < 0.25:
        return np.zeros_like(mask)
    if kind < 0.35:
        return other
    angle, scale = np.deg2rad(rng.normal(0, 3)), rng.normal(1, 0.03)
    turn = np.float64([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    center = np.float64(mask.shape) / 2
    shift = rng.normal(0, 0.03, 2) * mask.shape
    offset = center + shift - scale * turn @ center
    moved = ndimage.affine_transform(
        mask, scale * turn, offset, order=1, mode="nearest"
    )
    return ndimage.gaussian_filter(moved, rng.uniform(0, 3))


if __name__ == "__main__":
    main()
