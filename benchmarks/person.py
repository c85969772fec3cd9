"""The person net beside MediaPipe's selfie segmenter: masks, size and time in one run.

IoU of "person" over all pixels of all photos, at the photos' own size: on the validation
photos of Clothing Co-Parsing; on groups, two of them beside each other as in the training
(`examples/people.py`); and, where a folder of portraits with mattes is given, on those
(person is what the matte has above one half). Latency is the median of one thread
of LiteRT with XNNPACK, the files in turn. MediaPipe's file lies in the npm package
@mediapipe/selfie_segmentation, and in Python's mediapipe before 1.0:

    npm pack @mediapipe/selfie_segmentation && tar xzf mediapipe-*.tgz
    python benchmarks/person.py path/to/ccp package/selfie_segmentation.tflite \\
        --portraits path/to/p3m
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from export import in_turn
from rich.console import Console
from rich.table import Table

import kseg
from kseg.data.datasets.pairing import pair_files
from kseg.data.reading import read_image, read_mask
from kseg.mobile.nets import WEIGHTS
from kseg.mobile.tflite.metadata import Metadata, write_metadata
from kseg.training.evaluation import category_mask

sys.path.append(str(Path(__file__).parents[1] / "examples"))
from people import beside


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", help="folder of Clothing Co-Parsing")
    parser.add_argument("peer", type=Path, help="selfie_segmentation.tflite")
    parser.add_argument("--portraits", type=Path, help="folder of `images` and `alpha`")
    parser.add_argument("--nets", type=Path, nargs="*", help="default: those that ship")
    arguments = parser.parse_args()
    nets = arguments.nets or sorted(WEIGHTS.glob("person*.tflite"))
    photos = kseg.data.datasets.open_dataset(arguments.data, "validation", "person")
    table = Table("file", "bytes", "ms", "of the peer's", "CCP", "groups", "portraits")
    with tempfile.TemporaryDirectory() as folder:
        # The peer takes 0-1: with that in its metadata kseg feeds it as any other file.
        peer = Path(folder) / arguments.peer.name
        described = Metadata(mean=(0.0,), std=(255.0,), labels=("person",))
        peer.write_bytes(write_metadata(arguments.peer.read_bytes(), described))
        times = in_turn({path: path for path in (peer, *nets)}, threads=1, rounds=200)
        for path in (peer, *nets):
            segmenter = kseg.load(path)
            own = arguments.peer if path == peer else path
            table.add_row(
                path.name,
                f"{own.stat().st_size:,}",
                f"{times[path]:.2f}",
                f"{times[path] / times[peer]:.2f}",
                f"{kseg.training.evaluate(segmenter, photos)['iou_person']:.4f}",
                f"{iou(segmenter, groups(photos)):.4f}",
                f"{iou(segmenter, portraits(arguments.portraits)):.4f}"
                if arguments.portraits
                else "",
            )
    Console().print(table)


def groups(photos):
    """Photos of two people with their masks."""
    rng = np.random.default_rng(0)
    for one, other in zip(photos[::2], photos[1::2], strict=True):
        yield beside(one.image, one.mask, other.image, other.mask, rng)


def portraits(folder):
    """Portraits with masks, of their mattes."""
    for _, photo, matte in pair_files(folder / "images", folder / "alpha"):
        yield read_image(photo), read_mask(matte) > 127


def iou(segmenter, photos):
    """IoU of "person" over all pixels of all photos."""
    both = either = 0
    for image, mask in photos:
        found = category_mask(segmenter, image) == 1
        both += (found & (mask == 1)).sum()
        either += ((found & (mask != 255)) | (mask == 1)).sum()
    return both / either


if __name__ == "__main__":
    main()
