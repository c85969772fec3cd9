"""What is true of spatial pyramid pooling alone."""

import keras
import numpy as np
import pytest

from kseg.layers import SpatialPyramidPooling2D

to_numpy = keras.ops.convert_to_numpy

# Divided by all bins, by none, narrower than the finest grid, a single pixel.
SIZES = [(8, 12), (7, 13), (3, 5), (1, 1), (2, 31)]


def features(height, width, channels=3):
    rng = np.random.default_rng(height)
    return rng.normal(size=(2, height, width, channels)).astype("float32")


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("bins", [(1, 2, 4), (6, 3, 2, 1), (5,)], ids=str)
def test_bins_are_those_of_torch(size, bins):
    torch = pytest.importorskip("torch", reason="needs requirements/oracles.txt")
    x = features(*size)
    channels_first = torch.tensor(x).permute(0, 3, 1, 2)
    expected = [
        torch.nn.functional.adaptive_max_pool2d(channels_first, n)
        .permute(0, 2, 3, 1)
        .reshape(2, -1)
        .numpy()
        for n in bins
    ]
    found = to_numpy(SpatialPyramidPooling2D(bins)(x))
    np.testing.assert_array_equal(found, np.concatenate(expected, -1))


def test_default_grids_are_those_of_figure_3():
    """512 channels and 21 bins: 10,752 values, the first of which are global maxima."""
    layer = SpatialPyramidPooling2D()
    x = features(13, 13, 512)
    found = to_numpy(layer(x))
    assert found.shape == layer.compute_output_shape(x.shape) == (2, 10_752)
    np.testing.assert_array_equal(found[:, :512], x.max((1, 2)))


def test_vector_has_the_same_size_for_open_sizes():
    x = keras.Input((None, None, 3))
    model = keras.Model(x, SpatialPyramidPooling2D()(x))
    assert model.output_shape == (None, 63)
    for size in SIZES:
        assert model(features(*size)).shape == (2, 63)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="sizes are open in TensorFlow alone"
)
def test_sizes_known_only_at_run_time():
    import tensorflow as tf

    layer = SpatialPyramidPooling2D((1, 3))
    compiled = tf.function(
        layer.call, [tf.TensorSpec((None, None, None, 3))], autograph=False
    )
    for size in SIZES:
        x = features(*size)
        np.testing.assert_array_equal(to_numpy(compiled(x)), to_numpy(layer(x)))


def test_grids_agree_with_tensorflow_addons_where_bins_divide_the_map(data_dir):
    """tfa pools by averages in its pyramid; its AdaptiveMaxPooling2D has our maxima."""
    vectors = np.load(data_dir("../reference") / "tfa_0_23_vectors.npz")
    x = vectors["spp_in"]
    found = to_numpy(SpatialPyramidPooling2D((2, 4))(x))
    expected = [vectors["amax_2x2"], vectors["amax_4x4"]]
    expected = np.concatenate([e.reshape(len(x), -1) for e in expected], -1)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("bins", "error"),
    [((), ValueError), ((1, 0), ValueError), (4, TypeError), ((1.5,), TypeError)],
    ids=str,
)
def test_bins_that_are_no_grids(bins, error):
    with pytest.raises(error, match="Received: bins="):
        SpatialPyramidPooling2D(bins)
