"""Random changes of colour; all in a row become one matrix, rounded once.

Keras' own layers for this are right, but take 3 to 30 ms each for a photo of 512x512,
where the matrix takes half a millisecond whatever it holds. Those that have no
counterpart here are reached through `kseg.data.augment.KerasLayer`.
"""

import math

import numpy as np

from kseg.data.augment.transform import Transform, check_probability

# Rec. 601, as in PIL's mode "L": the grey of a colour.
_LUMA = np.array([0.299, 0.587, 0.114])


class ColorMatrix:
    """A step on the pixels: `(r, g, b)` becomes `matrix @ (r, g, b, 1)`, clipped.

    Args:
        matrix: Array of shape `(3, 4)`.
    """

    def __init__(self, matrix):
        self.matrix = np.asarray(matrix, "float64")

    def __call__(self, image):
        from kseg.data.augment import pixels

        return pixels.recolor(np.ascontiguousarray(image), self.matrix)

    def merge(self, step):
        """Returns this step followed by `step` as one; None if `step` is another."""
        if not isinstance(step, ColorMatrix):
            return None
        merged = step.matrix[:, :3] @ self.matrix
        merged[:, 3] += step.matrix[:, 3]
        return ColorMatrix(merged)


class _RandomGain(Transform):
    """Base of what draws one multiplier and has a matrix for it."""

    def __init__(self, factor):
        self.factor = check_probability("factor", factor)

    def extend(self, plan, rng, size):
        gain = 1 + rng.uniform(-self.factor, self.factor)
        return plan.then(self._step(gain))


class RandomBrightness(_RandomGain):
    """Multiplies all values, as a longer or shorter exposure does.

    Args:
        factor: The multiplier is drawn from `1 - factor` to `1 + factor`.
    """

    def __init__(self, factor=0.4):
        super().__init__(factor)

    def _step(self, gain):
        return ColorMatrix(gain * np.eye(3, 4))


class RandomContrast(_RandomGain):
    """Multiplies the distance of all values from middle grey.

    Args:
        factor: The multiplier is drawn from `1 - factor` to `1 + factor`.
    """

    def __init__(self, factor=0.4):
        super().__init__(factor)

    def _step(self, gain):
        matrix = gain * np.eye(3, 4)
        matrix[:, 3] = (1 - gain) * 127.5
        return ColorMatrix(matrix)


class RandomSaturation(_RandomGain):
    """Multiplies the distance of each colour from its grey (Rec. 601 luma).

    Args:
        factor: The multiplier is drawn from `1 - factor` to `1 + factor`.
    """

    def __init__(self, factor=0.5):
        super().__init__(factor)

    def _step(self, gain):
        return _saturation(gain)


class RandomWhiteBalance(Transform):
    """Multiplies red, green and blue each by a factor of its own, as lamps do.

    Args:
        factor: The multipliers are drawn from `1 - factor` to `1 + factor`.
    """

    def __init__(self, factor=0.1):
        self.factor = check_probability("factor", factor)

    def extend(self, plan, rng, size):
        gains = 1 + rng.uniform(-self.factor, self.factor, 3)
        return plan.then(ColorMatrix(gains[:, None] * np.eye(3, 4)))


class RandomHue(Transform):
    """Turns the colours about the axis of greys, which keeps their luma.

    Reference:
    - The turn is one of the colour plane of YIQ (NTSC, 1953).

    Args:
        factor: Largest turn to either side, in parts of the full circle.
    """

    def __init__(self, factor=0.03):
        self.factor = check_probability("factor", factor)

    def extend(self, plan, rng, size):
        angle = 2 * math.pi * rng.uniform(-self.factor, self.factor)
        cos, sin = math.cos(angle), math.sin(angle)
        turn = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
        yiq = np.array([_LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
        matrix = np.linalg.inv(yiq) @ turn @ yiq
        return plan.then(ColorMatrix(np.hstack([matrix, np.zeros((3, 1))])))


class RandomGrayscale(Transform):
    """Takes the colours away.

    Args:
        probability: How often.
    """

    def __init__(self, probability=0.05):
        self.probability = check_probability("probability", probability)

    def extend(self, plan, rng, size):
        return plan.then(_saturation(0)) if rng.random() < self.probability else plan


def _saturation(gain):
    matrix = gain * np.eye(3) + (1 - gain) * _LUMA
    return ColorMatrix(np.hstack([matrix, np.zeros((3, 1))]))
