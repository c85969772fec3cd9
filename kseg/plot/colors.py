"""Colours for classes that colour-blind people can tell apart."""

import functools
from numbers import Integral

import numpy as np
from PIL import ImageColor

# In an order of our own: the first one is seen on skin and on most clothes.
_OKABE_ITO = (
    (86, 180, 233),  # sky blue
    (213, 94, 0),  # vermilion
    (0, 158, 115),  # bluish green
    (240, 228, 66),  # yellow
    (204, 121, 167),  # reddish purple
    (0, 114, 178),  # blue
    (230, 159, 0),  # orange
)
# How linear RGB looks to people without red, green or blue cones.
_COLOR_BLINDNESS = (
    (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
)
_LINEAR_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_GRID = np.linspace(0, 255, 12).round().astype(int)


def palette(
    num_classes: int, *, background: bool = True
) -> tuple[tuple[int, int, int], ...]:
    """Returns one colour per class, each as different from the others as can be.

    The first seven are Okabe and Ito's, which people with any kind of colour blindness
    tell apart. Each further one is the colour farthest from all before it, as seen
    with normal sight, without red, without green and without blue cones, whichever is
    worst. A shorter palette is the beginning of a longer one.

    References:
    - Okabe and Ito, [Color Universal Design](https://jfly.uni-koeln.de/color/) (2008)
    - Machado et al., [A Physiologically-based Model for Simulation of Color Vision
      Deficiency](https://doi.org/10.1109/TVCG.2009.113) (TVCG 2009), table 1

    Args:
        num_classes: How many colours, at most 1000.
        background: Class 0 is background and gets black, which `overlay` does not
            paint.

    Returns:
        Tuple of RGB triples of 0-255.

    Raises:
        ValueError: If `num_classes` is no integer from 1 to 1000.
    """
    if not isinstance(num_classes, Integral) or not 1 <= num_classes <= 1000:
        raise ValueError(
            "`num_classes` must be an integer from 1 to 1000. "
            f"Received: num_classes={num_classes!r}"
        )
    if background:
        return ((0, 0, 0), *_distinct(num_classes))[:num_classes]
    return _distinct(num_classes)


def as_colors(colors) -> np.ndarray:
    """Returns colours as a uint8 array `(count, 3)`.

    Args:
        colors: RGB triples of 0-255; or names and codes as in CSS (`"navy"`,
            `"#ff8800"`); or what matplotlib has: names (`"tab:blue"`), and triples or
            quadruples of floats 0-1, such as `matplotlib.colormaps["tab10"].colors`.
    """
    values = np.asarray([_named(c) if isinstance(c, str) else c for c in colors])
    if values.dtype.kind == "f" and values.ndim == 2 and values.shape[1] in (3, 4):
        values = values[:, :3]
        if ((values >= 0) & (values <= 1)).all():
            values = np.rint(255 * values).astype(np.int64)
    if (
        values.ndim != 2
        or values.shape[1] != 3
        or not np.issubdtype(values.dtype, np.integer)
        or values.min() < 0
        or values.max() > 255
    ):
        raise ValueError(
            "`colors` must be RGB triples of integers 0-255 or of floats 0-1, or names "
            f"such as 'navy' or '#ff8800'. Received: colors={colors!r}"
        )
    return values.astype(np.uint8)


def _named(name):
    try:
        return ImageColor.getrgb(name)[:3]
    except ValueError:  # matplotlib has more names
        from matplotlib.colors import is_color_like, to_rgb

        if not is_color_like(name):
            raise ValueError(
                "`colors` must have names that CSS or matplotlib knows, such as 'navy', "
                f"'#ff8800' or 'tab:blue'. Received: colors with {name!r}"
            ) from None
        return tuple(round(255 * value) for value in to_rgb(name))


@functools.cache
def _distinct(count):
    """Okabe and Ito's colours, then the farthest of a grid, one by one."""
    chosen = list(_OKABE_ITO[:count])
    if count <= len(chosen):
        return tuple(chosen)
    grid = np.stack(np.meshgrid(_GRID, _GRID, _GRID, indexing="ij"), -1).reshape(-1, 3)
    places = _appearances(grid)
    # Black is the background; a hair's breadth from it is not another class.
    taken = _appearances(np.array([(0, 0, 0), *chosen]))
    distance = np.full(len(grid), np.inf)
    for other in np.moveaxis(taken, 1, 0):
        distance = np.minimum(distance, _distance(places, other))
    while len(chosen) < count:
        best = int(distance.argmax())
        chosen.append(tuple(int(value) for value in grid[best]))
        distance = np.minimum(distance, _distance(places, places[:, best]))
    return tuple(chosen)


def _distance(places, other):
    """Distance in the sight that tells two colours apart worst."""
    return np.linalg.norm(places - other[:, None], axis=-1).min(0)


def _appearances(colors):
    """CIELAB of the colours `(count, 3)` in each sight: `(sights, count, 3)`."""
    values = colors / 255
    linear = np.where(
        values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4
    )
    sights = np.stack([np.eye(3), *np.array(_COLOR_BLINDNESS)])
    seen = np.clip(np.einsum("skc,nc->snk", sights, linear), 0, 1)
    to_xyz = np.array(_LINEAR_TO_XYZ)
    xyz = seen @ to_xyz.T / to_xyz.sum(1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)
