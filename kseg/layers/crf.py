"""Conditional random field inside a net: every pixel meets those in a window around."""

import keras
import numpy as np
from keras import layers, ops

from kseg.layers.checking import check_positive

_SMALLEST = 1e-5  # probability, as in `kseg.postprocess.DenseCRF`


@keras.saving.register_keras_serializable(package="kseg.layers")
class CRFRefinement(layers.Layer):
    """Refines class probabilities by mean-field updates of a CRF, with a gradient.

    It is `kseg.postprocess.DenseCRF` (where the energy is written) with kernels that end
    at a window, the symmetric normalisation, and trainable compatibilities of the
    classes. A window of `2 * max(height, width) - 1` covers the image; then the result
    of the untrained layer is that of the exact `DenseCRF` of the same arguments. For an
    image at hand `DenseCRF` is faster, and sees all of it; this one learns, in
    `model.fit`, which classes attract each other.

    Nothing is stored per pixel of the window: memory is that of a few maps of
    probabilities an iteration, and time grows with `window**2`. The gradient reaches the
    probabilities and the compatibilities, not the image. The standard deviations are
    constants.

    Reference:
    - [Convolutional CRFs for Semantic Segmentation](https://arxiv.org/abs/1805.04777)
      (BMVC 2019), section 4
    - [Conditional Random Fields as Recurrent Neural Networks](
      https://arxiv.org/abs/1502.03240) (ICCV 2015), algorithm 1

    Args:
        window: Height and width of the window, an odd number. Defaults to `11`.
        bilateral_compat: Initial weight of the bilateral kernel. Defaults to `4.0`.
        bilateral_xy: Standard deviation of its positions, in pixels. Defaults to `121.0`.
        bilateral_rgb: Standard deviation of its colours, of 0 to 255. Defaults to `5.0`.
        gaussian_compat: Initial weight of the Gaussian kernel. Defaults to `3.0`.
        gaussian_xy: Standard deviation of its positions, in pixels. Defaults to `3.0`.
        iterations: Number of mean-field updates. Defaults to `5`.
        from_logits: Whether logits come in, and go out. Defaults to `False`.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Call arguments:
        inputs: List of the probabilities (or logits), of shape
            `(batch, height, width, classes)`, where one channel is the foreground, and
            the images, 0-255, of shape `(batch, height, width, channels)`.

    Output shape:
        The shape of the probabilities. Inside it computes in float32.

    Raises:
        ValueError: If `window` is even, a number is not positive, or the inputs are not
            two maps of equal size.
        TypeError: If `window` or `iterations` is not an integer.

    Example:

    >>> net = kseg.models.unet((256, 256, 3), 5)
    >>> refined = kseg.layers.CRFRefinement()([net.output, net.input])
    >>> model = keras.Model(net.input, refined)
    """

    def __init__(
        self,
        window: int = 11,
        bilateral_compat: float = 4.0,
        bilateral_xy: float = 121.0,
        bilateral_rgb: float = 5.0,
        gaussian_compat: float = 3.0,
        gaussian_xy: float = 3.0,
        iterations: int = 5,
        from_logits: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive("window", window)
        check_positive("iterations", iterations)
        if window % 2 == 0:
            raise ValueError(
                "`window` must be odd, so that a pixel is in the middle. "
                f"Received: window={window}"
            )
        deviations = {
            "bilateral_xy": bilateral_xy,
            "bilateral_rgb": bilateral_rgb,
            "gaussian_xy": gaussian_xy,
        }
        for name, value in deviations.items():
            if not 0 < value < np.inf:
                raise ValueError(
                    f"`{name}` must be a positive number. Received: {name}={value}"
                )
        self.window = window
        self.bilateral_compat = bilateral_compat
        self.bilateral_xy = bilateral_xy
        self.bilateral_rgb = bilateral_rgb
        self.gaussian_compat = gaussian_compat
        self.gaussian_xy = gaussian_xy
        self.iterations = iterations
        self.from_logits = from_logits

    def build(self, input_shape):
        _check_pair(input_shape)
        classes = max(input_shape[0][-1], 2)
        # Energies of pairs of classes. Potts' own are constant but for the diagonal, and
        # a constant changes no probability.
        self.bilateral_energies, self.gaussian_energies = (
            self.add_weight(
                shape=(classes, classes),
                initializer=keras.initializers.Identity(-weight),
                name=name,
            )
            for name, weight in (
                ("bilateral_energies", self.bilateral_compat),
                ("gaussian_energies", self.gaussian_compat),
            )
        )

    def call(self, inputs):
        inputs, image = (ops.cast(tensor, "float32") for tensor in inputs)
        unary = self._scores(inputs)
        colors = image / self.bilateral_rgb

        def bilateral(values):
            return _filter(values, colors, self.window, self.bilateral_xy)

        def gaussian(values):
            return _filter_plane(values, self.window, self.gaussian_xy)

        one = ops.ones_like(unary[..., :1])
        terms = [
            (kernel, ops.rsqrt(kernel(one)), ops.cast(energies, "float32"))
            for kernel, energies in (
                (bilateral, self.bilateral_energies),
                (gaussian, self.gaussian_energies),
            )
        ]
        scores = unary
        for _ in range(self.iterations):
            values = ops.softmax(scores)
            scores = unary
            for kernel, norm, energies in terms:
                messages = norm * kernel(norm * values)
                messages = messages - norm**2 * values  # none from a pixel to itself
                scores = scores - ops.matmul(messages, energies)
        return ops.cast(self._outputs(scores, inputs.shape[-1]), self.compute_dtype)

    def _scores(self, inputs):
        if not self.from_logits:
            if inputs.shape[-1] == 1:
                inputs = ops.concatenate([1 - inputs, inputs], -1)
            return ops.log(ops.clip(inputs, _SMALLEST, 1.0))
        if inputs.shape[-1] == 1:
            return ops.concatenate([ops.zeros_like(inputs), inputs], -1)
        return inputs

    def _outputs(self, scores, channels):
        if not self.from_logits:
            return ops.softmax(scores)[..., -channels:]
        return scores if channels > 1 else scores[..., 1:] - scores[..., :1]

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def get_config(self):
        return {
            **super().get_config(),
            "window": self.window,
            "bilateral_compat": self.bilateral_compat,
            "bilateral_xy": self.bilateral_xy,
            "bilateral_rgb": self.bilateral_rgb,
            "gaussian_compat": self.gaussian_compat,
            "gaussian_xy": self.gaussian_xy,
            "iterations": self.iterations,
            "from_logits": self.from_logits,
        }


def _filter(values, colors, window, sigma):
    """Sums values over the window, weighted by the Gaussian of place and colour."""

    @ops.custom_gradient
    def filter(values, colors):
        # The kernel is symmetric, so that the gradient is filtered as the values are.
        def gradient(*positional, upstream=None):
            upstream = positional[0] if upstream is None else upstream
            filtered = _sum_over_window(upstream, colors, window, sigma)
            return filtered, ops.zeros_like(colors)

        return _sum_over_window(values, colors, window, sigma), gradient

    return filter(values, colors)


def _sum_over_window(values, colors, window, sigma):
    # One offset after another: all at once take window**2 times the memory.
    margin = window // 2
    padding = ((0, 0), (margin, margin), (margin, margin), (0, 0))
    shapes = [ops.shape(values), ops.shape(colors)]
    padded = [ops.pad(values, padding), ops.pad(colors, padding)]
    offsets = np.indices((window, window)).reshape(2, -1) - margin
    distances = np.square(offsets / sigma).sum(0).astype("float32")
    distances = ops.convert_to_tensor(distances)

    def add(number, total):
        start = (0, number // window, number % window, 0)
        other_values, other_colors = (
            ops.slice(tensor, start, shape)
            for tensor, shape in zip(padded, shapes, strict=True)
        )
        squares = ops.sum(ops.square(colors - other_colors), -1, keepdims=True)
        # Beyond the border values are 0, whatever their weight.
        return total + ops.exp(-0.5 * (squares + distances[number])) * other_values

    return ops.fori_loop(0, window**2, add, ops.zeros_like(values))


def _filter_plane(values, window, sigma):
    """Sums values over the window, weighted by the Gaussian of place."""
    offsets = np.arange(window) - window // 2
    taps = np.exp(-0.5 * np.square(offsets / sigma)).astype("float32")
    taps = np.tile(taps[:, None], (1, values.shape[-1]))
    for shape in ((window, 1, -1, 1), (1, window, -1, 1)):
        values = ops.depthwise_conv(values, taps.reshape(shape), 1, "same")
    return values


def _check_pair(input_shape):
    is_pair = (
        isinstance(input_shape, list | tuple)
        and len(input_shape) == 2
        and all(isinstance(shape, list | tuple) for shape in input_shape)
        and all(len(shape) == 4 for shape in input_shape)
    )
    if not is_pair or any(
        a != b and None not in (a, b)
        for a, b in zip(*(shape[:3] for shape in input_shape), strict=True)
    ):
        raise ValueError(
            "`inputs` must be a list of probabilities and images, both of shape "
            "`(batch, height, width, channels)` and equal in all but the channels. "
            f"Received: inputs of shape {input_shape}"
        )
