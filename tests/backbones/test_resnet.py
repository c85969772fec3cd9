"""What is true of ResNet alone."""

import keras
import numpy as np
import pytest
from keras import layers

from kseg import backbones

to_numpy = keras.ops.convert_to_numpy

RESNETS = {
    "resnet50": keras.applications.ResNet50,
    "resnet101": keras.applications.ResNet101,
    "resnet152": keras.applications.ResNet152,
}


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.parametrize(
    ("name", "deep_stem", "count"),
    [
        # torchvision's, less the 2,049,000 of the classifier:
        # https://pytorch.org/vision/stable/models.html
        ("resnet50", False, 25_557_032 - 2_049_000),
        ("resnet101", False, 44_549_160 - 2_049_000),
        ("resnet152", False, 60_192_808 - 2_049_000),
        # resnet_v1_50_beta and resnet_v1_101_beta of DeepLab's model zoo.
        ("resnet50", True, 23_631_808),
        pytest.param("resnet101", True, 42_623_936, marks=pytest.mark.slow),
    ],
)
def test_number_of_parameters(name, deep_stem, count):
    model = backbones.get(name, (None, None, 3), deep_stem=deep_stem)
    assert trainable(model) == count
    stem = 128 if deep_stem else 64
    assert [x.shape[-1] for x in model.outputs] == [stem, 256, 512, 1024, 2048]
    convolutions = [x for x in model.layers if isinstance(x, layers.Conv2D)]
    assert all(layer.bias is None for layer in convolutions)


def randomize(net):
    """BatchNorm and biases far from the identity."""
    rng = np.random.default_rng(0)
    for layer in net.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.6, 1.4, w.shape) for w in layer.weights])
        elif isinstance(layer, layers.Conv2D):
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, rng.normal(0, 0.5, bias.shape)])


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    """ResNet-50 of keras.applications with lively weights, and a file of them."""
    net = RESNETS["resnet50"](include_top=False, weights=None)
    randomize(net)
    folder = tmp_path_factory.mktemp("resnet")
    net.save_weights(folder / "net.weights.h5")
    net.save(folder / "net.keras")
    return net, folder


