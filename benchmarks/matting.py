"""How near the mattes of people come to drawn ones, and how steady they are in a video.

For each portrait the net's mask (0 or 1), its probability and the matte that portrait
mode and background replacement use, which is the probability refined along the edges of
the photo. "SAD" is the sum of absolute differences to the drawn matte over all of the
photo, in thousands, as in the papers on matting; "boundary" is the mean absolute
difference within 8 pixels of the drawn transition, where the matte is above 0.02 and
below 0.98. Both are means over the photos. The net's own mistakes, which no edge can
mend, are in all three of its rows; so the drawn matte, shrunk to 64 pixels, stands in
for a net without any in three others.

    python benchmarks/matting.py path/to/p3m
    python benchmarks/matting.py path/to/p3m --video path/to/DAVIS/JPEGImages/480p/dance-twirl

The folder holds `images` and, under the same names, `alpha`. Of the video, a sequence of
DAVIS whose masks lie under `Annotations`, it prints the share of pixels that change from
frame to frame though their truth does not (`kseg.metrics.FlickerRate`), frame by frame
and averaged along the motion as `kseg background` does, and the IoU.
"""

import argparse
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table
from scipy.ndimage import binary_dilation

import kseg
from kseg.data.datasets.pairing import pair_files
from kseg.data.reading import read_image, read_mask
from kseg.data.video import Video
from kseg.mobile.scenarios.background_video import Matte
from kseg.mobile.scenarios.subjects import person_alpha, person_confidence

BAND = 8  # pixels on each side of the drawn transition
SHRUNK = 64  # long side of the drawn matte that stands in for a net


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("portraits", type=Path, help="folder of `images` and `alpha`")
    parser.add_argument("--net", default="person_float16", help="a file, or its name")
    parser.add_argument("--video", type=Path, help="folder of a sequence's frames")
    arguments = parser.parse_args()
    net = kseg.load(arguments.net)
    print_mattes(net, arguments.portraits)
    if arguments.video:
        print_flicker(net, arguments.video)


def print_mattes(net, folder):
    pairs = pair_files(folder / "images", folder / "alpha")
    errors = {}
    for _, photo_path, alpha_path in pairs:
        photo = read_image(photo_path)
        truth = read_mask(alpha_path) / np.float32(255)
        sources = {
            "net": person_confidence(photo, net),
            f"drawn, {SHRUNK} pixels": shrunk(truth),
        }
        for source, confidence in sources.items():
            for name, alpha in mattes(photo, confidence).items():
                errors.setdefault((source, name), []).append(compare(alpha, truth))
    table = Table(title=f"{len(pairs)} portraits")
    for title in ("confidence", "matte", "SAD, thousands", "boundary"):
        right = title not in ("confidence", "matte")
        table.add_column(title, justify="right" if right else "left")
    for names, values in errors.items():
        sad, boundary = np.mean(values, axis=0)
        table.add_row(*names, f"{sad:.2f}", f"{boundary:.3f}")
    Console().print(table)


def mattes(photo, confidence):
    """What stands for the people of a photo, given a confidence of its size."""
    given = SimpleNamespace(confidence_masks=confidence[..., None])
    refined = person_alpha(photo, SimpleNamespace(segment=lambda _: given), 0.5)
    return {
        "mask": (confidence > 0.5).astype("float32"),
        "probability": confidence,
        "refined": np.zeros_like(confidence) if refined is None else refined,
    }


def compare(alpha, truth):
    """SAD in thousands, and the mean absolute difference at the boundary."""
    difference = np.abs(alpha - truth)
    transition = (truth > 0.02) & (truth < 0.98)
    band = binary_dilation(transition, iterations=BAND)
    return difference.sum() / 1e3, difference[band].mean()


def shrunk(truth):
    """The matte as a small net without mistakes would give it."""
    scale = SHRUNK / max(truth.shape)
    size = [max(1, round(n * scale)) for n in truth.shape[::-1]]
    small = Image.fromarray(truth).resize(size, Image.Resampling.BOX)
    large = small.resize(truth.shape[::-1], Image.Resampling.BILINEAR)
    return np.clip(np.asarray(large), 0, 1)


def print_flicker(net, folder):
    frames = Video(folder)
    parts = ["Annotations" if p == "JPEGImages" else p for p in folder.absolute().parts]
    truth = np.stack(
        [read_mask(path) > 0 for path in sorted(Path(*parts).glob("*.png"))]
    )
    table = Table(title=f"{folder.name}, {len(frames)} frames")
    for title in ("matte", "flicker rate", "IoU"):
        table.add_column(title, justify="left" if title == "matte" else "right")
    for name, momentum in (("frame by frame", 0.0), ("steadied", 0.9)):
        matte = Matte(net, momentum=momentum)
        found = np.stack([matte(frame) > 0.5 for frame in frames])
        flicker = kseg.metrics.FlickerRate(2)
        flicker.update_state(*(masks[None].astype("int32") for masks in (truth, found)))
        iou = (found & truth).sum() / (found | truth).sum()
        table.add_row(name, f"{float(flicker.result()):.4f}", f"{iou:.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
