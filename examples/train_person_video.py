"""The person net for videos: it sees its own mask of the frame before.

    python examples/train_person_video.py path/to/ccp -o runs/person_video

The net of single images is the beginning. It learns on clips that are made of photos: the
camera moves or stands still, each frame has a noise of its own, and now and then there is a
cut. The gradient goes back through all frames, and what changes though the truth does not
costs extra. Started again, the script goes on where it was stopped. Half an hour on 2 cores;
`--epochs 1` shows the whole way in minutes. `benchmarks/person_video.py` compares it with the
net of single images.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from people import People
from train_person import fine_tune, small_net

import kseg
from kseg.files import write_json, write_whole

FRAMES = 4
FLICKER_WEIGHT = 4.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", help="folder of Clothing Co-Parsing")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/person_video"))
    parser.add_argument(
        "--start", default="person", help="a net of train_person.py, .keras"
    )
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    train, validation = (
        kseg.data.datasets.open_dataset(arguments.data, split, "person")
        for split in ("train", "validation")
    )
    single = kseg.load(arguments.start).model
    net = with_fourth_channel(single)
    size = net.input_shape[1:3]
    batches = kseg.data.loader(train, 8, size, augment=People(train))
    arguments.output.mkdir(parents=True, exist_ok=True)
    # Statistics of single images are those of frames, whatever comes in a fourth channel.
    for layer in net._flatten_layers():
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    step = kseg.models.video.mask_feedback(net, name="person_video")
    clips = kseg.models.video.unroll(step, FRAMES)
    clips = fine_tune(
        clips, Clips(batches, FRAMES), arguments.output, arguments.epochs, loss=steady
    )
    step = clips.get_layer("unroll").step
    step.trainable = True  # for whoever goes on with it
    write_whole(arguments.output / "person_video.keras", step.save)
    if keras.backend.backend() != "tensorflow":
        return  # which writes the file for phones
    path = arguments.output / "person_video_float16.tflite"
    kseg.mobile.export(step, path, precision="float16")

    # Photos are a first frame each, with nothing before it.
    figures = kseg.training.evaluate(kseg.load(path), validation)
    print(f"{path.name}: IoU of person {figures['iou_person']:.4f} on a first frame")
    write_json(arguments.output / "results.json", {path.name: figures})


def with_fourth_channel(single):
    """The same net for four channels, which does not look at the fourth yet."""
    net = small_net(channels=4)
    copied = kseg.models.copy_weights(single, net)
    is_other = copied.only_in_source or copied.only_in_target
    if is_other or len(copied.different) != 1:
        raise ValueError(f"`start` must be such a net. Received: one with {copied}")
    backbone, stem = copied.different[0].split("/")
    old, new = (model.get_layer(backbone).get_layer(stem) for model in (single, net))
    kernel = keras.ops.convert_to_numpy(old.kernel)
    new.kernel.assign(np.pad(kernel, ((0, 0), (0, 0), (0, 1), (0, 0))))
    return net


class Clips(keras.utils.PyDataset):
    """Photos as clips of a camera that moves or not, each frame with a noise of its own.

    Masks come as probabilities, with the known pixels. Behind a cut in one clip of ten
    another photo goes on.
    """

    def __init__(self, batches, frames, seed=0):
        super().__init__()
        self.batches, self.frames, self.seed, self.epoch = batches, frames, seed, 0

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        images, masks = self.batches[index]
        rng = np.random.default_rng((self.seed, self.epoch, index))
        masks = np.stack([masks == 1, masks != 255], axis=-1)
        layers = np.concatenate([images, 255 * masks], axis=-1).astype("float32")
        others = np.roll(layers, 1, axis=0)
        is_cut = rng.random(len(images)) < 0.1
        cuts = np.where(is_cut, rng.integers(1, self.frames), self.frames)
        paths = [path(rng, self.frames, images.shape[1:3]) for _ in images]
        moved = [
            keras.ops.convert_to_numpy(
                keras.ops.image.affine_transform(
                    np.where((t < cuts)[:, None, None, None], layers, others),
                    np.float32([steps[t] for steps in paths]),
                    fill_mode="nearest",
                )
            )
            for t in range(self.frames)
        ]
        clips = np.stack(moved, axis=1)
        seen = clips[..., :3]
        one = (*seen.shape[:2], 1, 1, 1)
        seen = seen * rng.normal(1, 0.03, one) + rng.normal(0, 3, one)
        seen += rng.uniform(0, 8, (len(seen), 1, 1, 1, 1)) * rng.standard_normal(
            seen.shape
        )
        known = (clips[..., 4] > 254).astype("float32")
        return np.clip(seen, 0, 255).astype("float32"), clips[..., 3:4] / 255, known

    def on_epoch_end(self):
        self.epoch += 1
        self.batches.on_epoch_end()


def steady(truth, found):
    """Cross-entropy, and what changes from frame to frame though the truth does not."""
    found = keras.ops.clip(found, 1e-6, 1 - 1e-6)
    error = keras.losses.binary_crossentropy(truth, found)
    changes = keras.ops.square(found[:, 1:] - found[:, :-1])[..., 0]
    same = keras.ops.abs(truth[:, 1:] - truth[:, :-1])[..., 0] < 0.01
    changes = changes * keras.ops.cast(same, changes.dtype)
    return error + FLICKER_WEIGHT * keras.ops.pad(
        changes, [(0, 0), (1, 0), (0, 0), (0, 0)]
    )


def path(rng, frames, size):
    """The motions of the frames of a clip; half of the cameras stand still."""
    speed = rng.normal(0, (3, 0.03, 0.03, 0.03)) * (rng.random() < 0.5)
    shake = rng.normal(0, 0.1, (frames, 1)) * speed
    steps = speed * np.arange(frames)[:, None] + shake
    return [motion(*step, size) for step in steps]


def motion(angle, scale, y, x, size):
    """A motion as `keras.ops.image.affine_transform` takes it: degrees, shares."""
    angle, scale = np.deg2rad(angle), np.exp(scale)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    middle_y, middle_x = np.float64(size) / 2
    y, x = y * size[0], x * size[1]
    return [
        *(cos, -sin, middle_x - cos * middle_x + sin * middle_y + x),
        *(sin, cos, middle_y - sin * middle_x - cos * middle_y + y),
        *(0, 0),
    ]


if __name__ == "__main__":
    main()
