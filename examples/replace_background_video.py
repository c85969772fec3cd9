"""Another background behind the people of a video, and how much steadier it became.

    python examples/replace_background_video.py in.mp4 -o out.mp4 --color "#00b140"
    python examples/replace_background_video.py frames/ -o out.mp4 --picture beach.jpg

A folder of pictures is a video too. The net knows one frame at a time, so that its edges
flicker; `background_video` averages its probabilities along the motion. How much that
helps on this very video is measured without any truth: the share of pixels whose class
is another than a frame before, where optical flow says they came from. `--frames 0`
leaves the measuring out.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np

import kseg
from kseg.data.flow import optical_flow
from kseg.data.video import Video
from kseg.mobile.scenarios.background_video import Matte


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("video", type=Path, help="a video, or a folder of its frames")
    parser.add_argument("-o", "--output", type=Path, default=Path("background.mp4"))
    parser.add_argument("--net", default="person_float16", help="a file, or its name")
    parser.add_argument("--momentum", type=float, default=0.9, help="0 is not steadied")
    parser.add_argument("--frames", type=int, default=30, help="to measure flicker on")
    behind = parser.add_mutually_exclusive_group()
    behind.add_argument("--picture", type=Path)
    behind.add_argument("--blur", type=float, help="0 to 1, as of a lens")
    behind.add_argument("--color", help="a name or #rrggbb; #00b140 by default")
    arguments = parser.parse_args()
    net = kseg.load(arguments.net)
    color = arguments.color
    if arguments.picture is None and arguments.blur is None:
        color = color or "#00b140"

    count = kseg.mobile.background_video(
        arguments.video,
        arguments.output,
        net,
        picture=arguments.picture,
        color=color,
        blur=arguments.blur,
        momentum=arguments.momentum,
    )
    print(f"{count} frames in {arguments.output}")
    frames = list(itertools.islice(Video(arguments.video), arguments.frames))
    if len(frames) < 2:
        return
    flows = [optical_flow(now, before) for before, now in itertools.pairwise(frames)]
    for name, momentum in (("frame by frame", 0), ("steadied", arguments.momentum)):
        rate = flicker_rate(frames, flows, Matte(net, momentum=momentum))
        print(f"{name}: {rate:.2%} of the pixels change from frame to frame")


def flicker_rate(frames, flows, matte):
    """Share of the pixels whose class changes though they only moved."""
    masks = np.stack([matte(frame) > 0.5 for frame in frames])[None]
    metric = kseg.metrics.FlickerRate(2)
    # No pixel has a truth here: with zeros all of them count, and the flow says what
    # moves.
    metric.update_state(
        np.zeros(masks.shape, "int32"),
        masks.astype("int32"),
        flow=np.stack(flows)[None],
    )
    return float(metric.result())


if __name__ == "__main__":
    main()
