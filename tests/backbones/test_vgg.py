"""VGG-16 against that of keras.applications, and its dense layers as convolutions."""

import keras
import numpy as np
import pytest

from kseg import backbones

to_numpy = keras.ops.convert_to_numpy
preprocess = keras.applications.vgg16.preprocess_input


def parameters(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def application(include_top, size):
    """The net of keras.applications with biases that show."""
    net = keras.applications.VGG16(
        include_top=include_top, weights=None, input_shape=(*size, 3)
    )
    rng = np.random.default_rng(0)
    for layer in net.layers:
        if layer.weights:
            layer.bias.assign(rng.normal(0, 0.1, layer.bias.shape))
    return net


def assert_equal(found, expected):
    """To float32's precision over sixteen layers, beside the largest value."""
    scale = np.abs(expected).max()
    assert scale > 0
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=2e-5)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """The convolutional layers of keras.applications, and a file with their weights."""
    net = application(False, (64, 96))
    path = tmp_path_factory.mktemp("vgg") / "features.weights.h5"
    net.save_weights(path)
    return net, path


@pytest.fixture(scope="module")
def loaded(features):
    return backbones.get("vgg16", (64, 96, 3), weights=features[1])


def test_maps_are_those_behind_the_pools_of_the_application(features, loaded, picture):
    net, _ = features
    image = picture(64, 96)
    pools = [net.get_layer(f"block{i}_pool").output for i in range(1, 6)]
    expected = keras.Model(net.input, pools)(preprocess(image.copy()))
    for one, other in zip(loaded(image), expected, strict=True):
        assert_equal(to_numpy(one), to_numpy(other))


def test_order_of_the_colours_is_folded_into_the_first_kernel_without_rounding(
    features, loaded
):
    net, _ = features
    bgr, bias = net.get_layer("block1_conv1").get_weights()
    kernel, own_bias = loaded.get_layer("conv1_1").get_weights()
    np.testing.assert_array_equal(kernel / 128, bgr[:, :, [2, 1, 0]])
    np.testing.assert_array_equal(own_bias, bias)


def test_imagenet_weights_come_through_keras(monkeypatch, features, tmp_path):
    _, path = features
    asked = []

    def get_file(name, *args, **kwargs):
        asked.append(name)
        return str(path)

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    backbones.get("vgg16", (32, 32, 3), weights="imagenet")
    # The name on storage.googleapis.com/tensorflow/keras-applications/vgg16.
    assert asked == ["vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"]


@pytest.mark.slow
def test_fc6_and_fc7_are_the_dense_layers(tmp_path, picture):
    """The classifier's 138 million weights, from its file."""
    net = application(True, (224, 224))
    path = tmp_path / "classifier.weights.h5"
    net.save_weights(path)
    backbone = backbones.get(
        "vgg16", (224, 224, 3), weights=path, include_fc=True, padding="valid"
    )
    assert parameters(backbone) == 14_714_688 + 102_764_544 + 16_781_312
    image = picture(224, 224)
    dense = keras.Model(net.input, net.get_layer("fc2").output)
    found = to_numpy(backbone(image)[-1])
    assert found.shape == (1, 1, 1, 4096)
    assert_equal(found[:, 0, 0], to_numpy(dense(preprocess(image.copy()))))


def test_number_of_parameters_is_that_of_the_convolutions():
    """Table 2 of the paper less its dense layers."""
    backbone = backbones.get("vgg16", (None, None, 3))
    assert parameters(backbone) == 14_714_688
    assert [x.shape[-1] for x in backbone.outputs] == [64, 128, 256, 512, 512]


def narrow(size=(None, None), **options):
    return backbones.get("vgg16", (*size, 3), width_multiplier=0.125, **options)


def test_pixels_around_the_image_have_the_mean_colour(picture):
    """Padding of 100 behind the mean equals an image with a frame of the mean."""
    padded, plain = narrow(image_padding=100), narrow()
    plain.set_weights(padded.get_weights())
    image = picture(33, 40)
    # That of preprocess_input of keras.applications.vgg16, as RGB. The outermost pixel
    # of the 100 is what the first convolution adds in both.
    framed = np.tile(np.float32([123.68, 116.779, 103.939]), (1, 231, 238, 1))
    framed[:, 99:-99, 99:-99] = image
    for one, other in zip(padded(image), plain(framed), strict=True):
        assert_equal(to_numpy(one), to_numpy(other))


