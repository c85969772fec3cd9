"""Cross-entropy between integer masks and scores, blind to ignored pixels."""

import math

import keras
from keras import ops

from kseg.losses import pixels, sampling

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
        y_pred: Probabilities or logits of shape `(batch, height, width, classes)`, or
            smaller than the truth by a stride `s`, as from a builder with
            `upsample=False`: then every `s`-th label of both axes is taken, from the
            first on, and sizes must agree as `h = ceil(height / s)`.
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
    losses = negative_log(batch, from_logits) * factors(batch, class_weights)
    return pixels.mark(losses, batch)


@keras.saving.register_keras_serializable(package="kseg.losses")
class SparseCrossEntropy(keras.losses.Loss):
    """Mean cross-entropy over the valid pixels of a batch.

    A pixel is valid if its label is not `ignore_class` and its `sample_weight` not 0.
    `keras.losses.SparseCategoricalCrossentropy` divides by all pixels, ignored ones
    included, has no class weights for masks, and its gradient is 0 where the
    probability of the true class is below 1e-7.

    Class weights belong here. `model.fit(class_weight=...)` is for one label per image;
    for masks it raises, before any loss is called, "TypeError: only 0-dimensional arrays
    can be converted to Python scalars". `kseg.losses.class_weights` counts the weights
    in a data set.

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
        hard_fraction: Share of the valid pixels of the batch that count, those of the
            largest weighted loss, above 0 and at most 1: the hard pixel mining of
            TensorFlow's DeepLab (`top_k_percent_pixels`). Pixels that tie at its end
            share what is left. Defaults to `1.0`, all.
        name: Name of the loss. Defaults to `"sparse_cross_entropy"`.
        dtype: Dtype of the result; the computation is float32. Defaults to `None`,
            which means float32.

    Call arguments:
        y_true: Class ids of shape `(batch, height, width)` or
            `(batch, height, width, 1)`.
        y_pred: Scores of shape `(batch, height, width, classes)`, or smaller than the
            truth by a stride, of which every so-manieth label is then taken; a single
            channel is the score of the foreground, for masks of 0 and 1.
        sample_weight: Factors of shape `(batch,)` or `(batch, height, width)`, of the
            size of the truth.

    Example:

    >>> weights = kseg.losses.class_weights(dataset, method="median_frequency")
    >>> loss = kseg.losses.SparseCrossEntropy(class_weights=weights)
    >>> model.compile("adam", loss=loss)
    """

    def __init__(
        self,
        class_weights=None,
        ignore_class: int | None = 255,
        from_logits: bool = False,
        normalization: str = "valid",
        hard_fraction: float = 1.0,
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
        if not 0 < hard_fraction <= 1:
            raise ValueError(
                "`hard_fraction` must be above 0 and at most 1. "
                f"Received: hard_fraction={hard_fraction}"
            )
        self.class_weights = class_weights
        self.ignore_class = ignore_class
        self.from_logits = from_logits
        self.normalization = normalization
        self.hard_fraction = hard_fraction

    def call(self, y_true, y_pred):
        return sparse_cross_entropy(
            y_true, y_pred, self.class_weights, self.ignore_class, self.from_logits
        )

    def __call__(self, y_true, y_pred, sample_weight=None):
        with keras.name_scope(self.name):
            sample_weight = sampling.every_weight(sample_weight, y_true, y_pred)
            y_true = sampling.every_label(y_true, y_pred)
            batch = pixels.read(y_true, y_pred, self.ignore_class, self.from_logits)
            valid, weights = self.weigh(batch, sample_weight)
            losses = pixels.mark(self.losses(batch) * weights, batch)
            if self.hard_fraction < 1:
                count = ops.ceil(self.hard_fraction * ops.sum(valid))
                valid = sampling.hardest(losses, valid, count)
            total = ops.sum(losses * valid)
            if self.normalization == "sum":
                return ops.cast(total, self.dtype)
            divisor = valid if self.normalization == "valid" else valid * weights
            mean = ops.divide_no_nan(total, ops.sum(divisor))
            return ops.cast(pixels.reduce(mean[None]), self.dtype)

    def losses(self, batch):
        """The loss of every pixel before any weight."""
        return negative_log(batch, self.from_logits)

    def weigh(self, batch, sample_weight):
        """Which pixels count, 1 or 0, and the factor of each."""
        weights = pixels.weights(batch.valid, sample_weight)
        valid = ops.cast(ops.not_equal(weights, 0), "float32")
        return valid, weights * factors(batch, self.class_weights)

    def get_config(self):
        return {
            "class_weights": self.class_weights,
            "ignore_class": self.ignore_class,
            "from_logits": self.from_logits,
            "normalization": self.normalization,
            "hard_fraction": self.hard_fraction,
            "name": self.name,
            "dtype": self.dtype,
        }


def negative_log(batch, from_logits):
    """Minus the logarithm of the true class's probability, of every pixel."""
    labels, scores = batch.labels, batch.scores
    epsilon = EPSILON_FLOAT16 if batch.score_dtype == "float16" else EPSILON
    if scores.shape[-1] == 1:
        score, is_foreground = ops.squeeze(scores, axis=-1), ops.equal(labels, 1)
        if from_logits:
            return ops.softplus(ops.where(is_foreground, -score, score))
        return -_log(ops.where(is_foreground, score, 1.0 - score), epsilon)
    # On a CPU the sum over a one-hot mask is three times as fast as gathering.
    one_hot = ops.one_hot(labels, scores.shape[-1], dtype="float32")
    if from_logits:
        # A logit of -inf rules a class out; 0 * -inf would be NaN.
        logarithms = ops.maximum(ops.log_softmax(scores, axis=-1), -1e30)
        return -ops.sum(one_hot * logarithms, axis=-1)
    return -_log(ops.sum(one_hot * scores, axis=-1), epsilon)


def factors(batch, class_weights):
    """The class weight of every pixel."""
    if class_weights is None:
        return 1.0
    num_classes = max(batch.scores.shape[-1], 2)
    if len(class_weights) != num_classes:
        raise ValueError(
            f"`class_weights` must hold {num_classes} factors for predictions of shape "
            f"{tuple(batch.scores.shape)}. Received: class_weights={class_weights}"
        )
    return ops.take(ops.convert_to_tensor(class_weights, "float32"), batch.labels)


def _log(probability, epsilon):
    """Natural logarithm, below `epsilon` continued as its tangent."""
    logarithm = ops.log(ops.maximum(probability, epsilon))
    return logarithm + (ops.minimum(probability, epsilon) - epsilon) / epsilon
