"""A-CNN: Komarichev, Zhong, Hua (CVPR 2019)."""

import keras
from keras import layers

from kseg.layers import (
    ChannelSlice,
    FeaturePropagation,
    RepeatLike1D,
)
from kseg.models import head
from kseg.models.points import annular_encoder, parts

# Filters of the annular convolutions: per level, per ring.
FILTERS = (
    ((32, 32, 64), (64, 64, 128)),
    ((64, 64, 128), (128, 128, 256)),
)
SEMANTIC_FILTERS = tuple(
    (filters, filters)
    for filters in ((32, 32, 64), (64, 64, 128), (128, 128, 256), (256, 256, 512))
)
# Inner and outer radius: per level, per ring.
RINGS = (
    ((0.0, 0.1), (0.1, 0.2)),
    ((0.1, 0.2), (0.3, 0.4)),
)
SEMANTIC_RINGS = tuple(((0.0, r), (r, 2 * r)) for r in (0.1, 0.2, 0.4, 0.8))


def a_cnn_classification(
    input_shape,
    num_classes,
    *,
    samples=(512, 128),
    rings=RINGS,
    neighbors=(16, 48),
    dropout_rate=0.6,
    width_multiplier=1.0,
    activation="softmax",
    name="a_cnn_classification",
):
    """Builds an A-CNN for one class per cloud.

    Reference:
    - [A-CNN](https://arxiv.org/abs/1904.08017) (CVPR 2019), figure 5

    Args:
        input_shape: Shape of a cloud, `(points, 6)`: x, y, z, with the centre at the
            origin and the farthest point at distance 1, and the normal, which points to
            the same side of the surface everywhere. The number of points may be `None`;
            the paper has 1024.
        num_classes: Number of classes; 1 for the probability of a foreground.
        samples: Number of points that are kept at each of the two levels.
        rings: Inner and outer radii of the two rings, per level, in the unit of the
            points.
        neighbors: Number of neighbours in each ring. Defaults to `(16, 48)`.
        dropout_rate: Rate of the dropout behind the dense layers; 0 for none. Defaults
            to `0.6`.
        width_multiplier: Factor on all numbers of filters. Defaults to `1.0`.
        activation: `"softmax"`, `"sigmoid"` (with one class), or `None` for logits.
        name: Name of the model.

    Returns:
        A `keras.Model` from clouds `(batch, points, 6)` to float32
        `(batch, num_classes)`.

    Raises:
        ValueError: If an argument has a value that no network can be built with.
        TypeError: If an argument is of the wrong type.
    """
    parts.check_arguments(num_classes, activation, dropout_rate)
    annular_encoder.check_levels(samples, rings, neighbors, FILTERS)
    parts.check_input_shape(input_shape, "x, y, z and the normal", 6, least=samples[0])
    points = keras.Input(input_shape, name="points")
    levels = [(points, None)]
    annular_encoder.encode(levels, samples, rings, neighbors, FILTERS, width_multiplier)
    x = annular_encoder.global_feature(*levels[-1], width_multiplier)
    x = parts.shared_mlp(
        x, head.scaled((512, 256), width_multiplier), "head", dropout_rate
    )
    scores = layers.Dense(num_classes, name="scores")(x)
    return keras.Model(points, head.outputs(scores, activation), name=name)


def a_cnn_part_segmentation(
    input_shape,
    num_classes,
    *,
    num_categories=16,
    samples=(512, 128),
    rings=RINGS,
    neighbors=(16, 48),
    dropout_rate=0.4,
    width_multiplier=1.0,
    activation="softmax",
    name="a_cnn_part_segmentation",
):
    """Builds an A-CNN for the parts of objects whose category is known.

    Reference:
    - [A-CNN](https://arxiv.org/abs/1904.08017) (CVPR 2019), figure 5

    Args:
        input_shape: Shape of a cloud, `(points, 6)`, as in `a_cnn_classification`; the
            paper has 2048 points.
        num_classes: Number of the parts of all categories (50 in ShapeNet).
        num_categories: Number of categories. Defaults to `16`.
        samples: Number of points that are kept at each of the two levels.
        rings: Inner and outer radii of the two rings, per level, in the unit of the
            points.
        neighbors: Number of neighbours in each ring. Defaults to `(16, 48)`.
        dropout_rate: Rate of the dropout behind the first two layers of the head; 0 for
            none. Defaults to `0.4`.
        width_multiplier: Factor on all numbers of filters. Defaults to `1.0`.
        activation: `"softmax"`, `"sigmoid"` (with one class), or `None` for logits.
        name: Name of the model.

    Returns:
        A `keras.Model` from clouds `(batch, points, 6)` and one-hot categories
        `(batch, num_categories)` to float32 `(batch, points, num_classes)`.

    Raises:
        ValueError: If an argument has a value that no network can be built with.
        TypeError: If an argument is of the wrong type.
    """
    parts.check_arguments(num_classes, activation, dropout_rate)
    annular_encoder.check_levels(samples, rings, neighbors, FILTERS)
    parts.check_input_shape(input_shape, "x, y, z and the normal", 6, least=samples[0])
    points = keras.Input(input_shape, name="points")
    category = parts.category_input(num_categories)

    def w(*filters):
        return head.scaled(filters, width_multiplier)

    normals = ChannelSlice(3, 6, name="normals")(points)
    levels = [(points, normals)]
    annular_encoder.encode(levels, samples, rings, neighbors, FILTERS, width_multiplier)
    x = annular_encoder.global_feature(*levels[-1], width_multiplier)
    # From one centre, interpolation copies: the MLP may as well come before.
    decoded = [
        RepeatLike1D(name="global_repeated")(
            [parts.shared_mlp(x, w(64), "global_decoded"), points]
        )
    ]
    for level, filters in ((2, (64,)), (1, (128, 128, 128))):
        centers, x = levels[level]
        x = FeaturePropagation(name=f"propagation{level}")([points, centers, x])
        if level == 1:
            x = layers.Concatenate(name="with_normals")([x, normals])
        decoded.append(parts.shared_mlp(x, w(*filters), f"decoded{level}"))
    repeated = RepeatLike1D(name="category_repeated")([category, points])
    xyz = ChannelSlice(0, 3, name="xyz")(points)
    x = layers.Concatenate(name="all")([*decoded, repeated, xyz])
    x = parts.shared_mlp(x, w(256, 256), "head", dropout_rate)
    x = parts.shared_mlp(x, w(128), "head_last")
    scores = layers.Conv1D(num_classes, 1, name="scores")(x)
    outputs = head.outputs(scores, activation)
    return keras.Model([points, category], outputs, name=name)


