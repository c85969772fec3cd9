"""The person net that ships: 106 thousand parameters learn from photos and a teacher.

    python examples/train_person.py path/to/ccp -o runs/person_small --teacher large.keras

First the truth alone, on crops of all sizes, by `kseg.training.train`. Then fine-tuning on
portraits and groups that `people.py` makes of the photos, where half of what is learnt is
what a larger net says of each pixel, if that agrees with the mask: its doubts at hair and
fingers teach more than a hard mask. Started again, the script goes on where it was stopped.
With `KERAS_BACKEND=jax` it uses a GPU; the files for phones are written with TensorFlow. An
hour and a half on 2 cores; `--epochs 1 --fine-epochs 1` shows the whole way in minutes.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from people import People

import kseg
from kseg.files import write_json, write_whole


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", help="folder of Clothing Co-Parsing")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/person_small"))
    parser.add_argument("--teacher", help="a larger person net, a .keras file")
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--fine-epochs", type=int, default=40)
    arguments = parser.parse_args()
    train, validation = (
        kseg.data.datasets.open_dataset(arguments.data, split, "person")
        for split in ("train", "validation")
    )
    kseg.training.train(
        train,
        arguments.output,
        validation=validation,
        start=small_net(),
        epochs=arguments.epochs,
        learning_rate=3e-3,
        weight_decay=0.02,
        dice_weight=1.0,
        ema_momentum=0.998,
        smallest_crop=0.2,
    )
    teacher = None
    if arguments.teacher:
        teacher = keras.saving.load_model(arguments.teacher, compile=False)
    net = keras.saving.load_model(arguments.output / "best.keras", compile=False)
    size = net.input_shape[1:3]
    batches = kseg.data.loader(train, 16, size, augment=People(train), seed=1)
    batches = SoftMasks(batches, teacher)
    net = fine_tune(net, batches, arguments.output, arguments.fine_epochs)
    write_whole(arguments.output / "person.keras", net.save)

    results = {"person.keras": kseg.training.evaluate(net, validation)}
    if keras.backend.backend() == "tensorflow":
        results |= export(net, "person", train, validation, arguments.output)
    for name, figures in results.items():
        print(f"{name}: IoU of person {figures['iou_person']:.4f}")
    write_json(arguments.output / "results.json", results)


def export(net, name, train, validation, folder):
    """Writes the files for phones, and returns their figures."""
    results = {}
    for precision in ("float16", "full_int8"):
        path = folder / f"{name}_{precision.removeprefix('full_')}.tflite"
        kseg.mobile.export(
            net, path, precision=precision, calibration=train, labels=train.class_names
        )
        results[path.name] = kseg.training.evaluate(kseg.load(path), validation)
    return results


def small_net(channels=3):
    """The net with random weights; its first stage is fused, which is fast in 8 bits."""
    keras.utils.set_random_seed(0)  # the same when the script is started again
    shape = (256, 256, channels)
    backbone = kseg.backbones.inverted_residuals(shape, fused_stages=1)
    return kseg.models.fpn(shape, 1, backbone=backbone, activation="sigmoid")


class SoftMasks(keras.utils.PyDataset):
    """Masks as probabilities: the truth, or the mean of the truth and of a teacher.

    Where the teacher is wrong, the truth alone counts: the teacher has seen no groups.
    """

    def __init__(self, batches, teacher):
        super().__init__()
        self.batches, self.teacher = batches, teacher

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        images, masks = self.batches[index]
        known = (masks != 255)[..., None].astype("float32")
        truth = (masks == 1)[..., None].astype("float32")
        if self.teacher is not None:
            # Its own answer and that to the mirrored photo are better together.
            mirrored = self.teacher.predict_on_batch(images[:, :, ::-1])[:, :, ::-1]
            soft = (self.teacher.predict_on_batch(images) + mirrored) / 2
            is_right = (soft > 0.5) == (truth > 0.5)
            truth = np.where(is_right, (truth + soft) / 2, truth)
        return images, truth, known[..., 0]

    def on_epoch_end(self):
        self.batches.on_epoch_end()


def fine_tune(net, batches, folder, epochs, loss="binary_crossentropy"):
    """Trains at a rate that falls to zero, and averages the weights over the steps."""
    steps = epochs * len(batches)
    optimizer = keras.optimizers.AdamW(
        keras.optimizers.schedules.CosineDecay(1e-3, steps),
        weight_decay=0.02,
        use_ema=True,
        ema_momentum=max(0.0, min(0.99, 1 - 10 / steps)),  # less where steps are few
    )
    net.compile(optimizer, loss)
    backup = keras.callbacks.BackupAndRestore(
        folder / "fine_tuning", delete_checkpoint=False
    )
    net.fit(batches, epochs=epochs, callbacks=[backup], verbose=2)
    kseg.training.recalibrate_batch_norm(net, batches)
    # Without the optimizer, which would take two thirds of the file.
    copy = keras.Model.from_config(net.get_config())
    copy.set_weights(net.get_weights())
    return copy


if __name__ == "__main__":
    main()
