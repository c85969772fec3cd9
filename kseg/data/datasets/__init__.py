"""One reader per data set, each a sequence of samples."""

from kseg.data.datasets.ccp import CCP
from kseg.data.datasets.dataset import Dataset, Sample

__all__ = ["CCP", "Dataset", "Sample"]
