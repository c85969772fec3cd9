"""Building blocks of the models, as `keras.layers.Layer`."""

from kseg.layers.annular import AnnularConv
from kseg.layers.aspp import ASPP, ASPPSum
from kseg.layers.atrous import AtrousConv2D, AtrousSeparableConv2D
from kseg.layers.bilinear_upsampling import BilinearUpsampling2D
from kseg.layers.boundary_refinement import BoundaryRefinement2D
from kseg.layers.conv_recurrence import ConvGRU2D, ConvLSTM2D
from kseg.layers.crf import CRFRefinement
from kseg.layers.farthest_point_sampling import FarthestPointSampling
from kseg.layers.feature_propagation import FeaturePropagation
from kseg.layers.flow_cnn import FlowCNN
from kseg.layers.global_conv import GlobalConv2D
from kseg.layers.ksac import KSAC
from kseg.layers.local_recurrence import LocalGRU2D, LocalLSTM2D
from kseg.layers.point_normals import PointNormals
from kseg.layers.pyramid_pooling import PyramidPooling2D
from kseg.layers.repeating import ChannelSlice, RepeatLike1D
from kseg.layers.resizing import (
    CroppingLike2D,
    ResizingByScale2D,
    ResizingLike2D,
)
from kseg.layers.ring_neighbors import NeighborOrdering, RingNeighbors
from kseg.layers.spatial_pyramid_pooling import SpatialPyramidPooling2D
from kseg.layers.spatially_variant import SpatiallyVariantConv2D
from kseg.layers.t_net import TNet
from kseg.layers.warping import WarpedSum2D, Warping2D

__all__ = [
    "ASPP",
    "ASPPSum",
    "AnnularConv",
    "AtrousConv2D",
    "AtrousSeparableConv2D",
    "BilinearUpsampling2D",
    "BoundaryRefinement2D",
    "CRFRefinement",
    "ChannelSlice",
    "ConvGRU2D",
    "ConvLSTM2D",
    "CroppingLike2D",
    "FarthestPointSampling",
    "FeaturePropagation",
    "FlowCNN",
    "GlobalConv2D",
    "KSAC",
    "LocalGRU2D",
    "LocalLSTM2D",
    "NeighborOrdering",
    "PointNormals",
    "PyramidPooling2D",
    "RepeatLike1D",
    "ResizingByScale2D",
    "ResizingLike2D",
    "RingNeighbors",
    "SpatialPyramidPooling2D",
    "SpatiallyVariantConv2D",
    "TNet",
    "WarpedSum2D",
    "Warping2D",
]
