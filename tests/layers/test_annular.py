"""Annular convolution against a sum over rolled neighbours."""

import numpy as np
import pytest
from keras import ops

from kseg.layers import AnnularConv


def outputs(layer, neighbors):
    return ops.convert_to_numpy(layer(neighbors))


def neighbors_of(k):
    return np.random.default_rng(0).normal(size=(2, 3, k, 4)).astype("float32")


@pytest.mark.parametrize("k,kernel_size", [(7, 3), (2, 3), (6, 5), (5, 1)])
def test_is_the_sum_over_rolled_neighbors(k, kernel_size):
    neighbors, layer = neighbors_of(k), AnnularConv(5, kernel_size)
    found = outputs(layer, neighbors)
    kernel, bias = (ops.convert_to_numpy(w) for w in layer.weights)
    expected = bias + sum(
        np.roll(neighbors, -shift, axis=2) @ kernel[0, shift]
        for shift in range(kernel_size)
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_maximum_forgets_where_the_circle_begins():
    neighbors, layer = neighbors_of(7), AnnularConv(5)
    expected = outputs(layer, neighbors).max(2)
    for shift in range(1, 7):
        turned = np.roll(neighbors, shift, axis=2)
        np.testing.assert_allclose(outputs(layer, turned).max(2), expected, atol=1e-5)


def test_too_few_neighbors_to_go_around():
    with pytest.raises(ValueError, match=r"at least 4 .*shape=\(2, 3, 3, 4\)"):
        AnnularConv(5, 5)(neighbors_of(3))


@pytest.mark.parametrize("filters,error", [(0, ValueError), (1.5, TypeError)])
def test_bad_filters(filters, error):
    with pytest.raises(error, match=f"Received: filters={filters}"):
        AnnularConv(filters)
