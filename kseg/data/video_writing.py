"""Files of videos, which are whole or not there."""

import errno
from pathlib import Path

import numpy as np

from kseg.data.opencv import opencv
from kseg.files import checked_path, remove_unfinished, unfinished_path, write_whole


class VideoWriter:
    """Writes an mp4 file that can be played, or leaves the one that was there.

    Used as a context manager: at its end, by an error or Ctrl-C too, the file is closed
    with all frames that it got until then. It has the name `.NAME.TOKEN.partial.mp4`
    before. A process that is killed leaves such a file, which cannot be played; the next
    writer of `NAME.mp4` removes it.

    Args:
        path: The file, `*.mp4`, in an existing folder.
        frames_per_second: How fast it is shown.

    Raises:
        ImportError: If OpenCV is not installed.
        OSError: If the folder does not exist, or the file cannot be written. At the end:
            if not all frames are in the file, as on a full disk; nothing is left of it.
        ValueError: If the name does not end in `.mp4`, or a frame has another size
            than the first.

    Examples:

    >>> with kseg.data.video.VideoWriter("out.mp4", 25) as writer:
    ...     writer.write(frame)
    """

    def __init__(self, path: str | Path, frames_per_second: float = 25.0):
        self.path = checked_path(path, ".mp4")
        if not frames_per_second > 0:
            raise ValueError(
                "`frames_per_second` must be positive. "
                f"Received: frames_per_second={frames_per_second}"
            )
        self.frames_per_second = float(frames_per_second)
        self.count = 0
        self._size = None
        self._writer = None
        target = self.path.resolve()  # The file that a link stands for.
        self._partial = unfinished_path(target)
        opencv()
        remove_unfinished(target.parent, target.stem)

    def write(self, frame):
        """Appends a frame, uint8 of shape `(height, width, 3)`, RGB."""
        frame = np.asarray(frame)
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[-1] != 3:
            raise ValueError(
                "`frame` must be a uint8 RGB image of shape (height, width, 3). "
                f"Received: frame.shape={frame.shape}, dtype={frame.dtype}"
            )
        cv2 = opencv()
        if self._writer is None:
            self._size = frame.shape[:2]
            self._writer = self._open(cv2)
        if frame.shape[:2] != self._size:
            raise ValueError(
                f"All frames of a video must have one size, here {self._size}. "
                f"Received: frame {self.count + 1} of {str(self.path)!r} of size "
                f"{frame.shape[:2]}"
            )
        # The encoder takes even sizes only: the last row or column is repeated.
        odd = [(0, side % 2) for side in self._size]
        frame = np.pad(frame, [*odd, (0, 0)], "edge")
        self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        self.count += 1

    def close(self):
        """Finishes the file; no file is left if no frame was written."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
            try:
                write_whole(self.path, self._finish)
            finally:
                self._partial.unlink(missing_ok=True)

    def _finish(self, temporary):
        # OpenCV says nothing of a full disk.
        if _playable(self._partial) < self.count:
            raise OSError(
                errno.EIO,
                f"OpenCV has not written all of its {self.count} frames; is the disk full?",
            )
        self._partial.replace(temporary)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def _open(self, cv2):
        height, width = (side + side % 2 for side in self._size)
        # OpenCV's own builds have no encoder for H.264.
        code = cv2.VideoWriter_fourcc(*"mp4v")
        size = (width, height)
        writer = cv2.VideoWriter(
            str(self._partial), cv2.CAP_FFMPEG, code, self.frames_per_second, size
        )
        if not writer.isOpened():
            raise OSError(
                f"OpenCV cannot write a video of {size[1]}x{size[0]} pixels to "
                f"{str(self.path)!r}"
            )
        return writer


def _playable(path):
    """How many frames a file holds; 0 where the last cannot be read."""
    cv2 = opencv()
    capture = cv2.VideoCapture(str(path))
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    capture.set(cv2.CAP_PROP_POS_FRAMES, count - 1)
    found = capture.read()[0]
    capture.release()
    return count if found else 0
