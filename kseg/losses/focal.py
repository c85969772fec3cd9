"""Focal loss: cross-entropy that looks away from pixels which are right already."""

import keras
from keras import ops

from kseg.losses import pixels, sampling
from kseg.losses.cross_entropy import SparseCrossEntropy, factors, negative_log

# Smallest error whose power is taken: with an exponent below 1, its slope at 0 would be
# infinite.
SMALLEST_ERROR = 1e-12


def focal(
    y_true,
    y_pred,
    gamma=2.0,
    class_weights=None,
    ignore_class=255,
    from_logits=False,
):
    """Computes the focal loss of every pixel.

    Formula:

    ```python
    loss = -class_weights[y_true] * (1 - p[y_true]) ** gamma * log(p[y_true])
    ```

    `p` is `y_pred`, or its softmax with `from_logits=True`. A single channel is the
    score of the foreground: `p[1]` is `y_pred` or its sigmoid, `p[0]` is `1 - p[1]`.
    The paper's `alpha` is `class_weights=(1 - alpha, alpha)`. With `gamma=0` it is
    `kseg.losses.sparse_cross_entropy`.

    Reference:
    - [Focal loss](https://arxiv.org/abs/1708.02002) (ICCV 2017), equation 5

    Args:
        y_true: Class ids of shape `(batch, height, width)` or
            `(batch, height, width, 1)`.
        y_pred: Probabilities or logits of shape `(batch, height, width, classes)`, or
            smaller by a stride, as for `kseg.losses.sparse_cross_entropy`.
        gamma: Exponent, not negative. Defaults to `2.0`.
        class_weights: One factor per class (background and foreground for a single
            channel), or `None` for 1 each. Defaults to `None`.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether `y_pred` holds logits. Defaults to `False`.

    Returns:
        Float32 tensor of the shape of `y_pred` without its classes. Inside a compiled
        step, where nothing can raise, a pixel whose label is no class is NaN, with
        gradient 0.

    Raises:
        ValueError: If the shapes do not fit or, outside a compiled step, a label is no
            class or a probability lies outside 0 to 1.
    """
    y_true = sampling.every_label(y_true, y_pred)
    batch = pixels.read(y_true, y_pred, ignore_class, from_logits)
    losses = _modulate(negative_log(batch, from_logits), gamma)
    return pixels.mark(losses * factors(batch, class_weights), batch)


@keras.saving.register_keras_serializable(package="kseg.losses")
class Focal(SparseCrossEntropy):
    """Mean focal loss over the valid pixels of a batch.

    `keras.losses.CategoricalFocalCrossentropy` and `BinaryFocalCrossentropy` want
    one-hot masks, know no ignored pixels and divide by all; the latter takes the mean
    over the last axis, so that with a channel axis it takes weights of images only.

    A net for one class that is rare begins best with a last bias of
    `-log((1 - share) / share)`, with the share of its pixels (section 3.3 of the
    paper).

    Args:
        gamma: Exponent of the error `1 - p`, not negative; `0` is cross-entropy.
            Defaults to `2.0`.
        class_weights: Sequence of one factor per class (background and foreground for
            a single channel), or `None` for 1 each. The paper's `alpha=0.25` is
            `(0.75, 0.25)`. Defaults to `None`.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether predictions are logits. Defaults to `False`.
        normalization: What the sum is divided by, as in
            `kseg.losses.SparseCrossEntropy`. Defaults to `"valid"`.
        hard_fraction: Share of the valid pixels that count, as in
            `kseg.losses.SparseCrossEntropy`. Defaults to `1.0`, all.
        name: Name of the loss. Defaults to `"focal"`.
        dtype: Dtype of the result; the computation is float32. Defaults to `None`,
            which means float32.

    Call arguments:
        y_true: Class ids, as for `kseg.losses.SparseCrossEntropy`.
        y_pred: Scores, as for `kseg.losses.SparseCrossEntropy`.
        sample_weight: Weights of images or pixels, as for
            `kseg.losses.SparseCrossEntropy`.

    Example:

    >>> loss = kseg.losses.Focal(gamma=2.0, class_weights=(0.75, 0.25))
    >>> model.compile("adam", loss=loss)
    """

    def __init__(
        self,
        gamma: float = 2.0,
        class_weights=None,
        ignore_class: int | None = 255,
        from_logits: bool = False,
        normalization: str = "valid",
        hard_fraction: float = 1.0,
        name: str = "focal",
        dtype=None,
    ):
        super().__init__(
            class_weights,
            ignore_class,
            from_logits,
            normalization,
            hard_fraction,
            name,
            dtype,
        )
        if not 0 <= gamma < float("inf"):
            raise ValueError(
                f"`gamma` must be finite and not negative. Received: gamma={gamma}"
            )
        self.gamma = gamma

    def call(self, y_true, y_pred):
        return focal(
            y_true,
            y_pred,
            self.gamma,
            self.class_weights,
            self.ignore_class,
            self.from_logits,
        )

    def losses(self, batch):
        return _modulate(super().losses(batch), self.gamma)

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma}


def _modulate(cross_entropy, gamma):
    """Multiplies by the power of `1 - p`, which is exact as `1 - exp(log(p))`."""
    error = ops.maximum(-ops.expm1(-cross_entropy), SMALLEST_ERROR)
    return error**gamma * cross_entropy
