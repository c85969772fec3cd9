"""End-point error of `kseg.data.flow.optical_flow` against flow that was measured.

Mean distance to Middlebury's flow in pixels, over the pixels where it is known, beside
that of OpenCV's flow by Farnebäck and of no flow at all. "half size" is the flow of the
full frames after `resize_flow`, against the measured flow after the same.

    python benchmarks/optical_flow.py path/to/middlebury-flow

The folder holds one folder per scene, with frame10.png, frame11.png and flow10.flo.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from kseg.data import flow as flows
from kseg.data.opencv import opencv
from kseg.data.reading import read_image

REPEATS = 5


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder of scenes")
    folder = parser.parse_args().data
    scenes = sorted(path.parent for path in folder.glob("*/flow10.flo"))
    if not scenes:
        parser.error(f"there is no scene with a flow10.flo in {str(folder)!r}")
    table = Table()
    for title in ("scene", "flow", "end-point error", "half size", "ms"):
        right = title not in ("scene", "flow")
        table.add_column(title, justify="right" if right else "left")
    for scene in scenes:
        frames = [read_image(scene / f"frame{n}.png") for n in (10, 11)]
        truth = flows.read_flow(scene / "flow10.flo")
        half = tuple(side // 2 for side in truth.shape[:2])
        small_truth = flows.resize_flow(truth, half)
        for name, method in METHODS.items():
            flow, ms = timed(method, *frames)
            error = flows.end_point_error(flow, truth)
            small_error = flows.end_point_error(
                flows.resize_flow(flow, half), small_truth
            )
            row = (f"{error:.3f}", f"{small_error:.3f}", f"{ms:.0f}")
            table.add_row(scene.name, name, *row)
    Console().print(table)


def timed(method, frame, previous):
    """A flow, and the median time of some calls in milliseconds."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        flow = method(frame, previous)
        seconds.append(time.perf_counter() - start)
    return flow, 1e3 * statistics.median(seconds)


def no_flow(frame, previous):
    return np.zeros((*frame.shape[:2], 2), "float32")


def of_preset(preset):
    return lambda frame, previous: flows.optical_flow(frame, previous, preset)


def farneback(frame, previous):
    """With the settings of OpenCV's own tutorial."""
    cv2 = opencv()
    grey = [cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (frame, previous)]
    return cv2.calcOpticalFlowFarneback(*grey, None, 0.5, 3, 15, 3, 5, 1.2, 0)


METHODS = {
    "none": no_flow,
    "farneback": farneback,
    **{f"kseg, {p}": of_preset(p) for p in ("ultrafast", "fast", "medium")},
}


if __name__ == "__main__":
    main()
