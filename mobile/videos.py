"""Overlays of whole videos: a network on every frame, by a schedule."""

import dataclasses
import time

import numpy as np
from PIL import Image
from rich.progress import track

from kseg import plot
from kseg.data.flow import optical_flow
from kseg.data.video import Video, VideoWriter
from kseg.files import as_path, checked_path
from kseg.mobile.nets import find_net, trained_names
from kseg.mobile.segmenter import load


@dataclasses.dataclass(frozen=True)
class VideoSummary:
    """What `predict_video` did.

    Attributes:
        frames: How many frames were written.
        mean_ms: Mean time of the network per frame, in milliseconds, but for the frames
            on which a part of it ran for the first time, which compiles.
        worst_ms: Longest time of one of these frames.
        share: Mean share of the network's multiplications, `Work.share`.
    """

    frames: int
    mean_ms: float
    worst_ms: float
    share: float


def predict_video(model, video, output, schedule: str = "every"):
    """Writes a video with the masks painted over it, and a legend of the classes.

    The names of the classes are those in the .tflite, or in the `config.json` that
    `kseg train` leaves beside the model. Sound is not copied.

    Args:
        model: A `.keras` or `.tflite` file, or the name of a shipped net.
        video: A video file, or a folder of pictures.
        output: The `.mp4` file to write.
        schedule: As in `kseg.models.video.Stream`; a `.tflite` takes `"every"` only.

    Returns:
        A `VideoSummary`.

    Raises:
        OSError: If `output` cannot be written.
        ValueError: If a frame cannot be read, which is named; the frames before it are
            in `output`. If the schedule does not fit the network. If `output` is `video`.
    """
    frames, output = open_videos(video, output)
    stream, num_classes, names = _opened(model, schedule)
    painter = Painter(num_classes, names)
    times, compiling, shares, seen = [], [], [], set()

    def paint(frame):
        start = time.perf_counter()
        mask = stream(frame)
        ms = 1e3 * (time.perf_counter() - start)
        ran = {"all"} if stream.work is None else set(stream.work.parts)
        (times if ran <= seen else compiling).append(ms)
        seen.update(ran)
        shares.append(1.0 if stream.work is None else stream.work.share)
        return painter(frame, mask)

    rewrite_video(paint, frames, output, "Segmenting")
    times = times or compiling
    return VideoSummary(
        len(shares), float(np.mean(times)), max(times), float(np.mean(shares))
    )


def open_videos(video, output):
    """Opens a video that is to be changed, and checks where the new one is to go.

    Args:
        video: A video file, or a folder of pictures.
        output: The `.mp4` file to write.

    Returns:
        The frames, a `Video`, and the path of the new file.

    Raises:
        OSError: If the folder of `output` does not exist or cannot be written to.
        ValueError: If `video` is no video, or `output` is `video` or no `.mp4`.
    """
    output = checked_path(output, ".mp4", "output")
    frames = Video(as_path(video, "video"))
    if output.exists() and output.samefile(video):
        raise ValueError(
            "`output` must be another file than `video`, which it would replace. "
            f"Received: output={str(output)!r}, video={str(video)!r}"
        )
    return frames, output


def rewrite_video(change, frames, output, title: str) -> int:
    """Writes a video with each frame changed, and shows a progress bar.

    Args:
        change: Function that is given a frame, uint8 of shape `(height, width, 3)`, and
            returns the new one.
        frames: A `Video`.
        output: The `.mp4` file to write.
        title: Of the progress bar.

    Returns:
        How many frames were written.

    Raises:
        OSError: If `output` cannot be written.
        ValueError: If there is no frame, or one cannot be read, which is named; the
            frames before it are in `output`.
    """
    with VideoWriter(output, frames.frames_per_second) as writer:
        try:
            for frame in track(
                frames, title, total=len(frames) or None, transient=True
            ):
                writer.write(change(frame))
        except ValueError as error:
            if not writer.count:
                raise
            raise ValueError(
                f"{error} (the {writer.count} frames before are in {str(output)!r})"
            ) from error
    if not writer.count:
        raise ValueError(
            f"`video` must hold frames. Received: video={str(frames.path)!r}"
        )
    return writer.count


class Painter:
    """Paints masks over frames, beside a legend.

    Args:
        num_classes: Channels of the network's output, `None` if unknown.
        names: Names of the classes, or none of them.
    """

    def __init__(self, num_classes, names=()):
        count = max(2, num_classes or 256)
        # Without names, class 0 is taken for background, as in `kseg predict`.
        has_background = not names or names[0].lower() in ("background", "null")
        self._colors = plot.palette(count, background=has_background)
        self._names = names
        self._legend = None

    def __call__(self, frame, mask):
        """Returns the painted frame, uint8, wider than `frame` by the legend."""
        painted = np.asarray(plot.overlay(frame, mask, self._colors))
        if not self._names:
            return painted
        if self._legend is None or len(self._legend) != len(frame):
            self._legend = self._drawn(len(frame))
        return np.concatenate([painted, self._legend], axis=1)

    def _drawn(self, height):
        """The legend in as many columns as make it no higher than the frame."""
        size = max(9, min(16, height // 20))
        for columns in range(1, len(self._names) + 1):
            colors = self._colors[: len(self._names)]
            picture = plot.legend(self._names, colors, font_size=size, columns=columns)
            if picture.height <= height:
                break
        canvas = Image.new("RGB", (picture.width, height), "white")
        canvas.paste(picture, (0, 0))
        return np.asarray(canvas)


def _opened(model, schedule):
    """The stream of a network, its number of classes, and their names."""
    path = find_net(model)
    if path.suffix == ".keras":
        from kseg.mobile.exporting.keras_model import load_keras

        return _streamed(load_keras(path), schedule, path)
    if schedule != "every":
        raise ValueError(
            '`schedule` must be "every" for a .tflite, which cannot be run in parts. '
            f"Received: schedule={schedule!r}"
        )
    segmenter = load(path)
    return _Whole(segmenter), segmenter.num_classes, segmenter.labels


def _streamed(net, schedule, path):
    from kseg.models.video import Stream

    stream = Stream(net, schedule, flow=optical_flow)
    outputs = net.output if isinstance(net.output, dict) else {}
    scores = outputs.get("probabilities", outputs.get("logits", net.outputs[0]))
    num_classes = scores.shape[-1]
    return stream, num_classes, trained_names(path, num_classes)


class _Whole:
    """A .tflite as a stream."""

    work = None

    def __init__(self, segmenter):
        self._segmenter = segmenter

    def __call__(self, frame):
        result = self._segmenter.segment(frame, output_confidence_masks=False)
        return result.category_mask
