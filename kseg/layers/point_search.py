"""Search for neighbours in point clouds, in bounded memory."""

from keras import ops, tree

# Distances per cloud that are held at once: 1 MiB, which stays in the cache.
BLOCK = 2**18


def coordinates(points):
    """Returns x, y, z in float32, whatever the policy: half would merge neighbours."""
    return ops.cast(points[..., :3], "float32")


def squared_distances(queries, points):
    """Returns `(batch, queries, points)` from two clouds of `(batch, count, 3)`.

    The differences are squared: `|q|^2 - 2 q.p + |p|^2` would lose all digits far from
    the origin.
    """
    total = 0
    for axis in range(3):
        difference = queries[:, :, None, axis] - points[:, None, :, axis]
        total = total + difference * difference
    return total


def search(queries, points, select):
    """Selects points for each query by their distances, a block of queries at a time.

    Args:
        queries: Tensor of shape `(batch, queries, channels)`, x, y, z first.
        points: Tensor of shape `(batch, points, channels)`, x, y, z first.
        select: Function from squared distances `(batch, rows, points)` to one or more
            tensors `(batch, rows, k)`.

    Returns:
        What `select` returns, of shape `(batch, queries, k)`, without a gradient.
    """
    queries = ops.stop_gradient(coordinates(queries))
    points = ops.stop_gradient(coordinates(points))
    batch, count, _ = ops.shape(queries)
    rows = max(1, BLOCK // (points.shape[1] or 8192))
    if queries.shape[1] is not None and queries.shape[1] <= rows:
        return select(squared_distances(queries, points))
    blocks = (count + rows - 1) // rows
    # The last block is filled up with the last query.
    index = ops.minimum(ops.arange(blocks * rows), count - 1)
    parts = ops.reshape(ops.take(queries, index, axis=1), (batch, blocks, rows, 3))
    found = ops.map(
        lambda part: select(squared_distances(part, points)),
        ops.transpose(parts, (1, 0, 2, 3)),
    )

    def joined(x):
        shape = (batch, blocks * rows, x.shape[-1])
        return ops.reshape(ops.transpose(x, (1, 0, 2, 3)), shape)[:, :count]

    return tree.map_structure(joined, found)


def nearest(queries, points, k):
    """Finds the `k` nearest points, or all if there are fewer, nearest first.

    Equally near points come in the order of their index, but on PyTorch.

    Returns:
        Squared distances and int32 indices, each of shape `(batch, queries, k)`.
    """
    k = at_most(k, points)

    def select(distances):
        values, indices = ops.top_k(-distances, k)
        return -values, ops.cast(indices, "int32")

    return search(queries, points, select)


def lowest(values):
    """Returns the int32 index of the lowest value, the first of equal ones.

    What `ops.argmin` does, of operations that LiteRT has too.

    Args:
        values: Tensor of shape `(..., count)`, finite.

    Returns:
        Tensor of shape `(..., 1)`. Of values that are not finite it is an index too.
    """
    index = ops.arange(ops.shape(values)[-1], dtype="int32")
    is_lowest = values <= ops.min(values, axis=-1, keepdims=True)
    return ops.min(ops.where(is_lowest, index, index[-1:]), axis=-1, keepdims=True)


def at_most(k, points):
    """Returns `k`, or the number of points if there are fewer."""
    count = ops.shape(points)[1]
    return min(k, count) if isinstance(count, int) else ops.minimum(k, count)


def gather(points, indices):
    """Returns rows `(batch, ..., channels)` of `(batch, points, channels)`."""
    batch, count, channels = ops.shape(points)
    first = ops.cast(ops.arange(batch) * count, "int32")
    first = ops.reshape(first, (-1, *[1] * (len(indices.shape) - 1)))
    rows = ops.reshape(points, (-1, points.shape[-1]))
    return ops.take(rows, indices + first, axis=0)
