"""PointNet: Qi, Su, Mo, Guibas (CVPR 2017)."""

import keras
from keras import layers

from kseg.layers import RepeatLike1D, TNet
from kseg.models import head
from kseg.models.points import parts


def pointnet_classification(
    input_shape,
    num_classes,
    *,
    dropout_rate=0.3,
    orthogonality=0.001,
    width_multiplier=1.0,
    activation="softmax",
    name="pointnet_classification",
):
    """Builds PointNet for one class per cloud.

    The order of the points changes nothing.

    Reference:
    - [PointNet](https://arxiv.org/abs/1612.00593) (CVPR 2017), figure 2

    Args:
        input_shape: Shape of a cloud, `(points, 3)`: x, y, z, with the centre at the
            origin and the farthest point at distance 1. The number of points may be
            `None`; the paper has 1024.
        num_classes: Number of classes; 1 for the probability of a foreground.
        dropout_rate: Rate of the dropout behind the dense layers; 0 for none. Defaults
            to `0.3`.
        orthogonality: Factor of the loss that keeps the transformation of the features
            close to an orthogonal one. Defaults to `0.001`.
        width_multiplier: Factor on all numbers of filters. Defaults to `1.0`.
        activation: `"softmax"`, `"sigmoid"` (with one class), or `None` for logits.
        name: Name of the model.

    Returns:
        A `keras.Model` from clouds `(batch, points, 3)` to float32
        `(batch, num_classes)`.

    Raises:
        ValueError: If an argument has a value that no network can be built with.
        TypeError: If an argument is of the wrong type.
    """
    parts.check_arguments(num_classes, activation, dropout_rate)
    parts.check_input_shape(input_shape, "x, y, z", 3)
    points = keras.Input(input_shape, name="points")
    _, x = _point_features(points, orthogonality, width_multiplier)
    x = layers.GlobalMaxPooling1D(name="global")(x)
    x = parts.shared_mlp(
        x, head.scaled((512, 256), width_multiplier), "head", dropout_rate
    )
    scores = layers.Dense(num_classes, name="scores")(x)
    return keras.Model(points, head.outputs(scores, activation), name=name)


def pointnet_segmentation(
    input_shape,
    num_classes,
    *,
    orthogonality=0.001,
    width_multiplier=1.0,
    activation="softmax",
    name="pointnet_segmentation",
):
    """Builds PointNet for one class per point.

    Each point is classified by its own feature and that of the whole cloud. If the points
    come in another order, so do the outputs.

    Reference:
    - [PointNet](https://arxiv.org/abs/1612.00593) (CVPR 2017), figure 2

    Args:
        input_shape: Shape of a cloud, `(points, 3)`: x, y, z, with the centre at the
            origin and the farthest point at distance 1. The number of points may be
            `None`.
        num_classes: Number of classes; 1 for the probability of a foreground.
        orthogonality: Factor of the loss that keeps the transformation of the features
            close to an orthogonal one. Defaults to `0.001`.
        width_multiplier: Factor on all numbers of filters. Defaults to `1.0`.
        activation: `"softmax"`, `"sigmoid"` (with one class), or `None` for logits.
        name: Name of the model.

    Returns:
        A `keras.Model` from clouds `(batch, points, 3)` to float32
        `(batch, points, num_classes)`.

    Raises:
        ValueError: If an argument has a value that no network can be built with.
        TypeError: If an argument is of the wrong type.
    """
    head.check_classes(num_classes, activation)
    parts.check_input_shape(input_shape, "x, y, z", 3)
    points = keras.Input(input_shape, name="points")
    local, x = _point_features(points, orthogonality, width_multiplier)
    x = layers.GlobalMaxPooling1D(name="global")(x)
    x = RepeatLike1D(name="global_repeated")([x, points])
    x = layers.Concatenate(name="local_and_global")([local, x])
    x = parts.shared_mlp(x, head.scaled((512, 256, 128, 128), width_multiplier), "head")
    scores = layers.Conv1D(num_classes, 1, name="scores")(x)
    return keras.Model(points, head.outputs(scores, activation), name=name)


