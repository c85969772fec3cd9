"""What is true of boundary refinement alone."""

import keras
import numpy as np
import pytest

from kseg.layers import BoundaryRefinement2D

to_numpy = keras.ops.convert_to_numpy


def test_it_is_what_torch_computes():
    torch = pytest.importorskip("torch", reason="needs requirements/oracles.txt")
    layer = BoundaryRefinement2D()
    layer.build((None, None, None, 4))
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
    image = rng.normal(size=(2, 6, 9, 4)).astype("float32")

    def conv(x, sublayer):
        kernel, bias = (torch.tensor(w) for w in sublayer.get_weights())
        return torch.nn.functional.conv2d(
            x, kernel.permute(3, 2, 0, 1), bias, padding=1
        )

    x = torch.tensor(image).permute(0, 3, 1, 2)
    expected = x + conv(torch.relu(conv(x, layer.conv1)), layer.conv2)
    np.testing.assert_allclose(
        to_numpy(layer(image)), expected.permute(0, 2, 3, 1).numpy(), atol=1e-4
    )


def test_nine_of_21_channels_have_the_parameters_of_the_paper():
    layer = BoundaryRefinement2D()
    layer.build((None, None, None, 21))
    # Of the head of a GCN of k = 15, 2,544,276, less its global convolutions, 2,472,456.
    assert 9 * layer.count_params() == 2_544_276 - 2_472_456


def test_without_a_residual_the_scores_are_handed_on():
    layer = BoundaryRefinement2D()
    layer.build((None, None, None, 4))
    layer.conv2.set_weights([np.zeros((3, 3, 4, 4)), np.zeros(4)])
    image = np.random.default_rng(0).normal(size=(2, 6, 9, 4)).astype("float32")
    np.testing.assert_array_equal(to_numpy(layer(image)), image)


def test_kernel_size_must_be_a_positive_integer():
    with pytest.raises(ValueError, match="Received: kernel_size=0"):
        BoundaryRefinement2D(0)
    with pytest.raises(TypeError, match="Received: kernel_size=2.5"):
        BoundaryRefinement2D(2.5)
