"""What is done to a net's scores after the net: NumPy and SciPy only."""

from kseg.postprocess.edges import guided_filter, refine_edges

__all__ = ["guided_filter", "refine_edges"]
