"""Pictures of masks and of training runs; Pillow, NumPy and matplotlib only."""

from kseg.plot.colors import palette
from kseg.plot.masks import overlay
from kseg.plot.progress import curves
from kseg.plot.sheets import legend, sheet

__all__ = ["curves", "legend", "overlay", "palette", "sheet"]
