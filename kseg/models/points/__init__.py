"""Networks for point clouds: each function returns a functional `keras.Model`.

`kseg.data.points` reads clouds, cuts rooms into blocks and batches them.

A model that is called eagerly raises an error with the row of a point that is not finite.
In a compiled step, such as those of `fit` and `predict`, nothing can: there the batches of
`kseg.data.points.loader` are checked while they are made.
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
