"""Pictures of masks, clouds, training runs and nets; Pillow, NumPy and matplotlib only."""

from kseg.plot.clouds import cloud
from kseg.plot.colors import palette
from kseg.plot.masks import overlay
from kseg.plot.progress import curves
from kseg.plot.sheets import legend, sheet
from kseg.plot.tradeoff import tradeoff

__all__ = ["cloud", "curves", "legend", "overlay", "palette", "sheet", "tradeoff"]
