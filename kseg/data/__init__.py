"""Reading, augmenting and batching pictures with their masks."""

from kseg.data import datasets
from kseg.data.datasets import Sample

try:
    from kseg.data import augment
    from kseg.data.loading import loader
except ImportError:
    pass

__all__ = ["Sample", "augment", "datasets", "loader"]
