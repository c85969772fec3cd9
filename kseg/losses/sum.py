"""Weighted sum of losses, and the callback that changes its weights."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kseg.losses")
class Sum(keras.losses.Loss):
    """Weighted sum of several losses of one output.

    A list in `model.compile(loss=[...])` means one loss for each of several outputs.
    `weights` may be set, which `ScheduleWeights` does during `fit`; on the JAX backend,
    without that callback, compile the model again afterwards.

    Args:
        losses: Sequence of `keras.losses.Loss`, each of which keeps its own reduction.
        weights: Sequence of one factor per loss, or `None` for 1 each. Defaults to
            `None`.
        name: Name of the loss. Defaults to `"sum"`.

    Call arguments:
        y_true: What the losses take.
        y_pred: What the losses take.
        sample_weight: What the losses take. Values of pixels go to `Boundary` and
            `UNetBorder` alone if one is in the sum, for they are its map of the truth;
            weights of shape `(batch,)` go to every loss.

    Example:

    >>> loss = Sum([SparseCrossEntropy(), Dice()], weights=(1.0, 0.5))
    >>> model.compile("adam", loss=loss)
    """

    def __init__(self, losses, weights=None, name: str = "sum"):
        super().__init__(name=name, dtype="float32")
        losses = tuple(losses)
        if not all(isinstance(loss, keras.losses.Loss) for loss in losses):
            raise TypeError(
                "`losses` must hold instances of `keras.losses.Loss`. "
                f"Received: losses={losses}"
            )
        self.losses = losses
        self._weights = self._check(
            (1.0,) * len(losses) if weights is None else weights
        )
        # A compiled step would keep plain numbers as they were when it was compiled.
        self._factors = keras.Variable(self._weights, trainable=False, dtype="float32")

    @property
    def weights(self):
        """Tuple of one factor per loss."""
        return self._weights

    @weights.setter
    def weights(self, weights):
        self._weights = self._check(weights)
        self._factors.assign(self._weights)

    @property
    def reads_maps(self):
        """Whether values of pixels are the map of one of the losses."""
        return any(getattr(loss, "reads_maps", False) for loss in self.losses)

    def call(self, y_true, y_pred, sample_weight=None):
        is_map = (
            self.reads_maps
            and sample_weight is not None
            and len(ops.convert_to_tensor(sample_weight).shape) > 1
        )
        total = 0.0
        for i, loss in enumerate(self.losses):
            goes_on = not is_map or getattr(loss, "reads_maps", False)
            value = loss(y_true, y_pred, sample_weight if goes_on else None)
            total = total + self._factors[i] * ops.cast(value, "float32")
        return total

    def __call__(self, y_true, y_pred, sample_weight=None):
        with keras.name_scope(self.name):
            return self.call(y_true, y_pred, sample_weight)

    def get_config(self):
        return {
            "losses": [keras.saving.serialize_keras_object(one) for one in self.losses],
            "weights": self.weights,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config):
        losses = [
            keras.saving.deserialize_keras_object(one) for one in config["losses"]
        ]
        return cls(**{**config, "losses": losses})

    def _check(self, weights):
        weights = tuple(float(weight) for weight in weights)
        if (
            not self.losses
            or len(weights) != len(self.losses)
            or not all(map(math.isfinite, weights))
        ):
            raise ValueError(
                "`losses` must not be empty, and `weights` must hold one finite factor "
                f"per loss. Received: losses={self.losses}, weights={weights}"
            )
        return weights


class ScheduleWeights(keras.callbacks.Callback):
    """Sets the weights of a `Sum` at the start of every epoch.

    On the JAX backend, whose compiled steps hold every variable that is not the
    model's as it was, a change of the weights compiles the steps anew.

    Args:
        schedule: Function of the epoch, counted from 0, that returns one factor per
            loss. It should depend on nothing else, so that a run which goes on with
            `initial_epoch` has the weights it would have had.
        loss: The `Sum`, for a model of several outputs. Defaults to `None`, the loss
            that the model was compiled with.

    Example:

    >>> # The boundary loss grows, the region loss makes room.
    >>> def rebalance(epoch):
    ...     alpha = min(0.01 * (epoch + 1), 0.99)
    ...     return 1 - alpha, alpha
    >>> model.compile("adam", loss=kseg.losses.Sum([Dice(), Boundary()], (0.99, 0.01)))
    >>> model.fit(batches, callbacks=[kseg.losses.ScheduleWeights(rebalance)])
    """

    def __init__(self, schedule, loss=None):
        super().__init__()
        if not callable(schedule):
            raise TypeError(
                "`schedule` must be a function of the epoch. "
                f"Received: schedule={schedule!r}"
            )
        self.schedule = schedule
        self.loss = loss

    def on_epoch_begin(self, epoch, logs=None):
        loss = self.model.loss if self.loss is None else self.loss
        if not isinstance(loss, Sum):
            raise TypeError(
                "`loss` must be a `kseg.losses.Sum`, here or in `model.compile`. "
                f"Received: loss={loss!r}"
            )
        before = loss.weights
        loss.weights = self.schedule(epoch)
        if loss.weights != before and keras.backend.backend() == "jax":
            self.model.make_train_function(force=True)
            if self.model.test_function is not None:
                self.model.make_test_function(force=True)
