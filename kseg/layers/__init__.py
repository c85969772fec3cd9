"""Building blocks of the models, as `keras.layers.Layer`."""

from kseg.layers.resizing import CroppingLike2D, ResizingLike2D

__all__ = ["CroppingLike2D", "ResizingLike2D"]
