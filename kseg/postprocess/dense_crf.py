"""Fully connected CRF: Krähenbühl and Koltun (NIPS 2011)."""

from numbers import Integral, Real

import numpy as np

# Values of both kernels, iterations and normalisation, from code with self-messages.
PRESETS = {
    # Example in the README of pydensecrf
    "pydensecrf": (10, 80, 13, 3, 3, 5, "symmetric"),
    # Configuration files of DeepLab v1 and v2 (https://arxiv.org/abs/1412.7062,
    # https://arxiv.org/abs/1606.00915), found on 100 images of PASCAL VOC
    "deeplab_v1": (5, 50, 10, 3, 3, 10, "after"),
    "deeplab_v1_largefov": (4, 121, 5, 3, 3, 10, "after"),
    "deeplab_v1_msc_largefov": (4, 83, 5, 3, 3, 10, "after"),
    "deeplab_v1_coco_largefov": (5, 69, 5, 3, 3, 10, "after"),
    "deeplab_v2_vgg16": (4, 49, 5, 3, 3, 10, "after"),
    "deeplab_v2_resnet101": (4, 67, 3, 3, 1, 10, "after"),
}

_NORMALIZATIONS = ("symmetric", "after", "before", "none")
_METHODS = ("auto", "exact", "lattice")
_EXACT_PIXELS = 4096  # the kernel matrix of as many takes 64 MiB
_SMALLEST = 1e-5  # probability: a class that the net gives 0 is not ruled out


