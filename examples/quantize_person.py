"""The person net in 8 bits, as it is and fine-tuned for it: minutes on 2 quiet cores.

    python examples/quantize_person.py path/to/ccp -o runs/quantize

Quantized after its training, a net loses a little where rounding hits it. Fine-tuned with
the rounding in place it gets most of that back. The three files are measured on the same
validation photos, at the photos' own size, and timed one after the other.
"""

import argparse
from pathlib import Path

import keras

import kseg
from kseg.files import write_json


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", help="folder of Clothing Co-Parsing")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/quantize"))
    parser.add_argument("--net", default="person", help="a .keras file, or its name")
    parser.add_argument("--labels", default="person")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    arguments.output.mkdir(parents=True, exist_ok=True)

    train, validation = (
        kseg.data.datasets.open_dataset(arguments.data, split, arguments.labels)
        for split in ("train", "validation")
    )
    net = kseg.load(arguments.net).model
    files = {
        name: arguments.output / f"{name}.tflite"
        for name in ("float32", "quantized", "quantization_aware")
    }

    def export(model, name, precision):
        kseg.mobile.export(model, files[name], precision=precision, calibration=train)
        iou = kseg.training.evaluate(
            kseg.mobile.ImageSegmenter(files[name]), validation
        )
        print(f"{name}: {iou}\n", flush=True)
        return iou

    results = {
        "float32": export(net, "float32", "float32"),
        "quantized": export(net, "quantized", "full_int8"),
    }
    twin = kseg.mobile.quantize_aware(net, calibration=train)
    fine_tune(twin, train, arguments)
    results["quantization_aware"] = export(twin, "quantization_aware", "full_int8")
    report = kseg.mobile.benchmark(list(files.values()), threads=[1])
    print(report)
    write_json(
        arguments.output / "results.json",
        {"iou": results, "benchmark": report.to_dict()},
    )


def fine_tune(twin, dataset, arguments):
    """Trains at a low rate that falls to zero, on gentle crops."""
    batches = kseg.data.loader(
        dataset,
        arguments.batch_size,
        twin.input_shape[1:3],
        augment=kseg.data.augment.standard(scale=(0.6, 1.0)),
        seed=0,
    )
    loss = kseg.losses.Sum([kseg.losses.SparseCrossEntropy(), kseg.losses.Dice()])
    rate = keras.optimizers.schedules.CosineDecay(
        arguments.learning_rate, arguments.epochs * len(batches)
    )
    twin.compile(keras.optimizers.Adam(rate), loss)
    twin.fit(batches, epochs=arguments.epochs, verbose=2)


if __name__ == "__main__":
    main()