def pointnet_part_segmentation(
    input_shape,
    num_classes,
    *,
    num_categories=16,
    category_head=True,
    dropout_rate=0.2,
    orthogonality=0.001,
    width_multiplier=1.0,
    activation="softmax",
    name="pointnet_part_segmentation",
):
    """Builds PointNet for the parts of objects whose category is known.

    Reference:
    - [PointNet](https://arxiv.org/abs/1612.00593) (CVPR 2017), supplement, figure 9

    Args:
        input_shape: Shape of a cloud, `(points, 3)`: x, y, z, with the centre at the
            origin and the farthest point at distance 1. The number of points may be
            `None`; the paper has 2048.
        num_classes: Number of the parts of all categories (50 in ShapeNet).
        num_categories: Number of categories. Defaults to `16`.
        category_head: Whether a second output classifies the whole cloud. It is trained
            with a second loss on the ids of the categories, to which the authors gave the
            weight 0: `False` for the batches of `kseg.data.points.loader`, which have the
            labels of the points alone. Defaults to `True`.
        dropout_rate: Rate of the dropout behind the first two layers of the head; 0 for
            none. Defaults to `0.2`.
        orthogonality: Factor of the loss that keeps the transformation of the features
            close to an orthogonal one. Defaults to `0.001`.
        width_multiplier: Factor on all numbers of filters. Defaults to `1.0`.
        activation: `"softmax"`, `"sigmoid"` (with one class), or `None` for logits.
        name: Name of the model.

    Returns:
        A `keras.Model` from clouds `(batch, points, 3)` and one-hot categories
        `(batch, num_categories)` to float32 `(batch, points, num_classes)`, and, with
        `category_head`, `(batch, num_categories)`, called
        `"category_probabilities"`, or `"category_logits"` without an activation.

    Raises:
        ValueError: If an argument has a value that no network can be built with.
        TypeError: If an argument is of the wrong type.
    """
    parts.check_arguments(num_classes, activation, dropout_rate)
    parts.check_input_shape(input_shape, "x, y, z", 3)
    points = keras.Input(input_shape, name="points")
    category = parts.category_input(num_categories)

    def w(*filters):
        return head.scaled(filters, width_multiplier)

    x = TNet(w(64, 128, 1024), w(128, 128), name="input_transform")(points)
    maps = []
    for i, filters in enumerate((64, 128, 128), 1):
        x = parts.shared_mlp(x, w(filters), f"out{i}")
        maps.append(x)
    x = TNet(w(256, 1024), w(512, 256), orthogonality, name="feature_transform")(x)
    for i, filters in enumerate((512, 2048), 4):
        x = parts.shared_mlp(x, w(filters), f"out{i}")
        maps.append(x)
    cloud = layers.GlobalMaxPooling1D(name="global")(x)
    x = layers.Concatenate(name="global_and_category")([cloud, category])
    x = RepeatLike1D(name="global_repeated")([x, points])
    x = layers.Concatenate(name="all")([x, *maps])
    x = parts.shared_mlp(x, w(256, 256), "head", dropout_rate)
    x = parts.shared_mlp(x, w(128), "head_last")
    scores = layers.Conv1D(num_classes, 1, name="scores")(x)
    outputs = head.outputs(scores, activation)
    if category_head:
        x = parts.shared_mlp(cloud, w(256, 256), "category")
        scores = layers.Dense(num_categories, name="category_scores")(x)
        # The categories exclude one another, even where there is a single part.
        other = "softmax" if activation else None
        outputs = [outputs, head.outputs(scores, other, prefix="category_")]
    return keras.Model([points, category], outputs, name=name)


def pointnet_semantic_segmentation(
    input_shape,
    num_classes,
    *,
    dropout_rate=0.3,
    width_multiplier=1.0,
    activation="softmax",
    name="pointnet_semantic_segmentation",
):
    """Builds PointNet for the points of rooms, which has no transformations.

    Reference:
    - [PointNet](https://arxiv.org/abs/1612.00593) (CVPR 2017), section 5.1, as the
      authors' code has it

    Args:
        input_shape: Shape of a block of a room, `(points, channels)`. The paper has 4096
            points of 9 channels: x, y, z with the block's centre as origin of x and y; r,
            g, b of 0 to 1; x, y, z divided by the size of the room. The number of points
            may be `None`.
        num_classes: Number of classes; 1 for the probability of a foreground.
        dropout_rate: Rate of the dropout in front of the scores; 0 for none. Defaults to
            `0.3`.
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
    parts.check_input_shape(input_shape, "x, y, z", 3, exactly=False)
    points = keras.Input(input_shape, name="points")
    local = parts.shared_mlp(
        points, head.scaled((64, 64, 64, 128, 1024), width_multiplier), "mlp"
    )
    x = layers.GlobalMaxPooling1D(name="global")(local)
    x = parts.shared_mlp(x, head.scaled((256, 128), width_multiplier), "global")
    x = RepeatLike1D(name="global_repeated")([x, points])
    x = layers.Concatenate(name="local_and_global")([local, x])
    x = parts.shared_mlp(x, head.scaled((512, 256), width_multiplier), "head")
    if dropout_rate:
        x = layers.Dropout(dropout_rate, name="dropout")(x)
    scores = layers.Conv1D(num_classes, 1, name="scores")(x)
    return keras.Model(points, head.outputs(scores, activation), name=name)


def _point_features(points, orthogonality, width_multiplier):
    """The features of the points, transformed, and those that the maximum is over."""

    def w(*filters):
        return head.scaled(filters, width_multiplier)

    widths = w(64, 128, 1024), w(512, 256)
    x = TNet(*widths, name="input_transform")(points)
    x = parts.shared_mlp(x, w(64, 64), "mlp1")
    local = TNet(*widths, orthogonality, name="feature_transform")(x)
    return local, parts.shared_mlp(local, w(64, 128, 1024), "mlp2")
