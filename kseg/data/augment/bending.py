"""Random changes of form: perspective, and elastic as U-Net has it."""

import numpy as np

from kseg.data.augment.transform import Transform, check_probability


class RandomPerspective(Transform):
    """Moves the four corners, as another place of the camera does.

    Args:
        factor: Largest move of a corner in parts of height and width, below a quarter,
            from where on the corners could change places.
        probability: How often.
    """

    def __init__(self, factor=0.1, probability=1.0):
        if not 0 <= factor < 0.25:
            raise ValueError(
                f"`factor` must be from 0 to below 0.25. Received: factor={factor}"
            )
        self.factor = factor
        self.probability = check_probability("probability", probability)

    def extend(self, plan, rng, size):
        chance, moves = rng.random(), rng.uniform(-self.factor, self.factor, (4, 2))
        if chance >= self.probability or not self.factor:
            return plan
        corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        stretch = np.diag([plan.width, plan.height, 1.0])
        unit = _projective(corners, corners + moves)
        return plan.project(stretch @ unit @ np.linalg.inv(stretch))


class RandomElastic(Transform):
    """Bends the picture like rubber, as in U-Net.

    Normal displacements at the points of a coarse grid, of which the outer ones lie on
    the border, are interpolated by bicubic splines. A large `sigma` for the distance
    between the points folds the picture.

    Reference:
    - [U-Net](https://arxiv.org/abs/1505.04597) (MICCAI 2015), section 3.1: a grid of
      3 x 3, a standard deviation of 10 pixels

    Args:
        sigma: Standard deviation of the displacements, in pixels of the result.
        points: Points of the grid along each side.
        probability: How often.
    """

    def __init__(self, sigma=10.0, points=3, probability=1.0):
        if sigma < 0:
            raise ValueError(f"`sigma` must not be negative. Received: sigma={sigma}")
        if isinstance(points, bool) or not isinstance(points, int) or points < 2:
            raise ValueError(
                f"`points` must be an integer of at least 2. Received: points={points}"
            )
        self.sigma = sigma
        self.points = points
        self.probability = check_probability("probability", probability)

    def extend(self, plan, rng, size):
        chance = rng.random()
        moves = rng.uniform(size=(2, self.points, self.points, 2))
        if chance >= self.probability or not self.sigma:
            return plan
        # Box and Muller: normal numbers out of a fixed number of draws.
        moves = np.sqrt(-2 * np.log1p(-moves[0])) * np.cos(2 * np.pi * moves[1])
        pixel = (plan.width / size[1], plan.height / size[0])
        return plan.displace(self.sigma * moves * pixel)


def _projective(points, images):
    """The matrix that takes four points to four images, its last entry 1."""
    rows, values = [], []
    for (x, y), (u, v) in zip(points, images, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y]]
        rows += [[0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.append(np.linalg.solve(rows, values), 1.0).reshape(3, 3)
