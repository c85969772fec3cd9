"""From a trained image net to nets for video, on CamVid: half an hour on 2 cores.

    python examples/train_video.py runs/camvid_deeplab/best.keras path/to/camvid

The training frames of CamVid are a second apart, so the pairs of frames to learn from are
made by a camera that moves over the photos. The image net stays as it is: trained are the
parts that `low_latency` and `netwarp` add to it. Started again, the script goes on where
it was stopped. `benchmarks/video.py` then compares the nets on the validation video, and

    kseg predict runs/video/deeplab_v3_plus/low_latency.keras --video in.mp4 \\
        --schedule low_latency:4 -o out.mp4

paints over one.
"""

import argparse
from pathlib import Path

import keras
import numpy as np

from kseg import data, losses
from kseg.files import write_json, write_whole
from kseg.models.video import low_latency, netwarp, unroll

# Of a net's name: where low_latency cuts it, and where netwarp warps.
CUTS = {
    "deeplab_v3_plus": (("mobilenet_v2/block_5_add", "scores"), "decoder2"),
    "unet": (("down3_relu2", "up3_relu2"), "up3_norm2"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("net", help="a trained image net, a .keras file")
    parser.add_argument("data", help="folder of CamVid")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/video"))
    parser.add_argument("--low", help="layer of the shallow features")
    parser.add_argument("--high", help="layer of the deep features")
    parser.add_argument("--warp", help="layer whose features netwarp warps")
    parser.add_argument("--filters", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=6)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)

    base = keras.saving.load_model(arguments.net, compile=False)
    cuts, warp = CUTS.get(base.name, ((None, None), None))
    cuts = (arguments.low or cuts[0], arguments.high or cuts[1])
    warp = arguments.warp or warp
    if None in (*cuts, warp):
        parser.error(f"a net named {base.name!r} needs --low, --high and --warp")
    photos = data.datasets.open_dataset(arguments.data, "train")
    clips = data.clips.StillClips(photos, 2, shift=0.03, zoom=0.06)
    batches = data.loader(
        clips, 4, base.input_shape[1:3], augment=data.augment.standard(scale=(0.6, 1.0))
    )
    # Nets of another image net do not count as finished.
    folder = arguments.output / base.name
    folder.mkdir(parents=True, exist_ok=True)
    # What `kseg predict --video` writes beside the frames.
    write_json(folder / "config.json", {"classes": list(photos.class_names)})
    with_epochs = (folder, arguments.epochs)
    train_low_latency(base, cuts, arguments.filters, batches, *with_epochs)
    train_netwarp(base, warp, batches, *with_epochs)
    print(f"low_latency.keras and netwarp.keras are in {folder}")


def train_low_latency(base, cuts, filters, batches, folder, epochs):
    """The recipe of the paper, whose first step is the training of the image net."""
    if (folder / "low_latency.keras").exists():
        return
    net = low_latency(base, cuts, filters=filters)
    train_only(net, "propagation", "adapter")
    student = keras.Model(net.input, net.output["probabilities"])
    pairs = Pairs(batches, lambda key, image, mask: mask)
    fit(student, losses.SparseCrossEntropy(), pairs, folder / "propagation", epochs)

    # A copy, as Keras on JAX takes the weights of a net away while `fit` goes on.
    teacher = keras.models.clone_model(base)
    teacher.set_weights(base.get_weights())

    def deviation(key, image, mask):
        """Share of pixels whose class differs between two frames."""
        before, now = (teacher.predict_on_batch(x).argmax(-1) for x in (key, image))
        return (before != now).mean((1, 2))[:, None].astype("float32")

    train_only(net, "scheduler")
    student = keras.Model(net.input, net.output["deviation"])
    pairs = Pairs(batches, deviation, with_still=True)
    fit(student, "mse", pairs, folder / "scheduler", max(1, epochs // 2))
    write_whole(folder / "low_latency.keras", net.save)


def train_netwarp(base, at, batches, folder, epochs):
    """Two frames are enough: the warped features are those of the frame before."""
    if (folder / "netwarp.keras").exists():
        return
    net = netwarp(base, at)
    train_only(net, "flow_cnn", "mix")
    flows = data.clips.FlowBatches(batches, data.flow.optical_flow)
    loss = losses.SparseCrossEntropy()
    fit(unroll(net, 2), loss, flows, folder / "netwarp", max(1, epochs // 2))
    write_whole(folder / "netwarp.keras", net.save)


def train_only(net, *names):
    for layer in net.layers:
        layer.trainable = layer.name in names


def fit(model, loss, batches, backup, epochs):
    """Fits, and goes on with the last epoch that was finished."""
    steps = epochs * len(batches)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=1e-3), loss)
    keep = keras.callbacks.BackupAndRestore(backup, delete_checkpoint=False)
    model.fit(batches, epochs=epochs, callbacks=[keep], verbose=2)


class Pairs(keras.utils.PyDataset):
    """A key frame and a later one, with what a function makes of them as the truth.

    One pair of a batch is a frame beside itself, if asked for.
    """

    def __init__(self, batches, truth, with_still=False):
        super().__init__(workers=1)
        self.batches = batches
        self.truth = truth
        self.with_still = with_still

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        clips, masks = self.batches[index]
        key, image = np.moveaxis(clips, 1, 0)
        if self.with_still:
            key = np.concatenate([image[:1], key[1:]])
        return {"key_image": key, "image": image}, self.truth(key, image, masks[:, 1])

    def on_epoch_begin(self):
        self.batches.on_epoch_begin()

    def on_epoch_end(self):
        self.batches.on_epoch_end()


if __name__ == "__main__":
    main()
