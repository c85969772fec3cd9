"""Squared Euclidean distances inside a compiled step, by min-plus passes."""

from keras import ops

# Squared distance where there is no site at all; float32 holds sums with it.
FAR = 1e12


def to_boundary(masks, valid, resolution):
    """Squared distance of every pixel to the boundary of its region.

    That of the nearest valid pixel on the other side: outside a mask the nearest pixel
    inside, inside it the nearest pixel outside. Nothing of it has a gradient.

    Args:
        masks: Boolean tensor of shape `(batch, height, width, masks)`.
        valid: Boolean tensor of shape `(batch, height, width)`.
        resolution: Largest height and width at which distances are computed. A larger
            image is reduced to every `s`-th pixel and its distances are resized.

    Returns:
        Float32 tensor of shape `(batch, height, width, masks)`, 0 where a mask has no
        other side.
    """
    size = image_size(masks)
    stride = -(-max(size) // resolution)
    rows, columns = (slice(min(stride, n) // 2, None, stride) for n in size)
    masks, valid = masks[:, rows, columns], valid[:, rows, columns]
    # What is predicted in an invalid pixel must not reach its neighbours by resizing.
    masks = ops.logical_and(masks, valid[..., None])
    outside = ops.logical_not(masks)
    sites = ops.concatenate([masks, outside], axis=-1)
    squares = squared(ops.logical_and(sites, valid[..., None]))
    to_inside, to_outside = ops.split(squares, 2, axis=-1)
    result = ops.where(masks, to_outside, to_inside)
    result = ops.where(result < FAR, result, 0.0) * float(stride**2)
    if stride > 1:
        # Distances, not their squares, change evenly from pixel to pixel.
        result = ops.image.resize(
            ops.sqrt(result), size, "bilinear", data_format="channels_last"
        )
        result = result**2
    return ops.stop_gradient(result)


def image_size(maps):
    """Returns the height and width of maps `(batch, height, width, channels)`.

    Raises:
        ValueError: If they are no images, or their size is unknown.
    """
    size = tuple(maps.shape[1:-1])
    if len(size) != 2 or None in size:
        raise ValueError(
            "`y_pred` must be scores of images of known size, of shape (batch, height, "
            f"width, classes), for distances. Received: {len(size)} axes between batch "
            f"and classes, of size {size}"
        )
    return size


def squared(sites):
    """Squared distance of every pixel to the nearest site, `FAR` or more without one.

    Reference:
    - [Distance transforms of sampled functions](https://doi.org/10.4086/toc.2012.v008a019)
      (2012): one pass along each axis

    Args:
        sites: Boolean tensor of shape `(batch, height, width, channels)`.

    Returns:
        Float32 tensor of the same shape.
    """
    result = ops.where(sites, 0.0, FAR)
    for _ in range(2):
        result = ops.transpose(_min_plus(result), (0, 2, 1, 3))
    return result


def _min_plus(values):
    """Minimum over `k` of `values[:, k] + (position - k) ** 2`, for every position."""
    nearest = ops.full_like(values, 2 * FAR)
    return ops.fori_loop(0, values.shape[1], _visit, (nearest, values))[0]


# Loops call functions of the file, which JAX compiles once, not at each eager call.
def _visit(k, state):
    nearest, values = state
    row = ops.take(values, ops.reshape(k, (1,)), axis=1)
    step = ops.arange(values.shape[1], dtype="float32") - ops.cast(k, "float32")
    return ops.minimum(nearest, row + (step * step)[:, None, None]), values
