"""Random changes of colour; neighbours that are linear become one matrix."""

import math

import numpy as np

from kseg.data.augment.geometry import check_probability

# Rec. 601, as in PIL's "L": the grey of a colour.
_LUMA = np.array([0.299, 0.587, 0.114])
# RGB to YIQ (FCC, 1953): one axis of luma, two of colour.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


class ColorMatrix:
    """A step `rgb -> matrix @ (r, g, b, 1)` on the pixels, rounded and clipped once.

    Args:
        matrix: Array of shape `(3, 4)`.
    """

    def __init__(self, matrix):
        self.matrix = np.asarray(matrix, "float64")

    def __call__(self, picture):
        return picture.convert("RGB", self.matrix.ravel().tolist())

    def merge(self, step):
        """Returns this step followed by `step` as one; None where `step` is another."""
        if not isinstance(step, ColorMatrix):
            return None
        linear = step.matrix[:, :3]
        merged = linear @ self.matrix
        merged[:, 3] += step.matrix[:, 3]
        return ColorMatrix(merged)


class RandomBrightness:
    """Multiplies the picture, as a longer or shorter exposure does.

    Args:
        factor: The multiplier is drawn from `1 - factor` to `1 + factor`.
    """

    def __init__(self, factor=0.4):
        self.factor = check_probability("factor", factor)

    def __call__(self, plan, rng, size):
        gain = 1 + rng.uniform(-self.factor, self.factor)
        return plan.then(ColorMatrix(np.eye(3, 4) * gain))


class RandomContrast:
    """Moves the values away from middle grey, or towards it.

    Args:
        factor: The multiplier is drawn from `1 - factor` to `1 + factor`.
    """

    def __init__(self, factor=0.4):
        self.factor = check_probability("factor", factor)

    def __call__(self, plan, rng, size):
        gain = 1 + rng.uniform(-self.factor, self.factor)
        matrix = np.eye(3, 4) * gain
        matrix[:, 3] = 127.5 * (1 - gain)
        return plan.then(ColorMatrix(matrix))


class RandomSaturation:
    """Moves the colours away from their grey, or towards it.

    Args:
        factor: The multiplier is drawn from `1 - factor` to `1 + factor`.
    """

    def __init__(self, factor=0.5):
        self.factor = check_probability("factor", factor)

    def __call__(self, plan, rng, size):
        gain = 1 + rng.uniform(-self.factor, self.factor)
        return plan.then(saturation(gain))


class RandomGrayscale:
    """Takes the colours away.

    Args:
        probability: How often.
    """

    def __init__(self, probability=0.05):
        self.probability = check_probability("probability", probability)

    def __call__(self, plan, rng, size):
        if rng.random() >= self.probability:
            return plan
        return plan.then(saturation(0.0))


class RandomHue:
    """Turns the colours about the axis of greys, keeping luma (in YIQ).

    Args:
        factor: Largest turn, in parts of the circle.
    """

    def __init__(self, factor=0.03):
        self.factor = check_probability("factor", factor)

    def __call__(self, plan, rng, size):
        angle = 2 * math.pi * rng.uniform(-self.factor, self.factor)
        cos, sin = math.cos(angle), math.sin(angle)
        turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
        matrix = np.linalg.inv(_YIQ) @ turn @ _YIQ
        return plan.then(ColorMatrix(np.hstack([matrix, np.zeros((3, 1))])))


class RandomWhiteBalance:
    """Scales red, green and blue each by its own factor, as other light does.

    Args:
        factor: The multipliers are drawn from `1 - factor` to `1 + factor`.
    """

    def __init__(self, factor=0.1):
        self.factor = check_probability("factor", factor)

    def __call__(self, plan, rng, size):
        gains = 1 + rng.uniform(-self.factor, self.factor, 3)
        return plan.then(ColorMatrix(np.eye(3, 4) * gains[:, None]))


def saturation(gain):
    """The step that scales the distance of each colour from its grey."""
    matrix = gain * np.eye(3) + (1 - gain) * _LUMA
    return ColorMatrix(np.hstack([matrix, np.zeros((3, 1))]))
