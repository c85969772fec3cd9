"""U-Net's cross-entropy, weighed by a map that is high between objects."""

import math

import keras
from keras import ops

from kseg.losses import distances, pixels
from kseg.losses.cross_entropy import SparseCrossEntropy, factors, negative_log


def unet_border(
    y_true,
    y_pred,
    w0=10.0,
    sigma=5.0,
    class_weights=None,
    ignore_class=255,
    from_logits=False,
):
    """Computes the cross-entropy of every pixel times U-Net's weight map.

    Formula:

    ```python
    weight = class_weights[y_true] + w0 * exp(-((d1 + d2) ** 2) / (2 * sigma**2))
    loss = -weight * log(p[y_true])  # 0 where y_true == ignore_class
    ```

    `kseg.losses.border_weights` says what `d1`, `d2` and objects are, and computes the
    same map in NumPy.

    Reference:
    - [U-Net](https://arxiv.org/abs/1505.04597) (MICCAI 2015), equations 1 and 2

    Args:
        y_true: Class or object ids of shape `(batch, height, width)` or
            `(batch, height, width, 1)`, 0 for background.
        y_pred: Probabilities or logits of shape `(batch, height, width, classes)`.
        w0: Weight where two objects touch. Defaults to `10.0`.
        sigma: Reach of the ridges in pixels. Defaults to `5.0`.
        class_weights: One factor per class, or `None` for 1 each. Defaults to `None`.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether `y_pred` holds logits. Defaults to `False`.

    Returns:
        Float32 tensor of shape `(batch, height, width)`. Inside a compiled step, where
        nothing can raise, a pixel whose label is no class is NaN, with gradient 0.

    Raises:
        ValueError: If the shapes do not fit, the height or width is unknown or, outside
            a compiled step, a label is no class or a probability lies outside 0 to 1.
    """
    batch = pixels.read(y_true, y_pred, ignore_class, from_logits)
    weights = factors(batch, class_weights) + _ridges(batch, w0, sigma)
    return pixels.mark(negative_log(batch, from_logits) * weights, batch)


@keras.saving.register_keras_serializable(package="kseg.losses")
class UNetBorder(SparseCrossEntropy):
    """Mean cross-entropy over the valid pixels, with high weights between objects.

    Keras has no such loss. The map depends on the truth alone, so it is best made by the
    loader, which hands it over as `sample_weight`; without one the step makes it, which
    on a CPU takes longer than the step of a small net.

    Args:
        w0: Weight where two objects touch. Defaults to `10.0`.
        sigma: Reach of the ridges in pixels. Defaults to `5.0`.
        class_weights: Sequence of one factor per class, or `None` for 1 each. Defaults
            to `None`.
        ignore_class: Id of the pixels that do not count, or `None`. Defaults to `255`.
        from_logits: Whether predictions are logits. Defaults to `False`.
        normalization: What the sum is divided by, as in
            `kseg.losses.SparseCrossEntropy`. Defaults to `"valid"`.
        name: Name of the loss. Defaults to `"unet_border"`.
        dtype: Dtype of the result; the computation is float32. Defaults to `None`,
            which means float32.

    Call arguments:
        y_true: Class ids of shape `(batch, height, width)` or
            `(batch, height, width, 1)`.
        y_pred: Scores of shape `(batch, height, width, classes)`; a single channel is
            the score of the foreground, for masks of 0 and 1.
        sample_weight: The map of shape `(batch, height, width)`, from
            `kseg.losses.border_weights`: then `w0`, `sigma` and `class_weights` are not
            read. Or factors of shape `(batch,)`, which multiply the map of the step.

    Example:

    >>> batches = kseg.data.loader(
    ...     dataset, 16, 256, maps=kseg.losses.border_weights
    ... )
    >>> model.compile("adam", loss=kseg.losses.UNetBorder())
    >>> model.fit(batches)
    """

    reads_maps = True

    def __init__(
        self,
        w0: float = 10.0,
        sigma: float = 5.0,
        class_weights=None,
        ignore_class: int | None = 255,
        from_logits: bool = False,
        normalization: str = "valid",
        name: str = "unet_border",
        dtype=None,
    ):
        super().__init__(
            class_weights,
            ignore_class,
            from_logits,
            normalization,
            name=name,
            dtype=dtype,
        )
        if not (0 <= w0 < math.inf and 0 < sigma < math.inf):
            raise ValueError(
                "`w0` must be finite and not negative, and `sigma` positive. "
                f"Received: w0={w0}, sigma={sigma}"
            )
        self.w0 = w0
        self.sigma = sigma

    def call(self, y_true, y_pred):
        return unet_border(
            y_true,
            y_pred,
            self.w0,
            self.sigma,
            self.class_weights,
            self.ignore_class,
            self.from_logits,
        )

    def weigh(self, batch, sample_weight):
        weights = pixels.weights(batch.valid, sample_weight)
        valid = ops.cast(ops.not_equal(weights, 0), "float32")
        if sample_weight is None or len(ops.convert_to_tensor(sample_weight).shape) < 2:
            ridges = _ridges(batch, self.w0, self.sigma)
            weights = weights * (factors(batch, self.class_weights) + ridges)
        return valid, weights

    def get_config(self):
        config = {**super().get_config(), "w0": self.w0, "sigma": self.sigma}
        del config["hard_fraction"]
        return config


