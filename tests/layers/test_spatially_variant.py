"""Convolution with a kernel per pixel; torch's `unfold` knows what it gives."""

import numpy as np
import pytest
from keras import ops

from kseg.layers import SpatiallyVariantConv2D

SIZE = (7, 10)
every_size = pytest.mark.parametrize("kernel_size", [1, 3, 9])


def features(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def convolve(x, kernels, kernel_size):
    return ops.convert_to_numpy(SpatiallyVariantConv2D(kernel_size)([x, kernels]))


def one_hot(kernel_size, u, v):
    """The kernel whose only tap is that of the offset `u` down, `v` to the right."""
    reach = kernel_size // 2
    kernels = np.zeros((1, *SIZE, kernel_size**2), "float32")
    kernels[..., (u + reach) * kernel_size + v + reach] = 1
    return kernels


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


@every_size
def test_is_a_sum_over_what_torch_unfolds(kernel_size):
    torch = pytest.importorskip("torch", reason="needs `make oracles`")
    x = features(2, *SIZE, 3)
    kernels = softmax(features(2, *SIZE, kernel_size**2))
    patches = torch.nn.functional.unfold(
        torch.tensor(x).permute(0, 3, 1, 2), kernel_size, padding=kernel_size // 2
    )
    patches = patches.reshape(2, 3, kernel_size**2, *SIZE)
    # Unfolded are the neighbours; a convolution takes them in the opposite order.
    expected = torch.einsum("bckyx,byxk->byxc", patches.flip(2), torch.tensor(kernels))
    np.testing.assert_allclose(
        convolve(x, kernels, kernel_size), expected.numpy(), atol=1e-5
    )


@every_size
def test_one_hot_at_the_centre_is_the_identity(kernel_size):
    x = features(1, *SIZE, 3)
    kernels = one_hot(kernel_size, 0, 0)
    np.testing.assert_array_equal(convolve(x, kernels, kernel_size), x)


@pytest.mark.parametrize("u,v", [(1, 0), (0, -4), (-3, 2), (4, 4)])
def test_one_hot_shifts_exactly_and_fills_with_zeros(u, v):
    x = features(1, *SIZE, 3)
    expected = np.zeros_like(x)
    for row in range(SIZE[0]):
        for column in range(SIZE[1]):
            if 0 <= row - u < SIZE[0] and 0 <= column - v < SIZE[1]:
                expected[:, row, column] = x[:, row - u, column - v]
    np.testing.assert_array_equal(convolve(x, one_hot(9, u, v), 9), expected)


def test_weights_of_sum_one_keep_a_constant_away_from_the_border():
    x = np.full((1, *SIZE, 2), 3, "float32")
    found = convolve(x, softmax(features(1, *SIZE, 9)), 3)
    np.testing.assert_allclose(found[:, 1:-1, 1:-1], 3, atol=1e-5)
    assert found[:, 0].max() < 3


@pytest.mark.parametrize(
    ("kernel_size", "error"), [(4, ValueError), (0, ValueError), (3.0, TypeError)]
)
def test_sizes_that_have_no_centre(kernel_size, error):
    with pytest.raises(error, match=f"Received: kernel_size={kernel_size}"):
        SpatiallyVariantConv2D(kernel_size)


def test_kernels_of_another_size():
    with pytest.raises(ValueError, match="81 channels.*Received: inputs of shape"):
        SpatiallyVariantConv2D()([features(1, *SIZE, 3), features(1, *SIZE, 25)])
