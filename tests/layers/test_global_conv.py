"""What is true of global convolutions alone."""

import keras
import numpy as np
import pytest
import scipy.signal

from kseg.layers import GlobalConv2D

to_numpy = keras.ops.convert_to_numpy


def built(filters=3, kernel_size=5, channels=2):
    """A layer with random kernels and biases."""
    layer = GlobalConv2D(filters, kernel_size)
    layer.build((None, None, None, channels))
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
    return layer


def without_biases(layer):
    layer.set_weights([w * (w.ndim == 4) for w in (to_numpy(v) for v in layer.weights)])
    return layer


@pytest.mark.parametrize(
    ("channels", "kernel_size", "count"),
    # The paper, section 3.1: O(2/k) of a dense kernel. Per channel of the input and of
    # the output: 2 k (channels * 21 + 21 * 21) + 4 * 21.
    [(2048, 15, 1_303_554), (256, 15, 174_594), (2048, 7, 608_370)],
)
def test_number_of_parameters(channels, kernel_size, count):
    layer = GlobalConv2D(21, kernel_size)
    layer.build((None, None, None, channels))
    assert layer.count_params() == count


def test_four_maps_of_a_resnet_have_the_parameters_of_the_paper():
    total = {7: 1_153_992, 15: 2_472_456}
    for kernel_size, count in total.items():
        layers = [GlobalConv2D(21, kernel_size) for _ in range(4)]
        for layer, channels in zip(layers, (256, 512, 1024, 2048), strict=True):
            layer.build((None, None, None, channels))
        assert sum(layer.count_params() for layer in layers) == count


@pytest.mark.parametrize("kernel_size", [1, 3, 7, 15])
def test_impulse_reaches_exactly_the_kernel(kernel_size):
    layer = without_biases(built(kernel_size=kernel_size))
    impulse = np.zeros((1, 21, 25, 2), "float32")
    impulse[0, 10, 12] = 1
    reached = (to_numpy(layer(impulse))[0] != 0).any(-1)
    expected = np.zeros((21, 25), bool)
    half = kernel_size // 2
    expected[10 - half : 11 + half, 12 - half : 13 + half] = True
    np.testing.assert_array_equal(reached, expected)


def test_impulse_response_has_the_rank_of_two_sums_of_separable_kernels():
    """One channel into two: each branch has rank 2 or less, their sum 4 or less."""
    layer = without_biases(built(filters=2, kernel_size=9, channels=1))
    impulse = np.zeros((1, 17, 17, 1), "float32")
    impulse[0, 8, 8] = 1
    response = to_numpy(layer(impulse))[0, 4:13, 4:13].astype("float64")
    for channel in range(2):
        values = np.linalg.svd(response[..., channel], compute_uv=False)
        assert (values > 1e-4 * values[0]).sum() == 4


def test_it_is_linear_but_for_its_biases():
    layer = without_biases(built())
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 2, 9, 11, 2)).astype("float32")
    np.testing.assert_allclose(
        to_numpy(layer(2 * a - 3 * b)),
        2 * to_numpy(layer(a)) - 3 * to_numpy(layer(b)),
        atol=1e-4,
    )


def test_a_kernel_of_rank_1_is_reproduced_exactly():
    """Whole numbers, which float32 adds and multiplies without error."""
    rng = np.random.default_rng(0)
    column, row = rng.integers(-3, 4, (2, 7)).astype("float32")
    layer = GlobalConv2D(1, 7)
    layer.build((None, None, None, 1))
    zeros = [np.zeros(w.shape) for w in layer.weights]
    layer.set_weights(zeros)
    layer.left1.set_weights([column.reshape(7, 1, 1, 1), np.zeros(1)])
    layer.left2.set_weights([row.reshape(1, 7, 1, 1), np.zeros(1)])
    image = rng.integers(-9, 10, (1, 12, 14, 1)).astype("float32")
    expected = scipy.signal.correlate2d(
        image[0, ..., 0], np.outer(column, row), mode="same"
    )
    np.testing.assert_array_equal(to_numpy(layer(image))[0, ..., 0], expected)


def test_it_is_what_torch_computes():
    torch = pytest.importorskip("torch", reason="needs requirements/oracles.txt")
    layer = built()
    image = np.random.default_rng(1).normal(size=(2, 9, 12, 2)).astype("float32")

    def conv(x, sublayer):
        kernel, bias = (torch.tensor(w) for w in sublayer.get_weights())
        return torch.nn.functional.conv2d(
            x, kernel.permute(3, 2, 0, 1), bias, padding="same"
        )

    x = torch.tensor(image).permute(0, 3, 1, 2)
    left = conv(conv(x, layer.left1), layer.left2)
    right = conv(conv(x, layer.right1), layer.right2)
    np.testing.assert_allclose(
        to_numpy(layer(image)), (left + right).permute(0, 2, 3, 1).numpy(), atol=1e-5
    )
    assert [layer.left1.kernel_size, layer.right1.kernel_size] == [(5, 1), (1, 5)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "filters=0"),
        ({"kernel_size": 0}, "kernel_size=0"),
        ({"kernel_size": 14}, "kernel_size=14"),
    ],
)
def test_values_that_no_layer_can_be_built_with(arguments, message):
    with pytest.raises(ValueError, match=f"Received: {message}"):
        GlobalConv2D(**{"filters": 3, **arguments})


def test_kernel_size_of_a_wrong_type():
    with pytest.raises(TypeError, match="Received: kernel_size=1.5"):
        GlobalConv2D(3, 1.5)


def test_kernels_are_drawn_independently():
    layer = GlobalConv2D(3, 5, kernel_initializer="he_normal")
    layer.build((None, None, None, 3))
    left, right = to_numpy(layer.left1.kernel), to_numpy(layer.right2.kernel)
    assert not np.array_equal(left, right)
