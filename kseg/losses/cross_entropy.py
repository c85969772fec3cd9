"""Cross-entropy between integer masks and scores, blind to ignored pixels."""

import math

import keras
from keras import ops

from kseg.losses import pixels


def sparse_cross_entropy(
    y_true, y_pred, class_weights=None, ignore_class=255, from_logits=False
):
    """Computes the cross-entropy of every pixel.

    Formula:

    ```python
    loss = -class_weights[y_true] * log(p[y_true])  # 0 where y_true == ignore_class
    ```

    `p` is `y_pred`, or its softmax with `from_logits=True`. With a single channel `y_pred` is
    the score of the foreground: `p[1]` is `y_pred` or its sigmoid, and `p[0]` is `1 - p[1]`.
    The logarithm is continued by its tangent below a probability of 1e-18 (1e-4 for float16
    predictions), so that values and gradients are finite down to 0.

    Args:
        y_true: Class ids of shape `(batch, height, width)` or `(batch, height, width, 1)`.
        y_pred: Probabilities or logits of shape `(batch, height, width, classes)`.
        class_weights: One factor per class (background and foreground for a single channel),
            or `None`.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether `y_pred` holds logits. Defaults to `False`.

    Returns:
        Float32 tensor of shape `(batch, height, width)`. Inside a compiled step, where nothing
        can raise, a pixel whose label is no class is NaN and has a gradient of 0.

    Raises:
        ValueError: If the shapes do not fit or, outside a compiled step, a label is no class
            or a probability lies outside 0 to 1.
    """
    labels, valid, bad, scores = pixels.read(y_true, y_pred, ignore_class, from_logits)
    is_float16 = str(scores.dtype).endswith("float16") and "b" not in str(scores.dtype)
    epsilon = pixels.EPSILON_FLOAT16 if is_float16 else pixels.EPSILON
    scores = ops.cast(scores, "float32")
    if scores.shape[-1] == 1:
        loss = _binary(labels, ops.squeeze(scores, axis=-1), from_logits, epsilon)
    else:
        loss = _multi_class(labels, scores, from_logits, epsilon)
    if class_weights is not None:
        loss = loss * _weights_of(labels, class_weights, scores.shape[-1])
    loss = ops.where(valid, loss, 0.0)
    return ops.where(bad, math.nan, loss)


@keras.saving.register_keras_serializable(package="kseg.losses")
class SparseCrossEntropy(keras.losses.Loss):
    """Mean cross-entropy between integer masks and scores over the valid pixels of a batch.

    A pixel is valid if its label is not `ignore_class` and its `sample_weight` is not 0.
    `keras.losses.SparseCategoricalCrossentropy` divides by all pixels, ignored ones included,
    so its value falls with every ignored pixel; and it has no class weights for masks.

    Args:
        class_weights: Sequence of one factor per class (background and foreground for a
            single channel), or `None`. Defaults to `None`.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether predictions are logits. Defaults to `False`.
        normalization: What the sum over pixels is divided by. `"valid"`: the number of valid
            pixels of the batch; weights multiply, but do not renormalise (as TensorFlow's
            DeepLab does). `"weights"`: the sum of the weights of the valid pixels (as
            `torch.nn.CrossEntropyLoss(weight)` does). `"sum"`: nothing (as FCN does).
            A batch without a valid pixel has loss 0 and gradient 0. Defaults to `"valid"`.
        name: Name of the loss. Defaults to `"sparse_cross_entropy"`.
        dtype: Dtype of the result; everything is computed in float32. Defaults to `None`,
            which means float32.

    Call arguments:
        y_true: Class ids of shape `(batch, height, width)` or `(batch, height, width, 1)`.
        y_pred: Scores of shape `(batch, height, width, classes)`; a single channel is the
            score of the foreground, for masks of 0 and 1.
        sample_weight: Factors of shape `(batch,)` or `(batch, height, width)`.

    Example:

    >>> loss = SparseCrossEntropy(class_weights=(0.2, 1.0))
    >>> model.compile("adam", loss=loss)
    """

    def __init__(
        self,
        class_weights=None,
        ignore_class=255,
        from_logits=False,
        normalization="valid",
        name="sparse_cross_entropy",
        dtype=None,
    ):
        super().__init__(name=name, dtype=dtype or "float32")
        if normalization not in ("valid", "weights", "sum"):
            raise ValueError(
                '`normalization` must be "valid", "weights" or "sum". '
                f"Received: normalization={normalization!r}"
            )
        if class_weights is not None:
            class_weights = tuple(float(weight) for weight in class_weights)
            if not all(0 <= weight < math.inf for weight in class_weights):
                raise ValueError(
                    "`class_weights` must be finite and not negative. "
                    f"Received: class_weights={class_weights}"
                )
        self.class_weights = class_weights
        self.ignore_class = ignore_class
        self.from_logits = from_logits
        self.normalization = normalization

    def call(self, y_true, y_pred):
        return sparse_cross_entropy(
            y_true, y_pred, self.class_weights, self.ignore_class, self.from_logits
        )

    def __call__(self, y_true, y_pred, sample_weight=None):
        with keras.name_scope(self.name):
            losses = self.call(y_true, y_pred)
            labels, valid, _, scores = pixels.read(
                y_true, y_pred, self.ignore_class, self.from_logits
            )
            weights = ops.cast(valid, "float32")
            weights = weights
            factors = pixels.pixel_weights(sample_weight, like=valid)
            if factors is not None:
                weights = weights * factors
            total = ops.sum(losses * weights)
            if self.normalization == "sum":
                return ops.cast(pixels.reduce(total[None], None, "sum"), self.dtype)
            if self.normalization == "valid":
                divisor = ops.sum(ops.cast(ops.not_equal(weights, 0), "float32"))
            else:
                if self.class_weights is not None:
                    weights = weights * _weights_of(
                        labels, self.class_weights, scores.shape[-1]
                    )
                divisor = ops.sum(weights)
            loss = ops.divide_no_nan(total, divisor)
            return ops.cast(pixels.reduce(loss[None]), self.dtype)

    def get_config(self):
        return {
            "class_weights": self.class_weights,
            "ignore_class": self.ignore_class,
            "from_logits": self.from_logits,
            "normalization": self.normalization,
            "name": self.name,
            "dtype": self.dtype,
        }


def _multi_class(labels, scores, from_logits, epsilon):
    if from_logits:
        return ops.sparse_categorical_crossentropy(labels, scores, from_logits=True)
    one_hot = ops.one_hot(labels, scores.shape[-1], dtype="float32")
    return -_log(ops.sum(one_hot * scores, axis=-1), epsilon)


def _binary(labels, score, from_logits, epsilon):
    is_foreground = ops.equal(labels, 1)
    if from_logits:
        return ops.softplus(ops.where(is_foreground, -score, score))
    return -_log(ops.where(is_foreground, score, 1.0 - score), epsilon)


def _log(probability, epsilon):
    inside = ops.log(ops.maximum(probability, epsilon))
    return inside + (ops.minimum(probability, epsilon) - epsilon) / epsilon


def _weights_of(labels, class_weights, num_channels):
    expected = max(num_channels, 2)
    if len(class_weights) != expected:
        raise ValueError(
            f"`class_weights` must have {expected} entries for `y_pred` with "
            f"{num_channels} channel(s). Received: class_weights={class_weights}"
        )
    return ops.take(ops.convert_to_tensor(class_weights, "float32"), labels, axis=0)
