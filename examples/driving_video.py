"""Street scenes painted by a trained net: a video with a legend that tells the shares.

    python examples/driving_video.py path/to/camvid -o driving.mp4
    python examples/driving_video.py drive.mp4 --net runs/camvid_unet/best.keras

The net is one that `kseg train path/to/camvid -o runs/camvid_deeplab …` made (the README
has the command), with the names of its classes beside it. Frames come from a video, a
folder of pictures, or CamVid's folder, whose validation frames are one video; their
truth then says how good the masks are and how much they flicker. Beside the frames
stands what share of the last second each class had.
"""

import argparse
import collections
import itertools
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

import kseg
from kseg.data.datasets.camvid import CamVid, is_camvid
from kseg.data.flow import optical_flow
from kseg.data.video import Video, VideoWriter
from kseg.models.video import Stream

FRAMES_PER_SECOND = 15  # of CamVid, of which every second frame is there


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path, help="CamVid, a video, or pictures")
    parser.add_argument("-o", "--output", type=Path, default=Path("driving.mp4"))
    parser.add_argument(
        "--net", type=Path, default=Path("runs/camvid_deeplab/best.keras")
    )
    parser.add_argument("--schedule", default="every", help="see kseg.models.video")
    parser.add_argument("--frames", type=int, help="no more than so many")
    arguments = parser.parse_args()
    if not arguments.net.is_file():
        parser.error(f"there is no net at {arguments.net}: train one, or give --net")
    segmenter = kseg.load(arguments.net)
    num_classes = segmenter.num_classes
    names = segmenter.labels or [f"class {index}" for index in range(num_classes)]
    stream = Stream(segmenter.model, arguments.schedule, flow=optical_flow)

    if is_camvid(arguments.source):
        samples = CamVid(arguments.source, "validation")
        pairs = ((sample.image, sample.mask) for sample in samples)
        count, rate = len(samples), FRAMES_PER_SECOND
    else:
        video = Video(arguments.source)
        pairs = ((frame, None) for frame in video)
        count, rate = len(video), video.frames_per_second
    painter = Painter(names, round(rate))
    scores = Scores(num_classes)
    if arguments.frames:
        pairs, count = itertools.islice(pairs, arguments.frames), arguments.frames
    with VideoWriter(arguments.output, rate) as writer:
        for frame, truth in track(pairs, "Painting", total=count or None):
            mask = stream(frame)
            writer.write(painter(frame, mask))
            scores.add(truth, mask)
    print(f"{writer.count} frames in {arguments.output}{scores}")


class Painter:
    """Frames with their masks over them, and a legend of the classes beside them."""

    def __init__(self, names, window):
        self._names = names
        self._colors = kseg.plot.palette(len(names), background=False)
        self._shares = collections.deque(maxlen=window)

    def __call__(self, frame, mask):
        painted = kseg.plot.overlay(frame, mask, self._colors, contour=1)
        counts = np.bincount(mask.ravel(), minlength=len(self._names))
        self._shares.append(counts / mask.size)
        shares = np.mean(self._shares, axis=0)
        # Figures of one width, so that the legend does not jump.
        lines = [f"{s:4.0%} {n}" for n, s in zip(self._names, shares, strict=True)]
        size = max(9, frame.shape[0] // (2 * len(lines)))
        legend = kseg.plot.legend(lines, self._colors, font_size=size)
        width = round(0.8 * frame.shape[0])
        canvas = Image.new("RGB", (frame.shape[1] + width, frame.shape[0]), "white")
        canvas.paste(painted, (0, 0))
        canvas.paste(legend, (frame.shape[1], 0))
        return np.asarray(canvas)


class Scores:
    """Mean IoU and flicker rate of the frames that have a truth."""

    def __init__(self, num_classes):
        self._iou = kseg.metrics.MeanIoU(num_classes)
        self._flicker = kseg.metrics.FlickerRate(num_classes)
        self._before = None

    def add(self, truth, mask):
        if truth is None:
            return
        now = np.stack([truth, mask]).astype("int32")[:, None]
        self._iou.update_state(*now)
        if self._before is not None:
            clips = np.stack([self._before, now], axis=2)
            self._flicker.update_state(*clips)
        self._before = now

    def __str__(self):
        if self._before is None:
            return ""
        iou, flicker = (float(m.result()) for m in (self._iou, self._flicker))
        return f"; mean IoU {iou:.3f}, flicker rate {flicker:.3f}"


if __name__ == "__main__":
    main()
