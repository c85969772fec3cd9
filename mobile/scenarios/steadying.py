"""Confidences of a video's frames, steadied along the motion of what they show."""

import numpy as np
from PIL import Image

from kseg.data.flow import optical_flow
from kseg.data.opencv import opencv
from kseg.mobile.images import resize_map

# Motion and confidences are followed at this long side: a net's own masks are coarser.
_LONG_SIDE = 512
_SMALLEST_SIDE = 12  # that optical flow takes
# Codes by which the frame before, moved, may miss a frame: noise and shading do less,
# what comes out from behind something does more.
_TOLERANCE = 30.0
_WINDOW = 5


class Steadying:
    """Averages each confidence with those before it, exponentially.

    The average so far is carried along by optical flow. Where the frame before, carried
    along, does not look like the frame, as behind a moving edge or at a cut, it counts
    for less or nothing.

    ```python
    trust = momentum * exp(-(error / tolerance) ** 2)
    average = trust * carried(average) + (1 - trust) * confidence
    ```

    Args:
        momentum: 0-1, below 1: how much the average so far counts where it is trusted.
            0 changes nothing but the size.

    Call arguments:
        frame: uint8 array of shape `(height, width, 3)`, each of one size.
        confidence: float32 array of shape `(height, width)`, 0-1.

    Returns:
        float32 array of the proportions of the frame, long side at most 512.
    """

    def __init__(self, momentum: float = 0.9):
        if not 0 <= momentum < 1:
            raise ValueError(
                "`momentum` must be at least 0 and below 1. "
                f"Received: momentum={momentum}"
            )
        self.momentum = momentum
        self._frame = self._average = None

    def __call__(self, frame: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        scale = min(1.0, _LONG_SIDE / max(confidence.shape))
        size = tuple(max(1, round(n * scale)) for n in confidence.shape)
        confidence = resize_map(confidence, size)
        if self.momentum == 0:
            return confidence
        picture = Image.fromarray(frame)
        frame = np.asarray(picture.resize(size[::-1], Image.Resampling.BILINEAR))
        if self._average is not None:
            carried, moved = self._carried(frame)
            error = np.abs(frame.astype(np.float32) - moved).mean(-1)
            error = opencv().blur(error, (_WINDOW, _WINDOW))
            trust = self.momentum * np.exp(-((error / _TOLERANCE) ** 2))
            confidence = trust * carried + (1 - trust) * confidence
        self._frame, self._average = frame, confidence
        return confidence

    def _carried(self, frame):
        """The average so far, and the frame before, where they are in `frame`."""
        if min(frame.shape[:2]) < _SMALLEST_SIDE:
            return self._average, self._frame
        cv2 = opencv()
        flow = optical_flow(frame, self._frame, "fast")
        y, x = np.indices(frame.shape[:2], np.float32)
        return [
            cv2.remap(
                values,
                x + flow[..., 0],
                y + flow[..., 1],
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for values in (self._average, self._frame)
        ]
