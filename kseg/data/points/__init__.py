"""Clouds of points: files, blocks of rooms, batches, and votes for whole rooms."""

from kseg.data.points.blocks import Blocks
from kseg.data.points.cloud import Cloud
from kseg.data.points.folder import CloudFolder
from kseg.data.points.geometry import estimate_normals, farthest_points, unit_sphere
from kseg.data.points.loading import loader
from kseg.data.points.ply import write_ply
from kseg.data.points.reading import read_cloud
from kseg.data.points.voting import predict_rooms

__all__ = [
    "Blocks",
    "Cloud",
    "CloudFolder",
    "estimate_normals",
    "farthest_points",
    "loader",
    "predict_rooms",
    "read_cloud",
    "unit_sphere",
    "write_ply",
]
