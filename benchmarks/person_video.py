"""The person net for videos beside that of single images: do its masks flicker less?

Two kinds of videos: a camera at rest before 25 validation photos of Clothing Co-Parsing,
eight frames each with the noise, the JPEG blocks and the unsteady exposure of one; and a video
with a mask for each frame, such as a folder of DAVIS 2016. IoU of "person" over all pixels,
and the share of pixels that change though their truth does not (`kseg.metrics.FlickerRate`),
frame by frame and as `kseg.mobile.background_video` steadies them. Latency is that of the
nets alone, the median of one thread of LiteRT with XNNPACK, the files in turn.

    python benchmarks/person_video.py path/to/ccp JPEGImages/dance-twirl \\
        Annotations/dance-twirl --video runs/person_video/person_video_float16.tflite
"""

import argparse
from pathlib import Path

import numpy as np
from export import in_turn
from rich.console import Console
from rich.progress import track
from rich.table import Table

import kseg
from kseg.data import augment
from kseg.data.reading import read_mask
from kseg.data.video import Video
from kseg.mobile.nets import WEIGHTS
from kseg.mobile.scenarios.background_video import Matte
from kseg.mobile.segmenter import forget_frames

FRAMES = 8


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", help="folder of Clothing Co-Parsing")
    parser.add_argument("frames", help="folder of frames")
    parser.add_argument("masks", type=Path, help="folder of masks, 0 and 255")
    parser.add_argument(
        "--single", type=Path, default=WEIGHTS / "person_float16.tflite"
    )
    parser.add_argument("--video", type=Path, required=True, help="a file with state")
    arguments = parser.parse_args()
    frames = list(Video(arguments.frames))
    truth = [read_mask(path) > 127 for path in sorted(arguments.masks.iterdir())]
    if len(frames) != len(truth):
        parser.error(f"{len(frames)} frames, but {len(truth)} masks")
    clips = {"camera at rest": at_rest(arguments.photos), "video": [(frames, truth)]}
    nets = arguments.single, arguments.video
    times = in_turn({path: path for path in nets}, threads=1, rounds=200)
    table = Table("net", "ms", "frames", "steadied", "IoU", "flicker")
    for name, videos in clips.items():
        for path in nets:
            for momentum in (0, 0.9):
                iou, flicker = figures(kseg.load(path), videos, momentum)
                table.add_row(
                    path.stem,
                    f"{times[path]:.2f}",
                    name,
                    "yes" if momentum else "no",
                    f"{iou:.4f}",
                    f"{flicker:.2%}",
                )
    Console().print(table)


def at_rest(folder):
    """Clips of photos that only the camera changes, with the masks of their frames."""
    wobble = augment.Compose(
        [
            augment.RandomBrightness(0.05),
            augment.RandomNoise(1.0, (2.0, 6.0)),
            augment.RandomJpeg(1.0, (60, 90)),
        ]
    )
    clips = []
    photos = kseg.data.datasets.open_dataset(folder, "validation", "person")
    for sample in photos[:25]:
        rng = np.random.default_rng(0)
        size = sample.image.shape[:2]
        frames = [wobble(sample.image, None, rng, size)[0] for _ in range(FRAMES)]
        clips.append((frames, [sample.mask == 1] * FRAMES))
    return clips


def figures(segmenter, clips, momentum):
    """IoU of all pixels of all clips, and their flicker rate."""
    both = either = 0
    flicker = kseg.metrics.FlickerRate(2)
    for frames, masks in track(clips, "Segmenting", transient=True):
        forget_frames(segmenter)
        matte = Matte(segmenter, momentum=momentum)
        found = np.stack([matte(frame) > 0.5 for frame in frames])
        truth = np.stack(masks)
        both += (found & truth).sum()
        either += (found | truth).sum()
        flicker.update_state(truth[None].astype(int), found[None].astype(int))
    return both / either, float(flicker.result())


if __name__ == "__main__":
    main()