def _ridges(batch, w0, sigma):
    """The map's second term: high where two objects are near, 0 on objects."""
    distances.image_size(batch.scores)
    classes = ops.where(batch.valid, batch.labels, 0)
    first, second = _two_nearest(_objects(classes), math.ceil(6 * sigma))
    reach = (ops.sqrt(first) + ops.sqrt(second)) ** 2
    ridges = w0 * ops.exp(-reach / (2 * sigma**2))
    return ops.stop_gradient(ops.where(ops.equal(classes, 0), ridges, 0.0))


def _objects(classes):
    """Numbers the 4-connected regions of equal class other than 0, from 1 on."""
    height, width = classes.shape[1:]
    # Every pixel begins alone; a region ends with the largest number in it.
    numbers = ops.reshape(ops.arange(1, height * width + 1), (1, height, width))
    numbers = ops.where(ops.equal(classes, 0), 0, numbers)
    runs = [
        ops.cumsum(ops.cast(classes != ops.roll(classes, 1, axis), "int32"), axis)
        for axis in (1, 2)
    ]
    return ops.while_loop(_has_changed, _spread, (numbers, True, *runs))[0]


# Loops call functions of the file, which JAX compiles once, not at each eager call.
def _has_changed(numbers, changed, *runs):
    return changed


def _spread(numbers, changed, *runs):
    """Gives every pixel the largest number in its run of a row, then of a column."""
    before = numbers
    for axis, run in enumerate(runs, 1):
        step = 1
        while step < run.shape[axis]:  # twice as far each time
            for shift in (step, -step):
                same = ops.equal(ops.roll(run, shift, axis), run)
                shifted = ops.roll(numbers, shift, axis)
                numbers = ops.where(same, ops.maximum(numbers, shifted), numbers)
            step *= 2
    return numbers, ops.any(numbers != before), *runs


def _two_nearest(numbers, reach):
    """Squared distances to the nearest and the second nearest object within `reach`."""
    far = ops.full(ops.shape(numbers), distances.FAR, dtype="float32")
    none = ops.zeros_like(numbers)
    squares = ops.where(numbers > 0, 0.0, far)
    state = (squares, numbers, far, none)
    for _ in range(2):
        state = _pass(state, reach)
        state = tuple(ops.transpose(x, (0, 2, 1)) for x in state)
    return state[0], state[2]


def _pass(state, reach):
    """A pass of the distance transform over rows: sees `reach` of them to either side.

    The two nearest objects of each column are enough for the next pass: one that is
    third there is nowhere among the two nearest.
    """
    none = (distances.FAR, 0, distances.FAR, 0)
    padded = [
        ops.pad(x, ((0, 0), (reach, reach), (0, 0)), constant_values=value)
        for x, value in zip(state, none, strict=True)
    ]
    nearest = [ops.full_like(x, value) for x, value in zip(state, none, strict=True)]
    return ops.fori_loop(0, 2 * reach + 1, _visit, (*nearest, *padded))[:4]


def _visit(k, state):
    nearest, padded = state[:4], state[4:]
    size = nearest[0].shape[1]
    reach = (padded[0].shape[1] - size) // 2
    step = ops.cast(k - reach, "float32")
    shifted = [ops.take(x, ops.arange(size) + k, axis=1) for x in padded]
    for distance, number in (shifted[:2], shifted[2:]):
        nearest = _insert(nearest, distance + step * step, number)
    return *nearest, *padded


def _insert(nearest, distance, number):
    """Sorts an object into the two nearest, each object once."""
    first, first_number, second, second_number = nearest
    distance = ops.where(number > 0, distance, distances.FAR)
    known = ops.equal(number, first_number)
    closer = distance < first
    # What takes the second place: the displaced first one, or the new one.
    moves = ops.logical_and(closer, ops.logical_not(known))
    enters = ops.logical_and(distance < second, ops.logical_not(known))
    second = ops.where(moves, first, ops.where(enters, distance, second))
    second_number = ops.where(
        moves, first_number, ops.where(enters, number, second_number)
    )
    first = ops.where(closer, distance, first)
    first_number = ops.where(closer, number, first_number)
    return first, first_number, second, second_number
