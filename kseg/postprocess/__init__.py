"""What is done to a net's scores after the net: NumPy, SciPy and Numba only."""

from kseg.postprocess.dense_crf import DenseCRF
from kseg.postprocess.edges import guided_filter, refine_edges
from kseg.postprocess.tiling import predict_tiles

__all__ = ["DenseCRF", "guided_filter", "predict_tiles", "refine_edges"]
