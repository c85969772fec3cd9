"""Weighted sum of losses."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kseg.losses")
class Sum(keras.losses.Loss):
    """Weighted sum of losses, each reduced in its own way.

    A list in `compile(loss=[...])` means one loss per output; this is several on one output.

    Args:
        losses: Sequence of Keras losses.
        weights: Sequence of one factor per loss, or `None` for 1 each. Defaults to `None`.
        name: Name of the loss. Defaults to `"sum"`.

    Example:

    >>> loss = Sum([SparseCrossEntropy(), Dice()], weights=[1.0, 0.5])
    """

    def __init__(self, losses, weights=None, name="sum"):
        super().__init__(name=name, dtype="float32")
        self.losses = tuple(losses)
        self.weights = (
            (1.0,) * len(self.losses)
            if weights is None
            else tuple(float(weight) for weight in weights)
        )
        for loss in self.losses:
            if not isinstance(loss, keras.losses.Loss):
                raise TypeError(
                    "`losses` must hold instances of `keras.losses.Loss`. "
                    f"Received: losses={losses}"
                )
        if not self.losses or len(self.weights) != len(self.losses):
            raise ValueError(
                "`losses` must not be empty, and `weights` must have one factor per loss. "
                f"Received: losses={losses}, weights={weights}"
            )

    def __call__(self, y_true, y_pred, sample_weight=None):
        with keras.name_scope(self.name):
            return sum(
                weight * ops.cast(loss(y_true, y_pred, sample_weight), "float32")
                for weight, loss in zip(self.weights, self.losses, strict=True)
            )

    def get_config(self):
        return {
            "losses": [keras.saving.serialize_keras_object(one) for one in self.losses],
            "weights": self.weights,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config):
        losses = [keras.saving.deserialize_keras_object(one) for one in config["losses"]]
        return cls(**{**config, "losses": losses})