def a_cnn_semantic_segmentation(
    input_shape,
    num_classes,
    *,
    samples=(1024, 256, 64, 16),
    rings=SEMANTIC_RINGS,
    neighbors=(16, 48),
    dropout_rate=0.5,
    width_multiplier=1.0,
    activation="softmax",
    name="a_cnn_semantic_segmentation",
):
    """Builds an A-CNN for the points of rooms, in a configuration of our own.

    The paper reports results on rooms, but neither it nor its code gives the
    configuration. This one has the encoder of A-CNN at the four levels of PointNet++, and
    the decoder of PointNet++. No published figure belongs to it.

    Reference:
    - [A-CNN](https://arxiv.org/abs/1904.08017) (CVPR 2019)
    - [PointNet++](https://arxiv.org/abs/1706.02413) (NeurIPS 2017), supplement B.1

    Args:
        input_shape: Shape of a block of a room, `(points, channels)`: x, y, z in metres,
            the normal, which points to the same side of the surface everywhere
            (`kseg.layers.PointNormals` estimates it), and, if there are, other features
            such as colours of 0 to 1, as the blocks of `kseg.data.points.Blocks` with a
            `viewpoint` have them. The number of points may be `None`.
        num_classes: Number of classes; 1 for the probability of a foreground.
        samples: Number of points that are kept at each of the four levels.
        rings: Inner and outer radii of the two rings, per level, in the unit of the
            points.
        neighbors: Number of neighbours in each ring. Defaults to `(16, 48)`.
        dropout_rate: Rate of the dropout in front of the scores; 0 for none. Defaults to
            `0.5`.
        width_multiplier: Factor on all numbers of filters. Defaults to `1.0`.
        activation: `"softmax"`, `"sigmoid"` (with one class), or `None` for logits.
        name: Name of the model.

    Returns:
        A `keras.Model` from blocks `(batch, points, channels)` to float32
        `(batch, points, num_classes)`.

    Raises:
        ValueError: If an argument has a value that no network can be built with.
        TypeError: If an argument is of the wrong type.
    """
    parts.check_arguments(num_classes, activation, dropout_rate)
    annular_encoder.check_levels(samples, rings, neighbors, SEMANTIC_FILTERS)
    parts.check_input_shape(
        input_shape, "x, y, z and the normal", 6, exactly=False, least=samples[0]
    )
    points = keras.Input(input_shape, name="points")

    def w(*filters):
        return head.scaled(filters, width_multiplier)

    levels = [(points, ChannelSlice(3, name="features")(points))]
    annular_encoder.encode(
        levels, samples, rings, neighbors, SEMANTIC_FILTERS, width_multiplier
    )
    centers, x = levels.pop()
    for filters in ((256, 256), (256, 256), (256, 128), (128, 128, 128)):
        level = len(levels) - 1
        finer, skip = levels.pop()
        x = FeaturePropagation(name=f"propagation{level}")([finer, centers, x])
        x = layers.Concatenate(name=f"with_skip{level}")([x, skip])
        x = parts.shared_mlp(x, w(*filters), f"decoded{level}")
        centers = finer
    x = parts.shared_mlp(x, w(128), "head", dropout_rate)
    scores = layers.Conv1D(num_classes, 1, name="scores")(x)
    return keras.Model(points, head.outputs(scores, activation), name=name)
