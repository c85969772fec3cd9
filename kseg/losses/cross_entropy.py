"""Cross-entropy between integer masks and scores, blind to ignored pixels."""

import math

import keras
from keras import ops

from kseg.losses import pixels

# Below this probability the logarithm goes on as its tangent, so that a true class of
# probability 0 has a finite loss and a gradient that does not vanish. 1 / 1e-18**2 fits
# into float32, so Adam's second moment stays finite too. Float16 ends at 65504.
EPSILON = 1e-18
EPSILON_FLOAT16 = 1e-4


def sparse_cross_entropy(
    y_true, y_pred, class_weights=None, ignore_class=255, from_logits=False
):
    """Computes the cross-entropy of every pixel.

    Formula:

    ```python
    loss = -class_weights[y_true] * log(p[y_true])  # 0 where y_true == ignore_class
    ```

    `p` is `y_pred`, or its softmax with `from_logits=True`. A single channel is the
    score of the foreground: `p[1]` is `y_pred` or its sigmoid, `p[0]` is `1 - p[1]`.
    Below a probability of 1e-18 (1e-4 in float16) the logarithm goes on as its tangent:
    loss and gradient are finite down to 0.

    Args:
        y_true: Class ids of shape `(batch, height, width)` or
            `(batch, height, width, 1)`.
        y_pred: Probabilities or logits of shape `(batch, height, width, classes)`.
        class_weights: One factor per class (background and foreground for a single
            channel), or `None` for 1 each. Defaults to `None`.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether `y_pred` holds logits. Defaults to `False`.

    Returns:
        Float32 tensor of shape `(batch, height, width)`. Inside a compiled step, where
        nothing can raise, a pixel whose label is no class is NaN, with gradient 0.

    Raises:
        ValueError: If the shapes do not fit or, outside a compiled step, a label is no
            class or a probability lies outside 0 to 1.
    """
    batch = pixels.read(y_true, y_pred, ignore_class, from_logits)
    return _cross_entropy(batch, class_weights, from_logits)


@keras.saving.register_keras_serializable(package="kseg.losses")
class SparseCrossEntropy(keras.losses.Loss):
    """Mean cross-entropy over the valid pixels of a batch.

    A pixel is valid if its label is not `ignore_class` and its `sample_weight` not 0.
    `keras.losses.SparseCategoricalCrossentropy` divides by all pixels, ignored ones
    included, has no class weights for masks, and its gradient is 0 where the
    probability of the true class is below 1e-7.

    Args:
        class_weights: Sequence of one factor per class (background and foreground for
            a single channel), or `None` for 1 each. Defaults to `None`.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether predictions are logits. Defaults to `False`.
        normalization: What the sum of the weighted losses is divided by.
            `"valid"`: the number of valid pixels in the batch; weights multiply, but do
            not renormalise (TensorFlow's DeepLab). `"weights"`: the sum of the weights
            of the valid pixels (`torch.nn.CrossEntropyLoss(weight)`). `"sum"`: nothing
            (FCN). Without a valid pixel the loss is 0 and so is its gradient.
            Defaults to `"valid"`.
        name: Name of the loss. Defaults to `"sparse_cross_entropy"`.
        dtype: Dtype of the result; the computation is float32. Defaults to `None`,
            which means float32.

    Call arguments:
        y_true: Class ids of shape `(batch, height, width)` or
            `(batch, height, width, 1)`.
        y_pred: Scores of shape `(batch, height, width, classes)`; a single channel is
            the score of the foreground, for masks of 0 and 1.
        sample_weight: Factors of shape `(batch,)` or `(batch, height, width)`.

    Example:

    >>> loss = kseg.losses.SparseCrossEntropy(class_weights=(0.2, 1.0))
    >>> model.compile("adam", loss=loss)
    """

    def __init__(
        self,
        class_weights=None,
        ignore_class: int | None = 255,
        from_logits: bool = False,
        normalization: str = "valid",
        name: str = "sparse_cross_entropy",
        dtype=None,
    ):
        super().__init__(name=name, dtype=dtype or "float32")
        if normalization not in ("valid", "weights", "sum"):
            raise ValueError(
                "`normalization` must be 'valid', 'weights' or 'sum'. "
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
            batch = pixels.read(y_true, y_pred, self.ignore_class, self.from_logits)
            losses = _cross_entropy(batch, self.class_weights, self.from_logits)
            weights = pixels.weights(batch.valid, sample_weight)
            total = ops.sum(losses * weights)
            if self.normalization == "sum":
                return ops.cast(total, self.dtype)
            if self.normalization == "valid":
                divisor = ops.sum(ops.cast(ops.not_equal(weights, 0), "float32"))
            else:
                divisor = ops.sum(weights * _factors(batch, self.class_weights))
            mean = ops.divide_no_nan(total, divisor)
            return ops.cast(pixels.reduce(mean[None]), self.dtype)

    def get_config(self):
        return {
            "class_weights": self.class_weights,
            "ignore_class": self.ignore_class,
            "from_logits": self.from_logits,
            "normalization": self.normalization,
            "name": self.name,
            "dtype": self.dtype,
        }


def _cross_entropy(batch, class_weights, from_logits):
    labels, scores = batch.labels, batch.scores
    epsilon = EPSILON_FLOAT16 if batch.score_dtype == "float16" else EPSILON
    if scores.shape[-1] == 1:
        score, is_foreground = ops.squeeze(scores, axis=-1), ops.equal(labels, 1)
        if from_logits:
            loss = ops.softplus(ops.where(is_foreground, -score, score))
        else:
            loss = -_log(ops.where(is_foreground, score, 1.0 - score), epsilon)
    else:
        # On a CPU the sum over a one-hot mask is three times as fast as gathering.
        one_hot = ops.one_hot(labels, scores.shape[-1], dtype="float32")
        if from_logits:
            # A logit of -inf rules a class out; 0 * -inf would be NaN.
            logarithms = ops.maximum(ops.log_softmax(scores, axis=-1), -1e30)
            loss = -ops.sum(one_hot * logarithms, axis=-1)
        else:
            loss = -_log(ops.sum(one_hot * scores, axis=-1), epsilon)
    loss = ops.where(batch.valid, loss * _factors(batch, class_weights), 0.0)
    return ops.where(batch.bad, math.nan, loss)


def _log(probability, epsilon):
    """Natural logarithm, below `epsilon` continued as its tangent."""
    logarithm = ops.log(ops.maximum(probability, epsilon))
    return logarithm + (ops.minimum(probability, epsilon) - epsilon) / epsilon


def _factors(batch, class_weights):
    """Returns the class weight of every pixel."""
    if class_weights is None:
        return 1.0
    num_classes = max(batch.scores.shape[-1], 2)
    if len(class_weights) != num_classes:
        raise ValueError(
            f"`class_weights` must hold {num_classes} factors for predictions of shape "
            f"{tuple(batch.scores.shape)}. Received: class_weights={class_weights}"
        )
    return ops.take(ops.convert_to_tensor(class_weights, "float32"), batch.labels)
