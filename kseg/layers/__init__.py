"""Building blocks of the models, as `keras.layers.Layer`."""

from kseg.layers.aspp import ASPP, ASPPSum
from kseg.layers.atrous import AtrousConv2D, AtrousSeparableConv2D
from kseg.layers.bilinear_upsampling import BilinearUpsampling2D
from kseg.layers.boundary_refinement import BoundaryRefinement2D
from kseg.layers.crf import CRFRefinement
from kseg.layers.global_conv import GlobalConv2D
from kseg.layers.ksac import KSAC
from kseg.layers.pyramid_pooling import PyramidPooling2D
from kseg.layers.resizing import (
    CroppingLike2D,
    ResizingByScale2D,
    ResizingLike2D,
)
from kseg.layers.spatial_pyramid_pooling import SpatialPyramidPooling2D

__all__ = [
    "ASPP",
    "ASPPSum",
    "AtrousConv2D",
    "AtrousSeparableConv2D",
    "BilinearUpsampling2D",
    "BoundaryRefinement2D",
    "CRFRefinement",
    "CroppingLike2D",
    "GlobalConv2D",
    "KSAC",
    "PyramidPooling2D",
    "ResizingByScale2D",
    "ResizingLike2D",
    "SpatialPyramidPooling2D",
]
