"""A vector for every point, and some of the channels."""

import numpy as np
import pytest

from kseg.layers import ChannelSlice, RepeatLike1D


def test_every_point_gets_the_vector_of_its_cloud():
    vector = np.float32([[1, 2], [3, 4]])
    found = RepeatLike1D()([vector, np.zeros((2, 3, 5), "float32")])
    np.testing.assert_array_equal(found, [[[1, 2]] * 3, [[3, 4]] * 3])


def test_what_is_not_finite_is_named_with_its_row():
    cloud = np.zeros((2, 3, 5), "float32")
    cloud[1, 2, 0] = np.inf
    with pytest.raises(ValueError, match=r"Received: like\[1, 2\]="):
        RepeatLike1D()([np.zeros((2, 4), "float32"), cloud])


@pytest.mark.parametrize("start,stop", [(0, 3), (3, None), (-2, None), (1, -1)])
def test_a_slice_is_that_of_numpy(start, stop):
    x = np.arange(12, dtype="float32").reshape(1, 2, 6)
    layer = ChannelSlice(start, stop)
    np.testing.assert_array_equal(layer(x), x[..., start:stop])
    assert layer.compute_output_shape(x.shape) == x[..., start:stop].shape


def test_a_slice_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="Received: start=3, stop=None"):
        ChannelSlice(3)(np.zeros((1, 2, 3), "float32"))
