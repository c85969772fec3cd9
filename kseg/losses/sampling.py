"""Which pixels a pixel loss looks at: every s-th label, or the hardest ones."""

from keras import ops


def every_label(y_true, y_pred):
    """Takes every `s`-th label where the scores are smaller than the truth by `s`.

    Args:
        y_true: Class ids of shape `(batch, height, width)` or with a last axis of 1.
        y_pred: Scores of shape `(batch, h, w, classes)`.

    Returns:
        Class ids of shape `(batch, h, w)` or `(batch, h, w, 1)`; `y_true` itself where
        it is not larger in both axes, or a size is unknown.

    Raises:
        ValueError: If no stride leads from the one size to the other.
    """
    y_true = ops.convert_to_tensor(y_true)
    stride = _stride(y_true.shape, ops.convert_to_tensor(y_pred).shape)
    return y_true if stride == 1 else y_true[:, ::stride, ::stride]


def every_weight(sample_weight, y_true, y_pred):
    """Takes those of the pixel weights whose labels `every_label` takes."""
    if sample_weight is None:
        return None
    y_true = ops.convert_to_tensor(y_true)
    stride = _stride(y_true.shape, ops.convert_to_tensor(y_pred).shape)
    sample_weight = ops.convert_to_tensor(sample_weight)
    if stride == 1 or tuple(sample_weight.shape[1:3]) != tuple(y_true.shape[1:3]):
        return sample_weight
    return sample_weight[:, ::stride, ::stride]


def hardest(losses, valid, count):
    """Marks the `count` valid pixels of the largest loss.

    Args:
        losses: Tensor of any shape.
        valid: Tensor of the same shape, 1 or 0.
        count: How many pixels to mark, a float tensor.

    Returns:
        Float32 tensor whose sum is `count`: 1 for the hardest, 0 for the rest. Pixels
        that tie at the end share what is left.
    """
    losses = ops.stop_gradient(ops.where(valid > 0, losses, -1.0))
    ascending = ops.sort(ops.reshape(losses, (-1,)))
    size = ops.shape(ascending)[0]
    last = ops.maximum(size - ops.cast(count, "int32"), 0)
    limit = ops.take(ascending, ops.minimum(last, size - 1))
    above = ops.cast(losses > limit, "float32")
    equal = ops.cast(ops.equal(losses, limit), "float32") * valid
    left = count - ops.sum(above)
    return above + equal * ops.divide_no_nan(left, ops.sum(equal))


def _stride(shape, score_shape):
    """The step from one label to the next, 1 where the sizes do not say otherwise."""
    size, small = tuple(shape[1:3]), tuple(score_shape[1:-1])
    if len(size) < 2 or len(small) != 2 or None in (*size, *small):
        return 1
    if not (size[0] > small[0] and size[1] > small[1]):
        return 1
    # Networks reduce by powers of two, so these come first; small maps fit several.
    for stride in sorted(range(2, max(size) + 1), key=lambda s: (s & (s - 1) > 0, s)):
        if small == tuple((n - 1) // stride + 1 for n in size):
            return stride
    raise ValueError(
        "`y_pred` must have the size of `y_true`, or be smaller by a stride s in both "
        f"axes: ceil(height / s) and ceil(width / s). Received: y_true.shape="
        f"{tuple(shape)}, y_pred.shape={tuple(score_shape)}"
    )
