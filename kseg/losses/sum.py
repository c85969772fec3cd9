"""Weighted sum of losses."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kseg.losses")
class Sum(keras.losses.Loss):
    """Weighted sum of several losses of one output.

    A list in `model.compile(loss=[...])` means one loss for each of several outputs.

    Args:
        losses: Sequence of `keras.losses.Loss`, each of which keeps its own reduction.
        weights: Sequence of one factor per loss, or `None` for 1 each. Defaults to
            `None`.
        name: Name of the loss. Defaults to `"sum"`.

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
        if weights is None:
            weights = (1.0,) * len(losses)
        weights = tuple(float(weight) for weight in weights)
        if not losses or len(weights) != len(losses):
            raise ValueError(
                "`losses` must not be empty, and `weights` must hold one factor per "
                f"loss. Received: losses={losses}, weights={weights}"
            )
        self.losses = losses
        self.weights = weights

    def call(self, y_true, y_pred, sample_weight=None):
        terms = zip(self.weights, self.losses, strict=True)
        return sum(
            weight * ops.cast(loss(y_true, y_pred, sample_weight), "float32")
            for weight, loss in terms
        )

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
