"""One reader per data set, each a sequence of samples."""

from kseg.data.datasets.camvid import CamVid
from kseg.data.datasets.camvid_color import CamVidColor
from kseg.data.datasets.ccp import CCP
from kseg.data.datasets.celebamask_hq import CelebAMaskHQ
from kseg.data.datasets.cityscapes import Cityscapes
from kseg.data.datasets.coco_stuff import COCOStuff
from kseg.data.datasets.dataset import Dataset, Sample
from kseg.data.datasets.davis import DAVIS
from kseg.data.datasets.diva_hisdb import DIVAHisDB
from kseg.data.datasets.image_folder import ImageFolder
from kseg.data.datasets.inria import InriaAerial
from kseg.data.datasets.kinect_scenes import KinectScenes
from kseg.data.datasets.kitti import KITTIRoad, KITTISemantic
from kseg.data.datasets.layouts import READERS, open_dataset
from kseg.data.datasets.lits import LiTS
from kseg.data.datasets.modelnet40 import ModelNet40
from kseg.data.datasets.pascal_context import PascalContext
from kseg.data.datasets.pascal_voc import PascalVOC
from kseg.data.datasets.points import PointDataset, PointSample
from kseg.data.datasets.pratheepan import Pratheepan
from kseg.data.datasets.s3dis import S3DIS
from kseg.data.datasets.shapenet_part import ShapeNetPart

__all__ = [
    "CCP",
    "COCOStuff",
    "CamVid",
    "CamVidColor",
    "CelebAMaskHQ",
    "Cityscapes",
    "DAVIS",
    "DIVAHisDB",
    "Dataset",
    "ImageFolder",
    "InriaAerial",
    "KITTIRoad",
    "KITTISemantic",
    "KinectScenes",
    "LiTS",
    "ModelNet40",
    "PascalContext",
    "PascalVOC",
    "PointDataset",
    "PointSample",
    "Pratheepan",
    "READERS",
    "S3DIS",
    "Sample",
    "ShapeNetPart",
    "open_dataset",
]
