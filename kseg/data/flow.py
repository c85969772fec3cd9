"""Optical flow: from OpenCV's DIS, from and to .flo files, and cached on disk.

A flow is a float32 array of shape `(height, width, 2)` that says where each pixel of a
frame was in the frame before: columns to the right, then rows down, in pixels. So

```python
previous[row + flow[row, column, 1], column + flow[row, column, 0]]
```

is what `frame[row, column]` shows, and `kseg.layers.Warping2D` brings the frame before,
or features of it, to where they are now. The metric `kseg.metrics.FlickerRate` takes the
same flow.
"""

import contextlib
import hashlib
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from kseg.data.opencv import opencv
from kseg.files import write_whole

_PRESETS = ("ultrafast", "fast", "medium")
# The Middlebury format: 202021.25 as float32 to begin with, 1e10 where flow is unknown.
_MAGIC, _UNKNOWN, _UNKNOWN_FROM = b"PIEH", 1e10, 1e9
# What NumPy raises for files that are missing, damaged or cut off.
_UNREADABLE = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error)
_SMALLEST_SIDE = 12  # What OpenCV's search needs.
_LARGEST_SIDE = 99_999  # as the reader that comes with the format


def optical_flow(frame, previous, preset: str = "medium") -> np.ndarray:
    """Computes the flow from a frame to the frame before, by dense inverse search.

    Mean end-point error on two scenes of the Middlebury benchmark, in pixels (the time
    rises about fivefold from `"fast"` to `"medium"`; `benchmarks/optical_flow.py`):

    | scene | no flow | `"ultrafast"` | `"fast"` | `"medium"` |
    |---|---|---|---|---|
    | RubberWhale | 1.256 | 0.537 | 0.440 | 0.225 |
    | Venus | 3.802 | 0.723 | 0.564 | 0.384 |

    Reference:
    - [Fast Optical Flow using Dense Inverse Search](https://arxiv.org/abs/1603.03590)
      (ECCV 2016), as in OpenCV

    Args:
        frame: uint8 array of shape `(height, width, 3)`, RGB.
        previous: The frame before, of the same shape.
        preset: `"ultrafast"`, `"fast"` or `"medium"`, OpenCV's settings.

    Returns:
        float32 array of shape `(height, width, 2)`: columns, then rows, in pixels.

    Raises:
        ImportError: If OpenCV is not installed.
        TypeError: If a frame is no uint8 array.
        ValueError: If the shapes differ or are none of RGB images, a side has less than
            12 pixels, or `preset` is unknown.
    """
    if preset not in _PRESETS:
        raise ValueError(
            f"`preset` must be one of {', '.join(map(repr, _PRESETS))}. "
            f"Received: preset={preset!r}"
        )
    frame, previous = (
        _checked_frame(name, array)
        for name, array in (("frame", frame), ("previous", previous))
    )
    if frame.shape != previous.shape:
        raise ValueError(
            "`frame` and `previous` must have one size. Received: "
            f"frame.shape={frame.shape}, previous.shape={previous.shape}"
        )
    if min(frame.shape[:2]) < _SMALLEST_SIDE:
        raise ValueError(
            f"`frame` must have at least {_SMALLEST_SIDE} pixels a side. "
            f"Received: frame.shape={frame.shape}"
        )
    cv2 = opencv()
    search = cv2.DISOpticalFlow_create(
        getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{preset.upper()}")
    )
    grey = [cv2.cvtColor(array, cv2.COLOR_RGB2GRAY) for array in (frame, previous)]
    return search.calc(*grey, None)


def resize_flow(flow, size) -> np.ndarray:
    """Resizes a flow, and scales its values to the pixels of the new size.

    Args:
        flow: Array of shape `(height, width, 2)`.
        size: `(height, width)` of the result.

    Returns:
        float32 array of shape `(*size, 2)`, bilinear and antialiased; unknown (NaN)
        wherever an unknown pixel takes part.
    """
    flow = _checked_flow("flow", flow)
    height, width = size
    scales = (width / flow.shape[1], height / flow.shape[0])
    maps = [
        Image.fromarray(np.ascontiguousarray(flow[..., axis])).resize(
            (width, height), Image.Resampling.BILINEAR
        )
        for axis in (0, 1)
    ]
    return np.stack(
        [np.asarray(m) * np.float32(s) for m, s in zip(maps, scales, strict=True)], -1
    )


