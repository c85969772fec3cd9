"""Does the dense CRF help a trained net? mIoU and trimap IoU before and after it.

Every image of a data set's validation split is segmented by a net that `kseg train`
made, at the image's own size, and refined by published parameters. Nothing is tuned.

    python benchmarks/crf_effect.py runs/camvid_unet/best.keras path/to/camvid
    python benchmarks/crf_effect.py NET DATA --preset deeplab_v1 --images 20
"""

import argparse
import time

import numpy as np

import kseg
from kseg.data.datasets import open_dataset
from kseg.postprocess import DenseCRF
from kseg.postprocess.dense_crf import PRESETS


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("net", help="a .keras file, or the name of a shipped net")
    parser.add_argument("data", help="folder of a data set that kseg reads")
    parser.add_argument("--preset", choices=PRESETS, action="append")
    parser.add_argument("--images", type=int, help="evenly spaced ones of the split")
    arguments = parser.parse_args()
    measure(
        kseg.load(arguments.net),
        open_dataset(arguments.data, "validation"),
        arguments.preset or list(PRESETS),
        arguments.images,
    )


def measure(segmenter, dataset, presets, images=None):
    """Prints a row of figures for the net alone, and one for each preset."""
    rows = {"net alone": None}
    rows |= {name: DenseCRF.from_preset(name) for name in presets}
    metrics = {name: new_metrics(dataset) for name in rows}
    seconds = dict.fromkeys(rows, 0.0)
    count = len(dataset) if images is None else min(images, len(dataset))
    indices = np.linspace(0, len(dataset) - 1, count).astype(int)
    for index in indices.tolist():
        sample = dataset[index]
        probabilities = segmenter.segment(sample.image).confidence_masks
        for name, crf in rows.items():
            start = time.perf_counter()
            refined = probabilities if crf is None else crf(sample.image, probabilities)
            seconds[name] += time.perf_counter() - start
            truth = np.asarray(sample.mask, "int32")[None]
            for metric in metrics[name].values():
                metric.update_state(truth, refined.argmax(-1).astype("int32")[None])

    titles = list(metrics["net alone"])
    print(f"{count} images" + " " * 18 + "".join(f"{title:>14}" for title in titles))
    for name, group in metrics.items():
        values = [100 * float(metric.result()) for metric in group.values()]
        row = f"{name:27}" + "".join(f"{value:14.2f}" for value in values)
        time_of_one = f"   {1e3 * seconds[name] / count:6.0f} ms an image"
        print(row + time_of_one * (rows[name] is not None))


def new_metrics(dataset):
    classes, ignored = dataset.num_classes, dataset.ignore_class
    trimaps = {
        f"trimap {width}": kseg.metrics.TrimapIoU(classes, width, ignored)
        for width in (3, 7, 15)
    }
    return {
        "pixel accuracy": kseg.metrics.PixelAccuracy(classes, ignored),
        "mean IoU": kseg.metrics.MeanIoU(classes, ignored),
        **trimaps,
    }


if __name__ == "__main__":
    main()
