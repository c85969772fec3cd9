"""A photo with a person, and segmenters that know where."""

from types import SimpleNamespace

import numpy as np
import pytest

RED = (200, 30, 20)


@pytest.fixture
def scene():
    """Returns a function: size -> photo of a red person before noise, and its mask."""

    def draw(height=120, width=160):
        rng = np.random.default_rng(0)
        photo = rng.integers(0, 256, (height, width, 3), np.uint8)
        y, x = np.mgrid[:height, :width]
        mask = np.hypot(y - height / 2, x - width / 2) < 0.3 * height
        photo[mask] = RED
        return photo, mask

    return draw


@pytest.fixture
def segmenter_of():
    """Returns a function: confidence -> segmenter that answers every photo with it."""
    return _Segmenter


class _Segmenter:
    def __init__(self, confidence, labels=None):
        self.confidence = np.asarray(confidence, np.float32)
        self.labels = labels
        self.seen = []

    def segment(self, image):
        self.seen.append(image)
        masks = self.confidence
        return SimpleNamespace(
            confidence_masks=masks[..., None] if masks.ndim == 2 else masks
        )


@pytest.fixture
def shipped(monkeypatch):
    """Stands in for the net that ships: sees the person of `scene`; its names asked."""

    class Red:
        def segment(self, image):
            mask = (image == RED).all(-1)
            return SimpleNamespace(confidence_masks=mask[..., None].astype(np.float32))

    names = []
    monkeypatch.setattr(
        "kseg.mobile.segmenter.load", lambda name: names.append(name) or Red()
    )
    return names