@pytest.mark.parametrize(
    ("size", "file"), [((65, 97), "net.weights.h5"), ((64, 96), "net.keras")]
)
def test_weights_of_the_application_give_its_maps(application, size, file, picture):
    net, folder = application
    names = [f"conv{n}_out" for n in ("2_block3", "3_block4", "4_block6", "5_block3")]
    tensors = [net.get_layer(name).output for name in ["conv1_relu", *names]]
    image = picture(*size)
    preprocessed = keras.applications.resnet.preprocess_input(image.copy())
    expected = keras.Model(net.input, tensors)(preprocessed)
    backbone = backbones.get("resnet50", (None, None, 3), weights=folder / file)
    assert_normalised(backbone)
    for found, wanted in zip(backbone(image), expected, strict=True):
        wanted = to_numpy(wanted)
        scale = np.abs(wanted).max()
        assert scale > 0.1 and wanted.std() / scale > 0.01
        np.testing.assert_allclose(
            to_numpy(found) / scale, wanted / scale, rtol=0, atol=1e-5
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet101", "resnet152"])
def test_weights_of_the_deeper_applications_give_their_maps(name, picture, tmp_path):
    net = RESNETS[name](include_top=False, weights=None)
    randomize(net)
    net.save_weights(tmp_path / "net.weights.h5")
    image = picture(65, 65)
    wanted = to_numpy(net(keras.applications.resnet.preprocess_input(image.copy())))
    backbone = backbones.get(name, (None, None, 3), weights=tmp_path / "net.weights.h5")
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(
        to_numpy(backbone(image)[-1]) / scale, wanted / scale, rtol=0, atol=1e-5
    )


def test_weights_in_a_dilated_net_subsampled_give_the_maps(application, picture):
    net, folder = application
    path = folder / "net.weights.h5"
    image = picture(65, 97)
    wanted = to_numpy(net(keras.applications.resnet.preprocess_input(image.copy())))
    dense = backbones.get("resnet50", (None, None, 3), weights=path, output_stride=8)
    found = to_numpy(dense(image)[-1])[:, ::4, ::4]
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(found / scale, wanted / scale, rtol=0, atol=1e-5)


def normalised(model):
    """What the first convolution gets for white, at the border and in the middle."""
    probe = keras.Model(model.input, model.get_layer("conv1_pad").output)
    values = to_numpy(probe(np.full((1, 64, 64, 3), 255, "uint8")))
    return values[0, 0, 0], values[0, 32, 32]


def assert_normalised(model):
    border, white = normalised(model)
    # White less the mean of keras.applications: 123.68, 116.779, 103.939.
    expected = np.array([131.32, 138.221, 151.061]) / 64
    np.testing.assert_allclose(white, expected, rtol=1e-5)
    assert not border.any()  # What is padded is the mean.


def test_images_are_normalised_inside_in_front_of_the_padding():
    arguments = {"input_shape": (64, 64, 3), "width_multiplier": 0.125}
    assert_normalised(backbones.get("resnet50", **arguments))
    _, white = normalised(backbones.get("resnet50", rescale=False, **arguments))
    np.testing.assert_array_equal(white, [255, 255, 255])


def rates(name="resnet50", **arguments):
    """Rates and strides of the 3x3 convolutions per stage."""
    model = backbones.get(name, (64, 64, 3), width_multiplier=0.125, **arguments)
    found = {}
    for layer in model.layers:
        if layer.name.endswith("_2_conv") and "block" in layer.name:
            found.setdefault(int(layer.name[4]), []).append(layer.dilation_rate[0])
    return found


def test_rates_of_the_caffe_layout_are_the_papers():
    # DeepLab v2: rates 2 and 4 in the last two stages at an output stride of 8; v3: unit
    # rates times the multi-grid, section 4.2.
    found = rates(output_stride=8, stride_position="1x1")
    assert found == {2: [1] * 3, 3: [1] * 4, 4: [2] * 6, 5: [4] * 3}
    found = rates(output_stride=16, stride_position="1x1", multi_grid=(1, 2, 4))
    assert found == {2: [1] * 3, 3: [1] * 4, 4: [1] * 6, 5: [2, 4, 8]}


def test_rates_of_the_torch_layout_are_torchvisions():
    # torchvision keeps the previous dilation in the unit that loses its stride
    # (`_make_layer` of torchvision.models.resnet).
    found = rates(output_stride=8)
    assert found == {2: [1] * 3, 3: [1] * 4, 4: [1, *[2] * 5], 5: [2, 4, 4]}
    assert rates(multi_grid=(1, 2, 4))[5] == [1, 2, 4]


@pytest.mark.parametrize(("position", "suffix"), [("3x3", "_2"), ("1x1", "_1")])
def test_stride_is_in_the_convolution_that_was_asked_for(position, suffix):
    model = backbones.get(
        "resnet50", (64, 64, 3), width_multiplier=0.125, stride_position=position
    )
    strided = {
        layer.name.removesuffix("_conv")
        for layer in model.layers
        if isinstance(layer, layers.Conv2D) and layer.strides == (2, 2)
    }
    blocks = {f"conv{stage}_block1" for stage in (3, 4, 5)}
    assert strided == {"conv1"} | {f"{b}{s}" for b in blocks for s in (suffix, "_0")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output_stride": 4}, "output_stride=4"),
        ({"width_multiplier": 0}, "width_multiplier=0"),
        ({"stride_position": "1x3"}, "stride_position='1x3'"),
        ({"multi_grid": (1, 2)}, r"multi_grid=\(1, 2\)"),
        ({"multi_grid": (1, 2, 0)}, r"multi_grid=\(1, 2, 0\)"),
        ({"weights": "imagenet", "width_multiplier": 0.5}, "weights='imagenet', width"),
        ({"weights": "imagenet", "deep_stem": True}, ".*deep_stem=True"),
        (
            {"weights": "imagenet", "stride_position": "3x3"},
            "stride_position='3x3'",
        ),
        (
            {"weights": "imagenet", "input_shape": (64, 64, 1)},
            r"weights='imagenet', input_shape=\(64, 64, 1\)",
        ),
        ({"weights": "no.h5"}, "weights='no.h5'"),
        ({"input_shape": (16, 64, 3)}, "input_shape="),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value),
)
def test_values_that_no_net_can_be_built_with(arguments, message):
    arguments = {"input_shape": (64, 64, 3), **arguments}
    with pytest.raises(ValueError, match=f"Received: {message}"):
        backbones.get("resnet50", **arguments)


def test_multi_grid_of_a_wrong_type_is_refused():
    with pytest.raises(TypeError, match="Received: multi_grid=2"):
        backbones.get("resnet50", (64, 64, 3), multi_grid=2)


def test_file_of_another_net_is_refused(tmp_path):
    net = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    net.save_weights(tmp_path / "dense.weights.h5")
    with pytest.raises(ValueError, match="must fit ResNet50.*Received: weights="):
        backbones.get("resnet50", (64, 64, 3), weights=tmp_path / "dense.weights.h5")
