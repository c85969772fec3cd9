import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import softmax

from kseg.layers import CRFRefinement
from kseg.postprocess import DenseCRF

SETTINGS = {
    "bilateral_compat": 3.0,
    "bilateral_xy": 5.0,
    "bilateral_rgb": 25.0,
    "gaussian_compat": 2.0,
    "gaussian_xy": 2.0,
    "iterations": 3,
}


def random_case(batch, height, width, classes, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.integers(80, 160, (batch, height, width, 3), np.uint8)
    probabilities = rng.dirichlet(np.ones(classes), (batch, height, width))
    return probabilities.astype(np.float32), image


def kernels_by_hand(image, window):
    """The two normalised kernels of one image without their diagonals, pair by pair."""
    height, width = image.shape[:2]
    places = np.stack(np.indices((height, width)), -1).reshape(-1, 2).astype(float)
    colors = image.reshape(-1, image.shape[2]).astype(float)
    apart = abs(places[:, None] - places)
    is_near = (apart <= window // 2).all(-1)
    squares = np.square(apart).sum(-1)
    color_squares = np.square(colors[:, None] - colors).sum(-1)
    for kernel in (
        np.exp(
            -squares / (2 * SETTINGS["bilateral_xy"] ** 2)
            - color_squares / (2 * SETTINGS["bilateral_rgb"] ** 2)
        ),
        np.exp(-squares / (2 * SETTINGS["gaussian_xy"] ** 2)),
    ):
        kernel = kernel * is_near
        sums = kernel.sum(1)
        kernel = kernel / np.sqrt(sums[:, None] * sums)
        yield kernel * (1 - np.eye(len(kernel)))


def mean_field_by_hand(unary, image, window, energies):
    """Scores after Krähenbühl and Koltun's algorithm 1, in float64."""
    kernels = list(kernels_by_hand(image, window))
    scores = unary.reshape(-1, unary.shape[-1])
    for _ in range(SETTINGS["iterations"]):
        values = softmax(scores, -1)
        scores = unary.reshape(values.shape) - sum(
            kernel @ values @ energy
            for kernel, energy in zip(kernels, energies, strict=True)
        )
    return scores.reshape(unary.shape)


def potts(classes):
    names = ("bilateral_compat", "gaussian_compat")
    return [SETTINGS[name] * (1 - np.eye(classes)) for name in names]


@pytest.mark.parametrize("window", [1, 3, 7, 17])
def test_equals_dense_matrices_that_end_at_the_window(window):
    probabilities, image = random_case(2, 6, 9, 4)
    result = CRFRefinement(window, **SETTINGS)([probabilities, image])
    expected = [
        softmax(mean_field_by_hand(np.log(p), photo, window, potts(4)), -1)
        for p, photo in zip(probabilities.astype(float), image, strict=True)
    ]
    np.testing.assert_allclose(ops.convert_to_numpy(result), expected, atol=1e-5)


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_window_over_the_image_equals_the_exact_dense_crf(classes):
    probabilities, image = random_case(2, 6, 9, max(classes, 2))
    probabilities = probabilities[..., :classes]
    probabilities[0, 2, 3] = np.eye(classes)[0]
    result = CRFRefinement(17, **SETTINGS)([probabilities, image])
    crf = DenseCRF(**SETTINGS, method="exact")
    expected = [crf(photo, p) for photo, p in zip(image, probabilities, strict=True)]
    np.testing.assert_allclose(ops.convert_to_numpy(result), expected, atol=1e-5)


@pytest.mark.parametrize("classes", [1, 3])
def test_logits_in_and_out_are_those_of_the_probabilities(classes):
    probabilities, image = random_case(2, 6, 9, max(classes, 2))
    probabilities = probabilities[..., :classes]
    logits = np.log(probabilities)
    if classes == 1:
        logits = logits - np.log(1 - probabilities)
    out = CRFRefinement(5, **SETTINGS, from_logits=True)([logits, image])
    result = ops.sigmoid(out) if classes == 1 else ops.softmax(out)
    expected = CRFRefinement(5, **SETTINGS)([probabilities, image])
    np.testing.assert_allclose(
        ops.convert_to_numpy(result), ops.convert_to_numpy(expected), atol=1e-5
    )


class Shift(keras.layers.Layer):
    """Adds a trainable tensor of the input's size."""

    def build(self, input_shape):
        self.shift = self.add_weight(shape=input_shape[1:], initializer="zeros")

    def call(self, inputs):
        return inputs + self.shift


class SumOfTarget(keras.losses.Loss):
    """A loss that is linear in the outputs, with the target as its weights."""

    def call(self, y_true, y_pred):
        return ops.sum(y_true * y_pred)


def test_gradients_are_finite_differences_of_the_dense_matrices():
    window = 5
    probabilities, image = random_case(1, 4, 5, 3)
    logits = np.log(probabilities).astype(float)
    target = np.random.default_rng(1).normal(size=logits.shape)
    inputs = [keras.Input(logits.shape[1:]), keras.Input(image.shape[1:])]
    shifts = [Shift(), Shift()]
    crf = CRFRefinement(window, **SETTINGS, from_logits=True)
    outputs = crf([shift(x) for shift, x in zip(shifts, inputs, strict=True)])
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(1.0), SumOfTarget("sum"))
    before = ops.convert_to_numpy(crf.bilateral_energies).copy()
    model.train_on_batch(
        [logits.astype("float32"), image.astype("float32")], target.astype("float32")
    )
    logits_gradient = -ops.convert_to_numpy(shifts[0].shift)[None]
    energies_gradient = before - ops.convert_to_numpy(crf.bilateral_energies)

    def loss(logits, energies):
        # The logits that come out hold the constant of Potts' energies: 0 in the layer.
        gaussian = -SETTINGS["gaussian_compat"] * np.eye(3)
        scores = mean_field_by_hand(logits[0], image[0], window, [energies, gaussian])
        return (target[0] * scores).sum()

    energies = -SETTINGS["bilateral_compat"] * np.eye(3)
    step = 1e-5
    for index in ((0, 0, 0, 0), (0, 1, 2, 1), (0, 3, 4, 2)):
        bump = np.zeros_like(logits)
        bump[index] = step
        slope = loss(logits + bump, energies) - loss(logits - bump, energies)
        np.testing.assert_allclose(
            logits_gradient[index], slope / (2 * step), rtol=1e-3, atol=1e-4
        )
    for index in ((0, 0), (0, 2), (2, 1)):
        bump = np.zeros_like(energies)
        bump[index] = step
        slope = loss(logits, energies + bump) - loss(logits, energies - bump)
        np.testing.assert_allclose(
            energies_gradient[index], slope / (2 * step), rtol=1e-3, atol=1e-4
        )
    assert not ops.convert_to_numpy(shifts[1].shift).any()  # none for the image


def test_fit_learns_that_two_classes_repel_each_other():
    """A chessboard: Potts' attraction is the opposite of the truth."""
    rng = np.random.default_rng(2)
    mask = np.indices((1, 10, 12)).sum(0) % 2
    soft = 0.5 + 0.1 * (mask - 0.5) + rng.normal(0, 0.1, mask.shape)
    probabilities = np.stack([1 - soft, soft], -1).clip(0.01, 0.99).astype("float32")
    image = np.full((1, 10, 12, 3), 90, "float32")
    # So narrow that the neighbours of the other color outweigh those at the corners.
    crf = CRFRefinement(3, **{**SETTINGS, "bilateral_compat": 0.0, "gaussian_xy": 0.6})
    inputs = [keras.Input(probabilities.shape[1:]), keras.Input(image.shape[1:])]
    model = keras.Model(inputs, crf(inputs))

    def accuracy():
        result = model.predict([probabilities, image], verbose=0)
        return (result.argmax(-1) == mask).mean()

    assert accuracy() < 0.75
    # Mean absolute error to the one-hot masks, which every backend differentiates.
    model.compile(keras.optimizers.Adam(0.3), "mae")
    model.fit([probabilities, image], np.eye(2)[mask], epochs=40, verbose=0)
    assert accuracy() > 0.95


@pytest.mark.parametrize(
    ("arguments", "error", "received"),
    [
        ({"window": 4}, ValueError, "window=4"),
        ({"window": 0}, ValueError, "window=0"),
        ({"window": 3.0}, TypeError, "window=3.0"),
        ({"iterations": 0}, ValueError, "iterations=0"),
        ({"bilateral_rgb": 0}, ValueError, "bilateral_rgb=0"),
        ({"gaussian_xy": float("nan")}, ValueError, "gaussian_xy=nan"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, received):
    with pytest.raises(error, match=f"Received: {received}"):
        CRFRefinement(**arguments)


@pytest.mark.parametrize(
    "shapes",
    [
        [(1, 4, 4, 2)],
        [(1, 4, 4, 2), (1, 4, 4)],
        [(1, 4, 4, 2), (1, 4, 5, 3)],
        [(1, 4, 4, 2), (1, 8, 8, 3)],
    ],
)
def test_inputs_other_than_two_maps_of_equal_size(shapes):
    with pytest.raises(ValueError, match="Received: inputs of shape"):
        CRFRefinement(3)([np.zeros(shape, "float32") for shape in shapes])
