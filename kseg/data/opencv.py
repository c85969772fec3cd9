"""OpenCV, which only videos and optical flow need."""

import os


def opencv():
    """Returns the module `cv2`, or says how to install it.

    Raises:
        ImportError: If OpenCV is not installed.
    """
    # What FFmpeg prints about a damaged file comes back as an error that names it.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            "Videos and optical flow need OpenCV: `pip install 'kseg[video]'`."
        ) from error
    return cv2
