"""Another background behind the people of a video, without flicker."""

import warnings

import numpy as np

from kseg.mobile.scenarios.background import Backdrop
from kseg.mobile.scenarios.steadying import Steadying
from kseg.mobile.scenarios.subjects import (
    check_threshold,
    keep_subjects,
    person_confidence,
    shipped_net,
)
from kseg.mobile.segmenter import forget_frames
from kseg.mobile.videos import open_videos, rewrite_video
from kseg.postprocess import refine_edges


def background_video(
    video,
    output,
    segmenter=None,
    *,
    picture=None,
    color=None,
    blur: float | None = None,
    threshold: float = 0.5,
    momentum: float = 0.9,
) -> int:
    """Writes a video with another background; what `kseg background` calls.

    The net's probabilities are averaged over time along the motion of what they show,
    so that edges do not flicker. In a frame without a person all of it is background,
    as in a call. Shows a progress bar; sound is not copied.

    Args:
        video: A video file, or a folder of pictures.
        output: The `.mp4` file to write.
        segmenter: As in `background`, or a `kseg.mobile.VideoSegmenter`, which is reset.
        picture: As in `background`.
        color: As in `background`.
        blur: As in `background`.
        threshold: As in `background`.
        momentum: How much of the average so far a frame keeps: 0 is none, and values
            towards 1 are steadier.

    Returns:
        How many frames were written. Frames without a person are said to be so in a
        `UserWarning`.

    Raises:
        ImportError: If OpenCV is not installed.
        OSError: If `output` cannot be written.
        ValueError: As in `background`; if `momentum` is not in 0-1, or a frame cannot
            be read, which is named; the frames before it are in `output`.
    """
    backdrop = Backdrop(picture, color, blur)
    check_threshold(threshold)
    frames, output = open_videos(video, output)
    segmenter = segmenter or shipped_net("person_float16")
    forget_frames(segmenter)
    matte = Matte(segmenter, threshold, momentum)
    empty = 0

    def change(frame):
        nonlocal empty
        alpha = matte(frame)
        empty += not alpha.any()
        return backdrop(frame, alpha)

    count = rewrite_video(change, frames, output, "Replacing the background")
    if empty:
        warnings.warn(
            f"no person found in {empty} of {count} frames: all of them is background",
            stacklevel=2,
        )
    return count


class Matte:
    """The matte of the people in one frame after the other.

    Args:
        segmenter: As in `background`, but not `None`.
        threshold: As in `background`.
        momentum: As in `background_video`.

    Call arguments:
        frame: uint8 array of shape `(height, width, 3)`.

    Returns:
        float32 array of shape `(height, width)`, 0-1; zeros if there is no person.
    """

    def __init__(self, segmenter, threshold: float = 0.5, momentum: float = 0.9):
        self._segmenter, self._threshold = segmenter, threshold
        self._steady = Steadying(momentum)

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        confidence = person_confidence(frame, self._segmenter)
        steady = self._steady(frame, confidence)
        subjects = keep_subjects(steady, self._threshold)
        if subjects is None:
            return np.zeros(frame.shape[:2], np.float32)
        return refine_edges(frame, subjects)
