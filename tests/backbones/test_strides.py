"""A net made dense computes what the net computes, at more positions.

The oracle is the strided net itself: the dense maps, subsampled, are its maps.
"""

import keras
import numpy as np
import pytest

from kseg.backbones.strides import feature_maps

to_numpy = keras.ops.convert_to_numpy

# Odd in every halving of the first, odd and not square in the second.
SIZES = [(65, 65), (97, 129)]

# An output stride of 8 leaves out two strides of the net, one of 16 the last.
NETS = [
    ("mobilenet_v2", (8,)),
    ("mobilenet_v3_small", (8, 16)),
    ("mobilenet_v3_large", (8,)),
    ("efficientnet_b0", (8,)),
    ("efficientnet_v2_b0", (8,)),
]
DEEPER_NETS = [
    (f"efficientnet_{kind}", (8, 16))
    for kind in ("b1", "b2", "b3", "v2_b1", "v2_b2", "v2_b3")
]


def assert_subsampled(dense, strided):
    """Every map of `strided` is found in `dense`, in the one of the same depth."""
    for n, expected in enumerate(strided):
        expected = to_numpy(expected)
        found = to_numpy(dense[min(n, len(dense) - 1)])
        if n < len(dense) - 1:
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    step = 2 ** (len(strided) - len(dense))
    height, width = expected.shape[1:3]
    found = found[:, ::step, ::step][:, :height, :width]
    scale = np.abs(expected).max()
    assert scale > 0.1
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "output_strides"),
    [*NETS, *(pytest.param(*net, marks=pytest.mark.slow) for net in DEEPER_NETS)],
)
def test_dense_map_subsampled_is_the_strided_map(
    name, output_strides, narrow, randomize, picture
):
    strided = narrow(name)
    randomize(strided)
    for output_stride in output_strides:
        dense = narrow(name, output_stride)
        dense.set_weights(strided.get_weights())
        for size in SIZES:
            maps = dense(picture(*size))
            assert_subsampled(maps, strided(picture(*size)))
            assert maps[-1].shape[1] == -(-size[0] // output_stride)
            assert maps[-1].shape[2] == -(-size[1] // output_stride)


def test_dense_map_behind_an_average_pool_subsampled_is_the_strided_map(
    narrow, randomize, picture
):
    strided, dense = narrow("densenet121"), narrow("densenet121", 16)
    randomize(strided)
    dense.set_weights(strided.get_weights())
    for size in SIZES:
        maps = dense(picture(*size))
        assert_subsampled(maps, strided(picture(*size)))
        # As large as the map that the last pool read.
        assert maps[-1].shape[1:3] == (size[0] // 16, size[1] // 16)


def dilations(model):
    found = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D) and (
            max(layer.kernel_size) > 1
        ):
            found[layer.name] = layer.dilation_rate[0]
    return found


def test_only_convolutions_behind_a_stride_left_out_are_dilated(narrow):
    found = dilations(narrow("mobilenet_v3_small", 8))
    # Strides of the paper's table 2: the net halves in conv and in blocks 0, 1, 3 and 8.
    assert found["conv"] == 1
    assert found["expanded_conv_3_depthwise"] == 1  # Its stride is left out.
    assert found["expanded_conv_4_depthwise"] == 2
    assert found["expanded_conv_8_depthwise"] == 2  # The second one left out.
    assert found["expanded_conv_9_depthwise"] == 4


def small_net(*blocks, size=33):
    """A net of strides 2 and 4 and then of `blocks`; none of its layers is the identity."""
    image = keras.Input((size, size, 3))
    x = keras.layers.Conv2D(4, 3, strides=4, padding="same")(image)
    for block in blocks:
        x = block(x)
    return keras.Model(image, x)


def rewrite(net, output_stride):
    image = keras.Input((None, None, 3))
    maps, copies = feature_maps(
        net, image, image, output_stride, lambda layer: layer.get_config()
    )
    for source, copy in copies:
        if isinstance(source, keras.layers.Layer):
            copy.set_weights(source.get_weights())
    return keras.Model(image, maps[-1])


def test_explicit_padding_before_a_strided_convolution_is_dilated_with_it(picture):
    net = small_net(
        keras.layers.ZeroPadding2D(1),
        keras.layers.Conv2D(4, 3, strides=2, name="left_out"),
        keras.layers.ZeroPadding2D(2),
        keras.layers.Conv2D(4, 5, name="behind"),
        keras.layers.ZeroPadding2D(1),
        keras.layers.DepthwiseConv2D(3, strides=2, name="second"),
        keras.layers.ZeroPadding2D(1),
        keras.layers.Conv2D(4, 3, name="last"),
        size=65,
    )
    dense = rewrite(net, 4)
    image = picture(65, 65)
    expected = to_numpy(net(image))
    found = to_numpy(dense(image))
    assert found.shape == (1, 17, 17, 4)
    assert expected.shape == (1, 5, 5, 4)
    np.testing.assert_allclose(found[:, ::4, ::4], expected, rtol=1e-4, atol=1e-3)
    assert dilations(dense) == {
        "conv2d_1": 1,
        "left_out": 1,
        "behind": 2,
        "second": 2,
        "last": 4,
    }


def test_padding_written_out_for_an_even_size_fits_odd_sizes_too(picture):
    # keras.applications pads by (0, 1) for even sizes and by (1, 1) for odd ones.
    net = small_net(
        keras.layers.ZeroPadding2D(((0, 1), (0, 1))),
        keras.layers.Conv2D(4, 3, strides=2),
        size=32,
    )
    model = rewrite(net, 32)
    assert not any(isinstance(x, keras.layers.ZeroPadding2D) for x in model.layers)
    image = picture(32, 32)
    found, expected = to_numpy(model(image)), to_numpy(net(image))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    assert model(picture(33, 33)).shape == (1, 5, 5, 4)


def test_bare_operations_and_nested_models_survive(picture):
    nested = keras.Sequential(
        [keras.layers.Conv2D(4, 3, strides=2, padding="same"), keras.layers.ReLU()]
    )
    net = small_net(
        nested, lambda x: (x + 3.0) * 0.5, keras.layers.Conv2D(4, 3, padding="same")
    )
    image = picture(33, 33)
    found, expected = to_numpy(rewrite(net, 4)(image)), to_numpy(net(image))
    np.testing.assert_allclose(found[:, ::2, ::2], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ([keras.layers.Conv2D(4, 2, strides=2)], "patches that do not overlap"),
        ([keras.layers.Conv2D(4, 4, strides=2, padding="same")], "even"),
        (
            [keras.layers.AveragePooling2D(2), keras.layers.AveragePooling2D(2)],
            "a pool cannot be dilated",
        ),
    ],
    ids=["patches", "even kernel", "second pool"],
)
def test_layers_that_cannot_be_dense_are_refused_with_the_reason(blocks, reason):
    net = small_net(*blocks)
    with pytest.raises(ValueError, match=f"{reason}.*Received: output_stride=4"):
        rewrite(net, 4)
