"""How much the masks of a video flicker."""

import keras
from keras import ops

from kseg.metrics import confusion, pixels, ratios
from kseg.metrics.confusion import ConfusionMatrix


@keras.saving.register_keras_serializable(package="kseg.metrics")
class FlickerRate(ConfusionMatrix):
    """Share of pixels whose predicted class changes between frames, but not the truth.

    Formula, over all pairs of a pixel and the same pixel one frame later:

    ```python
    share of the pairs with predicted[before] != predicted[after]
    among those with truth[before] == truth[after], both valid
    ```

    With `flow`, the pixel before is where the pixel came from, and pairs with one
    outside of the image do not count. Frames are compared within a clip only. NaN if
    there is no such pair.

    This is our definition. It says nothing on whether the class is right: a video
    that is wrong all the time does not flicker. The video consistency of VSPW (Miao et
    al., CVPR 2021) is the share of pixels that are right throughout several frames,
    among those whose truth does not change.

    Args:
        num_classes: As in `ConfusionMatrix`.
        ignore_class: As in `ConfusionMatrix`. Defaults to `255`.
        from_logits: As in `ConfusionMatrix`. Defaults to `False`.
        name: Name of the metric. Defaults to `"flicker_rate"`.

    Call arguments:
        y_true: Class ids of shape `(batch, frames, height, width)`, two frames or more;
            zeros for a video
            without truth, where only `flow` says what moves.
        y_pred: Scores of shape `(batch, frames, height, width, num_classes)`, or class
            ids of an integer dtype, shape `(batch, frames, height, width)`.
        sample_weight: As in `ConfusionMatrix`.
        flow: Optical flow from each frame but the first to the frame before, of shape
            `(batch, frames - 1, height, width, 2)`: columns, then rows, in pixels;
            or `None` for a camera at rest. Rounded to the nearest pixel.
    """

    def __init__(
        self,
        num_classes: int,
        ignore_class=255,
        from_logits: bool = False,
        name: str = "flicker_rate",
    ):
        super().__init__(num_classes, ignore_class, from_logits, name)
        self._direction = "down"  # for callbacks with mode="auto"
        self._pairs = self._add_counts(2, "pairs")

    def update_state(self, y_true, y_pred, sample_weight=None, flow=None):
        shape = tuple(ops.convert_to_tensor(y_true).shape)
        if len(shape) < 3 or shape[1] == 1:
            raise ValueError(
                "`y_true` must hold clips of two frames or more: shape (batch, frames, "
                f"height, width). Received: y_true.shape={shape}"
            )
        if flow is not None:
            flow = _checked(flow, shape)
        truth, predicted, is_valid = self._count(y_true, y_pred, sample_weight)
        before, after = (
            [maps[:, frames] for maps in (truth, predicted, is_valid)]
            for frames in (slice(None, -1), slice(1, None))
        )
        is_pair = after[2]
        if flow is not None:
            before, is_inside = _follow(before, flow)
            is_pair = ops.logical_and(is_pair, is_inside)
        is_pair = ops.logical_and(is_pair, before[2])
        is_pair = ops.logical_and(is_pair, ops.equal(before[0], after[0]))
        flickers = ops.logical_and(is_pair, ops.not_equal(before[1], after[1]))
        sums = [ops.sum(ops.cast(one, "int32")) for one in (flickers, is_pair)]
        self._add(self._pairs, ops.stack(sums))

    def result(self):
        """Returns a float32 scalar."""
        flickers, pairs = confusion.as_float(self._pairs)
        return self._unless_bad(ratios.ratio(flickers, pairs))


def _checked(flow, shape):
    """Returns `flow` as a tensor, if it fits a truth of `shape`."""
    flow = ops.convert_to_tensor(flow)
    frames = shape[1] and shape[1] - 1
    expected = (shape[0], frames, *shape[2:4], 2)
    if not pixels.fits(flow.shape, expected):
        raise ValueError(
            "`flow` must hold columns and rows for each frame but the first: shape "
            f"(batch, frames - 1, height, width, 2), here {expected}. "
            f"Received: flow.shape={tuple(flow.shape)}"
        )
    return flow


def _follow(maps, flow):
    """Moves maps of the frames before along the flow, to the pixels of the frames after.

    Args:
        maps: Sequence of tensors of shape `(batch, frames, height, width)`.
        flow: Tensor of shape `(batch, frames, height, width, 2)`.

    Returns:
        Tuple of the list of moved maps, and where the flow came from inside the image.
    """
    shape = ops.shape(maps[0])
    height, width = shape[-2:]
    shift = ops.cast(ops.round(flow), "int32")
    column = ops.arange(width) + shift[..., 0]
    row = ops.arange(height)[:, None] + shift[..., 1]
    is_inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    flat = (*shape[:2], height * width)
    source = ops.reshape(ops.where(is_inside, row * width + column, 0), flat)
    moved = [
        ops.reshape(ops.take_along_axis(ops.reshape(one, flat), source, axis=-1), shape)
        for one in maps
    ]
    return moved, is_inside