class DenseCRF:
    """Fully connected conditional random field, which moves edges to those of the image.

    Every pixel is joined to every other one. Pairs of another class cost the more, the
    closer the pixels are (Gaussian kernel), and the closer both they and their colours
    are (bilateral kernel):

    ```python
    energy = -sum_i(log(p[i, x_i])) + sum_(i < j)(
        bilateral_compat * (x_i != x_j) * exp(
            -|position_i - position_j|**2 / (2 * bilateral_xy**2)
            - |color_i - color_j|**2 / (2 * bilateral_rgb**2)
        )
        + gaussian_compat * (x_i != x_j) * exp(
            -|position_i - position_j|**2 / (2 * gaussian_xy**2)
        )
    )
    ```

    The marginal probabilities of the classes are found by mean-field updates of all
    pixels at once. Up to 4096 pixels the kernels are exact. Beyond, the Gaussian kernel
    ends at four standard deviations, and the bilateral one is filtered on a
    permutohedral lattice, in linear time.

    A pixel about which nothing is known gets equal probabilities; all below 1e-5 count
    as 1e-5. It runs in one thread, without the GIL, and gives the same to the bit again.
    The first call compiles for some ten seconds, once per installation. Memory: 20 bytes
    a pixel and class (their number rounded up to a multiple of 8) and 120 a pixel; at
    most 2 kB a pixel more where the colours are pure noise, and 100 MB more for exact
    inference.

    Reference:
    - [Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials](
      https://arxiv.org/abs/1210.5644) (NIPS 2011), eq. 1-3 and algorithm 1

    Args:
        bilateral_compat: Label compatibility of the bilateral kernel: a number, the
            weight of a Potts model as above; energies `(classes,)` of two pixels of the
            same class, negative for attraction; or energies `(classes, classes)` of all
            pairs of classes, made symmetric. 0 leaves the kernel out. Defaults to `4.0`.
        bilateral_xy: Standard deviation of its positions, in pixels. Defaults to `121.0`.
        bilateral_rgb: Standard deviation of its colours, of 0 to 255. Defaults to `5.0`.
        gaussian_compat: Label compatibility of the Gaussian kernel. Defaults to `3.0`.
        gaussian_xy: Standard deviation of its positions, in pixels. Defaults to `3.0`.
        iterations: Number of mean-field updates. Defaults to `10`.
        normalization: How a kernel `K` of row sums `D` is normalised: `"symmetric"`
            (`D**-0.5 @ K @ D**-0.5`), `"after"` (`D**-1 @ K`), `"before"` (`K @ D**-1`)
            or `"none"` (`K`, as in the energy above, which needs weights far below 1).
            Defaults to `"symmetric"`.
        self_message: Whether a pixel takes its own probabilities for those of a
            neighbour, as pydensecrf and DeepLab do. They count in `D` either way.
            Defaults to `False`, as in the paper.
        method: `"exact"`, in time quadratic in the pixels; `"lattice"`; or `"auto"`,
            which is exact up to 4096 pixels. Defaults to `"auto"`.

    Call arguments:
        image: uint8 array of shape `(height, width, 3)`, RGB.
        probabilities: Array of shape `(height, width, classes)`, 0-1; one channel is
            the probability of the foreground.

    Returns:
        float32 array of the shape of `probabilities`.

    Raises:
        ValueError: If a value or a shape does not fit, or the standard deviations of the
            bilateral kernel are so small that the lattice has 2**63 cells.

    Example:

    >>> crf = kseg.postprocess.DenseCRF.from_preset("deeplab_v2_resnet101")
    >>> refined = crf(image, model.predict(image[None])[0])
    """

    def __init__(
        self,
        *,
        bilateral_compat=4.0,
        bilateral_xy: float = 121.0,
        bilateral_rgb: float = 5.0,
        gaussian_compat=3.0,
        gaussian_xy: float = 3.0,
        iterations: int = 10,
        normalization: str = "symmetric",
        self_message: bool = False,
        method: str = "auto",
    ):
        self.bilateral_compat = _compat("bilateral_compat", bilateral_compat)
        self.gaussian_compat = _compat("gaussian_compat", gaussian_compat)
        self.bilateral_xy = _positive("bilateral_xy", bilateral_xy)
        self.bilateral_rgb = _positive("bilateral_rgb", bilateral_rgb)
        self.gaussian_xy = _positive("gaussian_xy", gaussian_xy)
        if not isinstance(iterations, Integral) or iterations < 1:
            raise ValueError(
                "`iterations` must be a positive integer. "
                f"Received: iterations={iterations!r}"
            )
        self.iterations = iterations
        self.normalization = _one_of("normalization", normalization, _NORMALIZATIONS)
        self.self_message = self_message
        self.method = _one_of("method", method, _METHODS)

    @classmethod
    def from_preset(cls, name: str, **arguments):
        """Returns a CRF of published parameters.

        Args:
            name: A key of `kseg.postprocess.dense_crf.PRESETS`, such as
                `"pydensecrf"`, `"deeplab_v1_largefov"` or `"deeplab_v2_resnet101"`.
            **arguments: What replaces a value of the preset.
        """
        _one_of("name", name, tuple(PRESETS))
        names = ("bilateral_compat", "bilateral_xy", "bilateral_rgb")
        names += ("gaussian_compat", "gaussian_xy", "iterations", "normalization")
        preset = dict(zip(names, PRESETS[name], strict=True), self_message=True)
        return cls(**{**preset, **arguments})

    def __call__(self, image: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        # Numba takes half a second to import.
        from kseg.postprocess.mean_field import infer

        image, probabilities = np.asarray(image), np.asarray(probabilities)
        _check_inputs(image, probabilities)
        shape = probabilities.shape
        probabilities = probabilities.reshape(-1, shape[2])
        if shape[2] == 1:
            probabilities = np.concatenate([1 - probabilities, probabilities], 1)
        terms = self._terms(image, probabilities.shape[1])
        result = infer(_logarithms(probabilities), terms, self.iterations)
        return result[:, -shape[2] :].reshape(shape)

    def _terms(self, image, classes):
        from kseg.postprocess.gaussian import ExactGaussian, PlaneGaussian
        from kseg.postprocess.mean_field import Term
        from kseg.postprocess.permutohedral import PermutohedralLattice

        size, pixels = image.shape[:2], image.size // 3
        auto = "exact" if pixels <= _EXACT_PIXELS else "lattice"
        is_exact = (auto if self.method == "auto" else self.method) == "exact"

        def plane():
            return PlaneGaussian(size, self.gaussian_xy, np.inf if is_exact else 4)

        def bilateral():
            y, x = np.indices(size, np.float32) / np.float32(self.bilateral_xy)
            colors = image / np.float32(self.bilateral_rgb)
            features = np.concatenate([x[..., None], y[..., None], colors], -1)
            kernel = ExactGaussian if is_exact else PermutohedralLattice
            return kernel(features.reshape(pixels, -1))

        terms = []
        kernels = {"gaussian_compat": plane, "bilateral_compat": bilateral}
        for name, kernel in kernels.items():
            compat = getattr(self, name)
            if compat.shape not in ((), (classes,), (classes, classes)):
                raise ValueError(
                    f"`{name}` must be a number, or of shape ({classes},) or "
                    f"({classes}, {classes}), as there are {classes} classes. "
                    f"Received: {name} of shape {compat.shape}"
                )
            if compat.any():
                options = (self.normalization, self.self_message, pixels)
                terms.append(Term(kernel(), compat, *options))
        return terms


def _logarithms(probabilities):
    clipped = np.clip(probabilities, _SMALLEST, 1, dtype=np.float32)
    return np.log(clipped, out=clipped)


def _compat(name, value):
    compat = np.asarray(value, np.float32)
    is_square = compat.ndim < 2 or compat.shape == compat.shape[:1] * 2
    if not is_square or not np.isfinite(compat).all():
        raise ValueError(
            f"`{name}` must be a finite number, a vector or a square matrix of them. "
            f"Received: {name}={value!r}"
        )
    return compat


def _positive(name, value):
    if not isinstance(value, Real) or not 0 < value < np.inf:
        raise ValueError(
            f"`{name}` must be a positive number. Received: {name}={value!r}"
        )
    return float(value)


def _one_of(name, value, allowed):
    if value not in allowed:
        raise ValueError(
            f"`{name}` must be one of {', '.join(map(repr, allowed))}. "
            f"Received: {name}={value!r}"
        )
    return value


def _check_inputs(image, probabilities):
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(
            "`image` must have shape (height, width, 3). "
            f"Received: image.shape={image.shape}"
        )
    if image.dtype != np.uint8:
        raise ValueError(f"`image` must be uint8. Received: image.dtype={image.dtype}")
    if probabilities.ndim != 3 or probabilities.shape[:2] != image.shape[:2]:
        raise ValueError(
            "`probabilities` must have shape (height, width, classes), with the height "
            f"and width of `image`. Received: probabilities.shape={probabilities.shape}, "
            f"image.shape={image.shape}"
        )
    if not probabilities.size:
        raise ValueError(
            "`probabilities` must have at least one class. "
            f"Received: probabilities.shape={probabilities.shape}"
        )
    low, high = probabilities.min(), probabilities.max()
    # A softmax rounds to a little more than 1; NaN fails both comparisons.
    if not (low >= -1e-3 and high <= 1.001):
        raise ValueError(
            "`probabilities` must be 0-1 (apply a softmax to logits). "
            f"Received: probabilities from {low} to {high}"
        )
