"""A net made dense computes what the net computes, at more positions.

The oracle is the strided net itself: the dense maps, subsampled, are its maps.
"""

import keras
import numpy as np
import pytest

from kseg import backbones
from kseg.backbones.strides import feature_maps

# Odd in every halving of the first, odd and not square in the second.
SIZES = [(65, 65), (97, 129)]

NETS = [
    ("mobilenet_v2", 0.35),
    ("mobilenet_v3_small", 0.5),
    ("mobilenet_v3_large", 0.35),
    ("efficientnet_b0", 0.25),
    ("efficientnet_v2_b0", 0.25),
]
DEEPER_NETS = [
    (f"efficientnet_{kind}", 0.25)
    for kind in ("b1", "b2", "b3", "v2_b1", "v2_b2", "v2_b3")
]


def randomize(model, seed=0):
    """Gives BatchNorm the statistics of no net, so that none is the identity."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights(
                [
                    rng.uniform(0.7, 1.4, gamma.shape),
                    rng.normal(0, 0.3, beta.shape),
                    rng.normal(0, 0.3, mean.shape),
                    rng.uniform(0.5, 2.0, variance.shape),
                ]
            )


def picture(height, width, channels=3):
    rng = np.random.default_rng(height)
    return rng.uniform(0, 255, (1, height, width, channels)).astype("float32")


def assert_subsampled(dense, strided):
    """Every map of `strided` is found in `dense`, in the one of the same depth."""
    for n, expected in enumerate(strided):
        expected = keras.ops.convert_to_numpy(expected)
        found = keras.ops.convert_to_numpy(dense[min(n, len(dense) - 1)])
        if n < len(dense) - 1:
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    step = 2 ** (len(strided) - len(dense))
    height, width = expected.shape[1:3]
    found = found[:, ::step, ::step][:, :height, :width]
    scale = np.abs(expected).max()
    assert scale > 0.1
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=1e-4)


def compare(name, width, output_strides):
    shape = (None, None, 3)
    strided = backbones.get(name, shape, width_multiplier=width)
    randomize(strided)
    for output_stride in output_strides:
        dense = backbones.get(
            name, shape, width_multiplier=width, output_stride=output_stride
        )
        dense.set_weights(strided.get_weights())
        for size in SIZES:
            image = picture(*size)
            maps = dense(image)
            assert_subsampled(maps, strided(image))
            assert maps[-1].shape[1] == -(-size[0] // output_stride)
            assert maps[-1].shape[2] == -(-size[1] // output_stride)


@pytest.mark.parametrize(("name", "width"), NETS)
def test_dense_map_subsampled_is_the_strided_map(name, width):
    compare(name, width, (8, 16))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "width"), DEEPER_NETS)
def test_dense_map_subsampled_is_the_strided_map_in_deeper_nets(name, width):
    compare(name, width, (8, 16))


def test_dense_map_behind_an_average_pool_subsampled_is_the_strided_map():
    strided = backbones.get("densenet121", (None, None, 3), width_multiplier=0.25)
    randomize(strided)
    dense = backbones.get(
        "densenet121", (None, None, 3), width_multiplier=0.25, output_stride=16
    )
    dense.set_weights(strided.get_weights())
    for size in SIZES:
        image = picture(*size)
        maps = dense(image)
        assert_subsampled(maps, strided(image))
        # As large as the finer maps of stride 16 that the last pool read.
        assert maps[-1].shape[1:3] == (size[0] // 16, size[1] // 16)


def dilations(model):
    found = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D) and (
            max(layer.kernel_size) > 1
        ):
            found[layer.name] = layer.dilation_rate[0]
    return found


def test_only_convolutions_behind_a_stride_left_out_are_dilated():
    model = backbones.get(
        "mobilenet_v3_small", (64, 96, 3), width_multiplier=0.35, output_stride=8
    )
    found = dilations(model)
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
    return keras.Model(image, maps)


def test_explicit_padding_before_a_strided_convolution_is_dilated_with_it():
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
    expected = keras.ops.convert_to_numpy(net(image))
    found = keras.ops.convert_to_numpy(dense(image)[-1])
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


def test_padding_written_out_for_an_even_size_fits_odd_sizes_too():
    # keras.applications pads by (0, 1) for even sizes and by (1, 1) for odd ones.
    net = small_net(
        keras.layers.ZeroPadding2D(((0, 1), (0, 1))),
        keras.layers.Conv2D(4, 3, strides=2),
        size=32,
    )
    model = rewrite(net, 32)
    assert not any(isinstance(x, keras.layers.ZeroPadding2D) for x in model.layers)
    image = picture(32, 32)
    np.testing.assert_allclose(model(image)[-1], net(image), rtol=1e-4, atol=1e-3)
    assert model(picture(33, 33))[-1].shape == (1, 5, 5, 4)


def test_bare_operations_and_nested_models_survive():
    nested = keras.Sequential(
        [keras.layers.Conv2D(4, 3, strides=2, padding="same"), keras.layers.ReLU()]
    )
    net = small_net(
        nested, lambda x: (x + 3.0) * 0.5, keras.layers.Conv2D(4, 3, padding="same")
    )
    image = picture(33, 33)
    np.testing.assert_allclose(
        rewrite(net, 4)(image)[-1][:, ::2, ::2], net(image), rtol=1e-4, atol=1e-3
    )


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
