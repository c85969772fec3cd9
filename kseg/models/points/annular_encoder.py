"""The encoder of A-CNN: levels of ever fewer points, each with two rings."""

from keras import layers

from kseg.layers import (
    AnnularConv,
    ChannelSlice,
    FarthestPointSampling,
    NeighborOrdering,
    RingNeighbors,
)
from kseg.models import head
from kseg.models.points import parts


def check_levels(samples, rings, neighbors, filters):
    """Raises an error for samples, rings and neighbours that fit no such filters."""
    for argument, value, length in (
        ("samples", samples, len(filters)),
        ("rings", rings, len(filters)),
        ("neighbors", neighbors, len(filters[0])),
    ):
        if not isinstance(value, tuple | list) or len(value) != length:
            raise ValueError(
                f"`{argument}` must be a tuple of {length}. Received: {argument}={value}"
            )
    for level in rings:
        if not isinstance(level, tuple | list) or len(level) != len(neighbors):
            raise ValueError(
                f"`rings` must have {len(neighbors)} pairs of radii per level. "
                f"Received: rings={rings}"
            )
    if any(coarse > fine for fine, coarse in zip(samples, samples[1:], strict=False)):
        raise ValueError(f"`samples` must not increase. Received: samples={samples}")


def encode(levels, samples, rings, neighbors, filters, width_multiplier):
    """Appends the coarser levels to a list of one.

    Args:
        levels: List of pairs of tensors: points with normals, and their features, or
            `None` for none.
        samples: Number of points, per level.
        rings: Inner and outer radii, per level, per ring.
        neighbors: Number of neighbours, per ring.
        filters: Numbers of filters, per level, per ring.
        width_multiplier: Factor on these.
    """
    for level, of_level in enumerate(
        zip(samples, rings, filters, strict=True), len(levels)
    ):
        number, radii, widths = of_level
        points, features = levels[-1]
        # Coordinates keep their digits under a policy of half precision.
        centers = FarthestPointSampling(
            number, dtype="float32", name=f"sampling{level}"
        )(points)
        inputs = [centers, points] + ([] if features is None else [features])
        maps = [
            _ring(
                inputs, k, radii[i], widths[i], width_multiplier, f"ring{level}_{i + 1}"
            )
            for i, k in enumerate(neighbors)
        ]
        x = layers.Concatenate(name=f"level{level}")(maps)
        levels.append((centers, x))


def _ring(inputs, k, radii, filters, width_multiplier, name):
    """The feature that each centre gets from one of its rings."""
    centers = inputs[0]
    x = RingNeighbors(k, *radii, name=f"{name}_neighbors")(inputs)
    x = NeighborOrdering(name=f"{name}_ordering")([x, centers])
    for i, number in enumerate(head.scaled(filters, width_multiplier), 1):
        x = AnnularConv(number, name=f"{name}_conv{i}")(x)
        x = parts.normalized(x, f"{name}_{i}")
    x = layers.MaxPooling2D((1, k), name=f"{name}_max")(x)
    return layers.Reshape((centers.shape[1], x.shape[-1]), name=f"{name}_feature")(x)


def global_feature(centers, features, width_multiplier):
    """Returns the maximum over the points of the coarsest level, a vector."""
    xyz = ChannelSlice(0, 3, name="global_xyz")(centers)
    x = layers.Concatenate(name="global_inputs")([xyz, features])
    x = parts.shared_mlp(x, head.scaled((256, 512, 1024), width_multiplier), "global")
    return layers.GlobalMaxPooling1D(name="global_max")(x)