def read_flow(path: str | Path) -> np.ndarray:
    """Reads a `.flo` file of the Middlebury benchmark.

    Reference:
    - [A Database and Evaluation Methodology for Optical
      Flow](https://vision.middlebury.edu/flow/) (IJCV 2011)

    Args:
        path: The file.

    Returns:
        float32 array of shape `(height, width, 2)`, NaN where the flow is unknown.

    Raises:
        ValueError: If it is no such file, or not whole.
    """
    content = Path(path).read_bytes()
    width, height = np.frombuffer(content[4:12].ljust(8, b"\0"), "<i4").tolist()
    fits = 0 < width <= _LARGEST_SIDE and 0 < height <= _LARGEST_SIDE
    if content[:4] != _MAGIC or not fits or len(content) != 12 + 8 * height * width:
        raise ValueError(
            "`path` must be a whole .flo file, which begins with 'PIEH', width and "
            f"height. Received: path={str(path)!r} of {len(content)} bytes, which "
            f"begins with {content[:4]!r}, {width}, {height}"
        )
    flow = np.frombuffer(content, "<f4", offset=12).reshape(height, width, 2)
    is_known = (np.abs(flow) < _UNKNOWN_FROM).all(-1, keepdims=True)  # False for NaN
    return np.where(is_known, flow, np.float32(np.nan)).astype("float32")


def write_flow(path: str | Path, flow):
    """Writes a `.flo` file of the Middlebury benchmark.

    Args:
        path: The file; it is replaced in one step.
        flow: Array of shape `(height, width, 2)`, NaN where unknown.
    """
    flow = _checked_flow("flow", flow)
    flow = np.where(np.isnan(flow).any(-1, keepdims=True), np.float32(_UNKNOWN), flow)
    size = np.array(flow.shape[1::-1], "<i4")
    write_whole(path, _MAGIC + size.tobytes() + flow.astype("<f4").tobytes())


def end_point_error(flow, truth) -> float:
    """Mean distance between the ends of two flows, in pixels, where both are known.

    Args:
        flow: Array of shape `(height, width, 2)`.
        truth: Array of the same shape.

    Returns:
        Mean over the pixels that are NaN in neither; NaN if there is none.
    """
    flow, truth = _checked_flow("flow", flow), _checked_flow("truth", truth)
    if flow.shape != truth.shape:
        raise ValueError(
            "`flow` and `truth` must have one shape. "
            f"Received: flow.shape={flow.shape}, truth.shape={truth.shape}"
        )
    distances = np.linalg.norm(flow.astype("float64") - truth, axis=-1)
    distances = distances[~np.isnan(distances)]
    return float(distances.mean()) if distances.size else float("nan")


class FlowCache:
    """Computes the flow of a pair of frames once, and reads it from disk after that.

    The name of a file is a digest of the pixels of both frames and of the preset:
    frames that change get another file. Files are written in one step, so that several
    processes may share a folder; one that is damaged is computed anew. They hold half
    precision: 1/64 pixel at 16 to 32 pixels of motion.

    Args:
        folder: Folder of the files; made if it does not exist.
        preset: As in `optical_flow`.

    Call arguments:
        frame: As in `optical_flow`.
        previous: As in `optical_flow`.
    """

    def __init__(self, folder: str | Path, preset: str = "medium"):
        self.folder = Path(folder)
        self.preset = preset
        self.folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, frame, previous) -> np.ndarray:
        path = self.path(frame, previous)
        with (
            contextlib.suppress(*_UNREADABLE),
            path.open("rb") as file,
            np.load(file) as saved,
        ):
            return saved["flow"].astype("float32")
        flow = optical_flow(frame, previous, self.preset).astype("float16")
        write_whole(path, lambda file: np.savez_compressed(file, flow=flow))
        return flow.astype("float32")

    def path(self, frame, previous) -> Path:
        """Returns where the flow of a pair of frames is kept."""
        digest = hashlib.sha256(f"dis {self.preset}".encode())
        for name, array in (("frame", frame), ("previous", previous)):
            array = _checked_frame(name, array)
            digest.update(str(array.shape).encode())
            digest.update(array.tobytes())
        return self.folder / f"{digest.hexdigest()[:32]}.npz"


def _checked_frame(name, array):
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
        raise TypeError(
            f"`{name}` must be a uint8 array of 0-255. Received: {name} of "
            f"{getattr(array, 'dtype', type(array).__name__)}"
        )
    if array.ndim != 3 or array.shape[-1] != 3:
        raise ValueError(
            f"`{name}` must be an RGB image of shape (height, width, 3). "
            f"Received: {name}.shape={array.shape}"
        )
    return array


def _checked_flow(name, array):
    array = np.asarray(array, "float32")
    if array.ndim != 3 or array.shape[-1] != 2:
        raise ValueError(
            f"`{name}` must hold columns and rows: shape (height, width, 2). "
            f"Received: {name}.shape={array.shape}"
        )
    return array