@pytest.mark.parametrize("pool_size", [2, 3])
@pytest.mark.parametrize("output_stride", [16, 32])
@pytest.mark.parametrize("size", [(64, 96), (65, 97), (47, 33)])
def test_sizes_are_rounded_up(size, output_stride, pool_size):
    backbone = narrow(output_stride=output_stride, pool_size=pool_size)
    strides = [s for s in (2, 4, 8, 16, 32) if s <= output_stride]
    assert [x[1:3] for x in backbone.compute_output_shape((1, *size, 3))] == [
        (-(-size[0] // stride), -(-size[1] // stride)) for stride in strides
    ]


@pytest.mark.parametrize("pool_size", [2, 3])
def test_dense_map_subsampled_is_that_of_the_strided_net(pool_size, picture):
    strided, dense = (
        narrow(include_fc=True, output_stride=stride, pool_size=pool_size)
        for stride in (32, 16)
    )
    dense.set_weights(strided.get_weights())
    image = picture(97, 129)
    found = to_numpy(dense(image)[-1])[:, ::2, ::2]
    assert_equal(found, to_numpy(strided(image)[-1]))


def test_deeplab_leaves_out_two_strides_and_dilates_behind_them():
    """Section 3.1: conv5_x by 2, and the 7x7 of fc6 by 4."""
    backbone = narrow(output_stride=8, pool_size=3, include_fc=True)
    rates = {
        layer.name: layer.dilation_rate[0]
        for layer in backbone.layers
        if isinstance(layer, keras.layers.Conv2D)
    }
    assert {name: rate for name, rate in rates.items() if rate > 1} == {
        "conv5_1": 2,
        "conv5_2": 2,
        "conv5_3": 2,
        "fc6": 4,
    }
    pools = [backbone.get_layer(f"pool{i}") for i in range(1, 6)]
    assert [pool.strides[0] for pool in pools] == [2, 2, 2, 1, 1]
    assert {pool.pool_size for pool in pools} == {(3, 3)}
    # The paper's crops of 321 have maps of 41.
    assert backbone.compute_output_shape((1, 321, 321, 3))[-1][1:3] == (41, 41)


def test_pools_of_deeplab_are_centred():
    backbone = narrow(size=(32, 48), pool_size=3)
    first = keras.Model(backbone.input, backbone.get_layer("pool1").output)
    behind = keras.Model(backbone.input, backbone.get_layer("conv1_2").output)
    image = np.random.default_rng(0).uniform(0, 255, (1, 32, 48, 3))
    x, pooled = to_numpy(behind(image)), to_numpy(first(image))
    np.testing.assert_array_equal(pooled[0, 3, 5], x[0, 5:8, 9:12].max((0, 1)))
    np.testing.assert_array_equal(pooled[0, 0, 0], x[0, :2, :2].max((0, 1)))


def test_fc6_slides_over_the_image_without_padding(picture):
    """Section 3.1 of FCN: windows of 224 in steps of 32, where nothing is padded."""
    backbone = narrow(include_fc=True, padding="valid")
    assert backbone.compute_output_shape((1, 224, 193, 3))[-1][1:3] == (1, 1)
    assert backbone.compute_output_shape((1, 256, 320, 3))[-1][1:3] == (2, 4)
    # The pools of the published Caffe model for an image of 500, and 16 behind fc7.
    padded = narrow(include_fc=True, padding="valid", image_padding=100)
    assert padded.compute_output_shape((1, 500, 500, 3))[-1][1:3] == (16, 16)
    pools = padded.compute_output_shape((1, 500, 500, 3))[:-1]
    assert [shape[1] for shape in pools] == [349, 175, 88, 44]


def test_dropout_is_behind_fc6_and_fc7():
    names = [layer.name for layer in narrow(include_fc=True).layers]
    assert names[-4:] == ["fc6", "drop6", "fc7", "drop7"]
    names = [layer.name for layer in narrow(include_fc=True, dropout_rate=0).layers]
    assert names[-2:] == ["fc6", "fc7"]


def test_other_channel_counts_go_to_plus_and_minus_one():
    backbone = backbones.get("vgg16", (32, 32, 5), width_multiplier=0.125)
    rescaled = keras.Model(backbone.input, backbone.get_layer("rescaling").output)
    image = np.tile(np.float32([0, 255, 0, 255, 127.5]), (1, 32, 32, 1))
    values = to_numpy(rescaled(image))[0, 16, 16]
    np.testing.assert_allclose(values, [-1, 1, -1, 1, 0], atol=1e-6)


def test_rescale_off_hands_the_values_on_as_they_are():
    names = [layer.name for layer in narrow(rescale=False).layers]
    assert names[:2] == ["image", "conv1_1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output_stride": 4}, "must be one of .*Received: output_stride=4"),
        ({"output_stride": 8}, "needs `pool_size=3`.*output_stride=8, pool_size=2"),
        ({"pool_size": 4}, "must be 2 or 3. Received: pool_size=4"),
        ({"width_multiplier": 0}, "positive.*Received: width_multiplier=0"),
        ({"dropout_rate": 1}, "less than 1. Received: dropout_rate=1"),
        ({"image_padding": 0}, "positive. Received: image_padding=0"),
        ({"padding": "valid"}, "without `fc6`.*include_fc=False"),
        ({"padding": 100}, "Received: padding=100"),
        ({"weights": "imagenet", "width_multiplier": 0.5}, "width_multiplier=0.5"),
    ],
    ids=str,
)
def test_value_that_no_net_can_be_built_with_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        backbones.get("vgg16", (64, 96, 3), **arguments)


def test_image_smaller_than_fc6_is_refused_with_the_smallest():
    options = {"include_fc": True, "padding": "valid"}
    assert narrow(size=(193, None), **options).output[-1].shape[1] == 1
    with pytest.raises(ValueError, match=r"at least 193 .*input_shape=\(192, 224, 3\)"):
        narrow(size=(192, 224), **options)


def test_pretrained_weights_need_three_channels(features):
    with pytest.raises(ValueError, match="3 channels.*Received: channels=1"):
        backbones.get("vgg16", (64, 64, 1), weights=features[1])


def test_file_of_another_net_is_refused_with_what_it_must_fit(tmp_path):
    path = tmp_path / "other.weights.h5"
    narrow(size=(64, 64)).save_weights(path)
    with pytest.raises(ValueError, match=r"VGG16\(include_top=False\).*Received: wei"):
        backbones.get("vgg16", (64, 64, 3), weights=path)
