"""Metrics of the borders between classes, which few pixels belong to."""

import keras
from keras import ops

from kseg.metrics import confusion, ratios
from kseg.metrics.per_class import PerClass
from kseg.metrics.single import _Single

# What `BoundaryF1` counts of each class: pixels of true and predicted boundaries, and
# those of them that are near the other.
TRUE, TRUE_NEAR, PREDICTED, PREDICTED_NEAR = range(4)


@keras.saving.register_keras_serializable(package="kseg.metrics")
class BoundaryF1(PerClass):
    """Mean over the classes of the F1 score of their boundary, of all images together.

    A pixel is on the boundary of its class if one of its four neighbours is a valid
    pixel of another class; the frame of the image is no boundary, nor is the edge of
    what is ignored. (So nothing is left of truth whose borders are all ignored, as in
    PASCAL VOC: use `TrimapIoU`.)

    Formula, of each class:

    ```python
    precision = share of the predicted boundary within tolerance of the true one
    recall = share of the true boundary within tolerance of the predicted one
    f1 = 2 * precision * recall / (precision + recall)
    ```

    Within `tolerance` means at most so many rows and so many columns away. F1 is 0 if
    only one of the two boundaries has pixels, and `absent` if neither has. The paper
    takes the F1 of each image, and then the mean over the images.

    Reference:
    - [What is a good evaluation measure for semantic segmentation?](
      https://doi.org/10.5244/C.27.32) (BMVC 2013), section
      3; its tolerance is 0.75 % of the image's diagonal

    Args:
        num_classes: Number of classes; `1` means a foreground score, and the boundary
            of the foreground.
        tolerance: Distance in pixels. Defaults to `2`.
        ignore_class: As in `ConfusionMatrix`. Defaults to `255`.
        from_logits: As in `ConfusionMatrix`. Defaults to `False`.
        include_background: Whether class 0 takes part in the mean; a single channel
            holds the foreground alone either way. Defaults to `True`.
        absent: F1 of a class without boundary: `"nan"` (left out of the mean), `"zero"`
            or `"one"`. Defaults to `"nan"`.
        name: Name of the metric. Defaults to `"boundary_f1"`.

    Call arguments: those of `ConfusionMatrix`; height and width are the last axes.
    """

    def __init__(
        self,
        num_classes: int,
        tolerance: int = 2,
        ignore_class=255,
        from_logits: bool = False,
        include_background: bool = True,
        absent: str = "nan",
        name: str = "boundary_f1",
    ):
        super().__init__(
            num_classes, ignore_class, from_logits, include_background, absent, name
        )
        if not isinstance(tolerance, int) or tolerance < 0:
            raise ValueError(
                "`tolerance` must be a number of pixels, 0 or more. "
                f"Received: tolerance={tolerance!r}"
            )
        self.tolerance = tolerance
        self._direction = "up"  # for callbacks with mode="auto"
        self._boundaries = self._add_counts((4, num_classes), "boundaries")

    def update_state(self, y_true, y_pred, sample_weight=None):
        truth, predicted, is_valid = self._count(y_true, y_pred, sample_weight)
        is_valid = ops.cast(_images(is_valid)[..., None], "float32")
        edges = [
            _boundary(self._one_hot(_images(ids)) * is_valid, is_valid)
            for ids in (truth, predicted)
        ]
        near = [_dilate_square(edge, 2 * self.tolerance + 1) for edge in edges]
        counted = [edges[0], edges[0] * near[1], edges[1], edges[1] * near[0]]
        sums = [ops.sum(ops.cast(one, "int32"), axis=(0, 1, 2)) for one in counted]
        self._add(self._boundaries, ops.stack(sums))

    def get_config(self):
        return {**super().get_config(), "tolerance": self.tolerance}

    def _values(self):
        counts = confusion.as_float(self._boundaries)
        precision = ratios.ratio(counts[PREDICTED_NEAR], counts[PREDICTED], "zero")
        recall = ratios.ratio(counts[TRUE_NEAR], counts[TRUE], "zero")
        total = precision + recall
        f1 = 2 * precision * recall / ops.where(total > 0, total, 1.0)
        is_absent = counts[PREDICTED] + counts[TRUE] == 0
        return ops.where(is_absent, ratios.ABSENT[self.absent], f1)


@keras.saving.register_keras_serializable(package="kseg.metrics")
class TrimapIoU(_Single):
    """Mean IoU over the classes, of the valid pixels in a band around true borders.

    The band is where the label of a pixel differs from that of one of its four
    neighbours, dilated by a square of `width` pixels. Borders with ignored pixels count
    (in PASCAL VOC, all borders between objects are ignored).

    Reference:
    - [Robust Higher Order Potentials](https://doi.org/10.1007/s11263-008-0202-0) (IJCV
      2009), where trimaps come from

    Args:
        num_classes: As in `SegmentationMetrics`.
        width: Width of the square in pixels, odd. Defaults to `5`.
        ignore_class: As in `SegmentationMetrics`. Defaults to `255`.
        from_logits: As in `SegmentationMetrics`. Defaults to `False`.
        absent: IoU of a class that is neither true nor predicted in the band: `"nan"`
            (left out of the mean), `"zero"` or `"one"`. Defaults to `"nan"`.
        name: Name of the metric. Defaults to `"trimap_iou"`.

    Call arguments: those of `ConfusionMatrix`; height and width are the last axes.
    """

    _metric = "mean_iou"

    def __init__(
        self,
        num_classes: int,
        width: int = 5,
        ignore_class=255,
        from_logits: bool = False,
        absent: str = "nan",
        name: str = "trimap_iou",
    ):
        super().__init__(num_classes, ignore_class, from_logits, absent, name)
        if not isinstance(width, int) or width < 1 or width % 2 == 0:
            hint = ""
            if isinstance(width, int) and width > 1:
                hint = f", such as {width + 1}"
            raise ValueError(
                f"`width` must be an odd number of pixels{hint}. "
                f"Received: width={width!r}"
            )
        self.width = width

    def get_config(self):
        return {**super().get_config(), "width": self.width}

    def _part(self, truth):
        labels = ops.cast(truth, "int32")
        for ignored_id in self._ignored[1:]:
            labels = ops.where(labels == ignored_id, self._ignored[0], labels)
        images = ops.cast(_images(labels), "float32")[..., None]
        is_border = _dilate_cross(images) > -_dilate_cross(-images)
        band = _dilate_square(ops.cast(is_border, "float32"), self.width)
        return ops.reshape(band, ops.shape(labels)) > 0


def _images(maps):
    """Puts all axes before height and width into the batch axis."""
    if len(maps.shape) < 3:
        raise ValueError(
            "`y_true` must have a height and a width: shape (batch, height, width). "
            f"Received: y_true.shape={tuple(maps.shape)}"
        )
    return ops.reshape(maps, (-1, *ops.shape(maps)[-2:]))


def _boundary(is_class, is_valid):
    """Pixels of each class that have a valid neighbour of another class."""
    return is_class * _dilate_cross(is_valid - is_class)


def _dilate_cross(maps):
    return ops.maximum(_pool(maps, (3, 1)), _pool(maps, (1, 3)))


def _dilate_square(maps, width):
    return _pool(_pool(maps, (width, 1)), (1, width))


def _pool(maps, size):
    # The padding of "same" is never the maximum.
    return ops.max_pool(maps, size, 1, padding="same", data_format="channels_last")
