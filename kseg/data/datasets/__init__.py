"""One reader per data set, each a sequence of samples."""

from kseg.data.datasets.camvid import CamVid
from kseg.data.datasets.ccp import CCP
from kseg.data.datasets.dataset import Dataset, Sample
from kseg.data.datasets.image_folder import ImageFolder
from kseg.data.datasets.layouts import open_dataset

__all__ = ["CCP", "CamVid", "Dataset", "ImageFolder", "Sample", "open_dataset"]
