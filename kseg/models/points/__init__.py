"""Networks for point clouds: each function returns a functional `keras.Model`.

`kseg.data.points` reads clouds, cuts rooms into blocks and batches them.
"""

from kseg.models.points.a_cnn import (
    a_cnn_classification,
    a_cnn_part_segmentation,
    a_cnn_semantic_segmentation,
)
from kseg.models.points.pointnet import (
    pointnet_classification,
    pointnet_part_segmentation,
    pointnet_segmentation,
    pointnet_semantic_segmentation,
)

__all__ = [
    "a_cnn_classification",
    "a_cnn_part_segmentation",
    "a_cnn_semantic_segmentation",
    "pointnet_classification",
    "pointnet_part_segmentation",
    "pointnet_segmentation",
    "pointnet_semantic_segmentation",
]
