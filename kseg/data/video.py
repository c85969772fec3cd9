"""Videos: frames from files or folders, and mp4 files that stay playable."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kseg.data.opencv import opencv
from kseg.data.reading import read_image
from kseg.files import checked_path

_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
# What a folder of pictures is shown at, and a file that does not say.
_FRAMES_PER_SECOND = 25.0


class Video:
    """The frames of a video file, or of a folder of pictures in order of their names.

    Numbers in names count as numbers: `frame_10.png` comes behind `frame_9.png`. A
    frame is read when it is asked for, and each `for` begins with the first.

    Args:
        path: A video file that OpenCV can read, or a folder of pictures.

    Attributes:
        path: The file or the folder.
        frames_per_second: What the file says; 25 for a folder.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ImportError: If the path is a file and OpenCV is not installed.
        ValueError: If the file is no video, or the folder holds no picture. While
            frames are read: if one is damaged or missing, or has another size than the
            first; the error names the frame and the file.

    Examples:

    >>> for frame in kseg.data.video.Video("in.mp4"):
    ...     mask = stream(frame)
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.frames_per_second = _FRAMES_PER_SECOND
        if self.path.is_dir():
            self._pictures = _pictures(self.path)
            self._count = len(self._pictures)
            return
        if not self.path.is_file():
            raise FileNotFoundError(
                "`path` must be a video file or a folder of pictures. "
                f"Received: path={str(path)!r}, which does not exist"
            )
        self._pictures = None
        capture = _open(self.path)
        cv2 = opencv()
        # Some formats do not say how many frames they hold.
        self._count = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.frames_per_second = capture.get(cv2.CAP_PROP_FPS) or _FRAMES_PER_SECOND
        capture.release()

    def __len__(self):
        """How many frames the file says that it holds; 0 if it does not say."""
        return self._count

    def __iter__(self) -> Iterator[np.ndarray]:
        """Gives each frame, uint8 of shape `(height, width, 3)`, RGB."""
        frames = self._from_file() if self._pictures is None else self._from_folder()
        size = None
        for number, (name, frame) in enumerate(frames, 1):
            size = size or frame.shape[:2]
            if frame.shape[:2] != size:
                raise ValueError(
                    f"All frames of a video must have one size, here {size}. "
                    f"Received: frame {number} of {str(self.path)!r}{name} of size "
                    f"{frame.shape[:2]}"
                )
            yield frame

    def __bool__(self):
        return True

    def __repr__(self):
        return f"<Video {self.path}: {self._count or 'unknown number of'} frames>"

    def _from_folder(self):
        for number, picture in enumerate(self._pictures, 1):
            try:
                yield f" ({picture.name})", read_image(picture)
            except (OSError, ValueError) as error:
                raise ValueError(
                    f"A frame cannot be read: frame {number} of {str(self.path)!r} "
                    f"({picture.name}): {error}"
                ) from error

    def _from_file(self):
        cv2 = opencv()
        capture = _open(self.path)
        number = 0
        try:
            while True:
                found, frame = capture.read()
                if not found:
                    break
                number += 1
                yield "", cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        finally:
            capture.release()
        if number < self._count:
            raise ValueError(
                "A frame cannot be read, the file is damaged or cut off: frame "
                f"{number + 1} of the {self._count} of {str(self.path)!r}"
            )


class VideoWriter:
    """Writes an mp4 file that can be played whatever stops the writing.

    Used as a context manager: at its end, by an error too, the file is closed with all
    frames that it got until then. It has the name `.NAME.partial.mp4` before.

    Args:
        path: The file, `*.mp4`, in an existing folder.
        frames_per_second: How fast it is shown.

    Raises:
        ImportError: If OpenCV is not installed.
        OSError: If the folder does not exist, or the file cannot be written.
        ValueError: If the name does not end in `.mp4`, or a frame has another size
            than the first.

    Examples:

    >>> with kseg.data.video.VideoWriter("out.mp4", 25) as writer:
    ...     writer.write(frame)
    """

    def __init__(self, path: str | Path, frames_per_second: float = _FRAMES_PER_SECOND):
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
        self._partial = self.path.with_name(f".{self.path.stem}.partial.mp4")
        opencv()

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
            self._partial.replace(self.path)

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


def _open(path):
    capture = opencv().VideoCapture(str(path))
    if not capture.isOpened():
        raise ValueError(
            "`path` must be a video file that is whole. OpenCV cannot open "
            f"{str(path)!r}"
        )
    return capture


def _pictures(folder):
    pictures = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _PICTURES and not path.name.startswith(".")
    ]
    if not pictures:
        raise ValueError(
            f"`path` must hold pictures ({', '.join(_PICTURES)}). "
            f"Received: path={str(folder)!r}, where none is"
        )
    return sorted(pictures, key=_natural)


def _natural(path):
    parts = re.split(r"(\d+)", path.name)
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in parts], path.name
