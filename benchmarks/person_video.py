"""The person net for videos beside that of single images: do its masks flicker less?

On a video with a mask for each frame, such as a folder of DAVIS 2016: IoU of "person" over
all pixels, and the share of pixels that change though their truth does not
(`kseg.metrics.FlickerRate`). Frame by frame, and as `kseg.mobile.background_video` steadies
them. Latency is that of the nets alone, the median of one thread of LiteRT with XNNPACK,
the files in turn.

    python benchmarks/person_video.py JPEGImages/dance-twirl Annotations/dance-twirl
"""

import argparse
from pathlib import Path

import numpy as np
from export import in_turn
from rich.console import Console
from rich.progress import track
from rich.table import Table

import kseg
from kseg.data.reading import read_mask
from kseg.data.video import Video
from kseg.mobile.nets import WEIGHTS
from kseg.mobile.scenarios.background_video import Matte


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("frames", help="folder of frames")
    parser.add_argument("masks", type=Path, help="folder of masks, 0 and 255")
    parser.add_argument(
        "--single", type=Path, default=WEIGHTS / "person_float16.tflite"
    )
    parser.add_argument(
        "--video", type=Path, default=WEIGHTS / "person_video_float16.tflite"
    )
    arguments = parser.parse_args()
    frames = list(Video(arguments.frames))
    truth = np.stack(
        [read_mask(path) > 127 for path in sorted(arguments.masks.iterdir())]
    )
    if len(frames) != len(truth):
        parser.error(f"{len(frames)} frames, but {len(truth)} masks")
    nets = arguments.single, arguments.video
    times = in_turn({path: path for path in nets}, threads=1, rounds=200)
    table = Table("net", "ms", "steadied", "IoU", "flicker")
    for path in nets:
        for momentum in (0, 0.9):
            matte = Matte(kseg.load(path), momentum=momentum)
            found = np.stack([matte(frame) > 0.5 for frame in track(frames, path.name)])
            flicker = kseg.metrics.FlickerRate(2)
            flicker.update_state(truth[None].astype(int), found[None].astype(int))
            iou = (found & truth).sum() / (found | truth).sum()
            table.add_row(
                path.name,
                f"{times[path]:.2f}",
                "yes" if momentum else "no",
                f"{iou:.4f}",
                f"{float(flicker.result()):.2%}",
            )
    Console().print(table)


if __name__ == "__main__":
    main()
