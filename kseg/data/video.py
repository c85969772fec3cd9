"""Videos: frames from files or folders, and mp4 files that stay playable."""

import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kseg.data.opencv import opencv
from kseg.data.reading import read_image
from kseg.data.video_writing import VideoWriter as VideoWriter

_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
# What a folder of pictures is shown at, and a file that does not say.
_FRAMES_PER_SECOND = 25.0
# Files with an index of their frames; of others OpenCV estimates how many there are.
_INDEXED = (".mp4", ".m4v", ".mov")
# Edit lists hide frames of the index: this many, or this share, may be missing.
_HIDDEN, _HIDDEN_SHARE = 2, 0.1


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
            first; the error names the frame and the file. A file whose number of frames
            is an estimate is not called damaged; where more than two are missing, a
            warning says so.

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
        missing = self._count - number
        if missing <= _HIDDEN:
            return
        frame = f"frame {number + 1} of the {self._count} of {str(self.path)!r}"
        if (
            self.path.suffix.lower() in _INDEXED
            and missing > _HIDDEN_SHARE * self._count
        ):
            raise ValueError(
                f"A frame cannot be read, the file is damaged or cut off: {frame}"
            )
        warnings.warn(
            f"The video ended early; it may be whole, as not all formats count: {frame}",
            stacklevel=2,
        )


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
