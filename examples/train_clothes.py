"""The clothes net for try-on, and a larger one that shows what the small one loses.

    python examples/train_clothes.py path/to/ccp -o runs/clothes
    python examples/train_clothes.py path/to/ccp -o runs/clothes_large --large

Nine groups of Clothing Co-Parsing's 59 tags: background, hair, skin, top, outerwear, dress,
bottom, shoes, bag/accessory. First photos of 256 x 256 pixels, then of 384 x 256: people are
upright, and shoes are small. The larger net has twice the widths, and begins as the net that
ships. Started again, the script goes on where it was stopped. With `KERAS_BACKEND=jax` it uses
a GPU; the files for phones are written with TensorFlow. An hour and a half on 2 cores;
`--epochs 1 --fine-epochs 1` shows the whole way in minutes.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from train_person import export

import kseg
from kseg.files import write_json, write_whole

SIZE = (384, 256)
SMALL, LARGE = 2.0, 4.0  # times the widths of the person net


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", help="folder of Clothing Co-Parsing")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/clothes"))
    parser.add_argument(
        "--large", action="store_true", help="a net of twice the widths"
    )
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--fine-epochs", type=int, default=40)
    arguments = parser.parse_args()
    train, validation = (
        kseg.data.datasets.open_dataset(arguments.data, split, "clothes")
        for split in ("train", "validation")
    )
    recipe = {
        "validation": validation,
        "weight_decay": 0.02,
        "dice_weight": 1.0,
        "ema_momentum": 0.99,
        "smallest_crop": 0.4,
    }
    classes = len(train.class_names)
    if arguments.large:
        net = widened(kseg.load("clothes").model)
    else:
        kseg.training.train(
            train,
            arguments.output,
            model="fpn",
            backbone="inverted_residuals",
            model_arguments={"width_multiplier": SMALL},
            epochs=arguments.epochs,
            learning_rate=3e-3,
            **recipe,
        )
        first = keras.saving.load_model(arguments.output / "best.keras", compile=False)
        net = kseg.models.fpn((*SIZE, 3), classes, width_multiplier=SMALL)
        net.set_weights(first.get_weights())
    fine = arguments.output / "fine"
    kseg.training.train(
        train,
        fine,
        start=net,
        epochs=arguments.fine_epochs,
        learning_rate=1.5e-3,
        seed=1,
        **recipe,
    )
    net = keras.saving.load_model(fine / "best.keras", compile=False)
    write_whole(arguments.output / "clothes.keras", net.save)
    results = {"clothes.keras": kseg.training.evaluate(net, validation)}
    if keras.backend.backend() == "tensorflow" and not arguments.large:
        results |= export(net, "clothes", train, validation, arguments.output)
    for name, figures in results.items():
        print(f"{name}: mean IoU {figures['mean_iou']:.4f}")
        for label in train.class_names:
            print(f"  {label}: {figures[f'iou_{label}']:.3f}")
    write_json(arguments.output / "results.json", results)


def widened(small, noise=0.05):
    """A net of twice the widths that computes the same, but for noise.

    Each channel is there twice, and what reads both takes half of each. The noise lets the
    two become different. Net2Net (https://arxiv.org/abs/1511.05641), ICLR 2016.
    """
    classes = small.output_shape[-1]
    large = kseg.models.fpn(small.input_shape[1:], classes, width_multiplier=LARGE)
    rng = np.random.default_rng(0)
    layers = zip(small._flatten_layers(), large._flatten_layers(), strict=True)
    for old, new in layers:
        if isinstance(old, keras.Model):
            continue
        values = []
        for value, to in zip(old.get_weights(), new.weights, strict=True):
            times = np.floor_divide(to.shape, value.shape)
            value = np.tile(value, times)
            if value.ndim == 4:
                value *= rng.normal(1, noise, value.shape)
                if not isinstance(old, keras.layers.DepthwiseConv2D):
                    value /= times[2]
            values.append(value)
        new.set_weights(values)
    return large


if __name__ == "__main__":
    main()
