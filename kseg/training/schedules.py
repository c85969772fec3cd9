"""Learning rate schedules with a linear warm-up, in optimizer steps."""

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule


class WarmUpDecay(LearningRateSchedule):
    """Rises linearly to `learning_rate`, then falls as the subclass says.

    Keras' own CosineDecay has a warm-up and its PolynomialDecay has none; these
    two share one meaning of every argument, so that a schedule can be exchanged
    by its name alone.
    """

    def __init__(self, learning_rate, steps, warmup_steps=0, name=None):
        if learning_rate <= 0:
            raise ValueError(
                "`learning_rate` must be positive. "
                f"Received: learning_rate={learning_rate}"
            )
        if not 0 <= warmup_steps < steps:
            raise ValueError(
                "`warmup_steps` must be at least 0 and less than `steps`. "
                f"Received: warmup_steps={warmup_steps}, steps={steps}"
            )
        self.learning_rate = learning_rate
        self.steps = steps
        self.warmup_steps = warmup_steps
        self.name = name

    def decay(self, fraction):
        """Factor of the learning rate after `fraction` (0–1) of the decay."""
        raise NotImplementedError

    def __call__(self, step):
        step = ops.cast(step, "float32")
        fraction = (step - self.warmup_steps) / (self.steps - self.warmup_steps)
        factor = self.decay(ops.clip(fraction, 0.0, 1.0))
        if self.warmup_steps:
            # The first step is not lost: it runs at 1/warmup_steps, not at zero.
            rising = (step + 1.0) / self.warmup_steps
            factor = ops.where(step < self.warmup_steps, rising, factor)
        return self.learning_rate * factor

    def get_config(self):
        return {
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "warmup_steps": self.warmup_steps,
            "name": self.name,
        }


@keras.saving.register_keras_serializable(package="kseg.training")
class PolynomialDecay(WarmUpDecay):
    """The "poly" schedule of DeepLab: `learning_rate * (1 - step / steps) ** power`.

    Reference:
    - [DeepLab](https://arxiv.org/abs/1606.00915), section 4.1.2

    Args:
        learning_rate: The highest learning rate.
        steps: Optimizer steps of the whole training, warm-up included.
        warmup_steps: Steps of the linear rise at the start. Defaults to `0`.
        power: Exponent. Defaults to `0.9`, the paper's.
        name: Name of the schedule.
    """

    def __init__(self, learning_rate, steps, warmup_steps=0, power=0.9, name=None):
        super().__init__(learning_rate, steps, warmup_steps, name)
        self.power = power

    def decay(self, fraction):
        return ops.power(1.0 - fraction, self.power)

    def get_config(self):
        return {**super().get_config(), "power": self.power}


@keras.saving.register_keras_serializable(package="kseg.training")
class CosineDecay(WarmUpDecay):
    """Half a cosine from `learning_rate` to zero.

    Reference:
    - [SGDR](https://arxiv.org/abs/1608.03983), equation 5, without restarts

    Args:
        learning_rate: The highest learning rate.
        steps: Optimizer steps of the whole training, warm-up included.
        warmup_steps: Steps of the linear rise at the start. Defaults to `0`.
        name: Name of the schedule.
    """

    def decay(self, fraction):
        return 0.5 * (1.0 + ops.cos(fraction * 3.141592653589793))
