"""Backbones out of keras.applications against the applications themselves."""

import keras
import numpy as np
import pytest

from kseg import backbones

to_numpy = keras.ops.convert_to_numpy
applications = keras.applications

# Each with the preprocessing that Keras documents for it.
SLOW = pytest.mark.slow
CASES = [
    (applications.MobileNetV2, {"alpha": 0.35}, applications.mobilenet_v2),
    (applications.MobileNetV3Small, {"alpha": 0.5}, applications.mobilenet_v3),
    (applications.EfficientNetB0, {}, applications.efficientnet),
    (applications.ConvNeXtTiny, {}, applications.convnext),
    pytest.param(
        applications.EfficientNetV2B0, {}, applications.efficientnet_v2, marks=SLOW
    ),
    pytest.param(applications.DenseNet121, {}, applications.densenet, marks=SLOW),
]


@pytest.mark.parametrize(
    ("application", "arguments", "module"),
    CASES,
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_deepest_map_is_the_output_of_the_application(
    application, arguments, module, randomize, picture, tmp_path
):
    size = (97, 129)
    net = application(
        input_shape=(*size, 3), include_top=False, weights=None, **arguments
    )
    randomize(net)
    path = tmp_path / "net.weights.h5"
    net.save_weights(path)
    backbone = backbones.from_application(
        application,
        (None, None, 3),
        weights=path,
        width_multiplier=arguments.get("alpha", 1.0),
    )
    image = picture(*size)
    expected = to_numpy(net(module.preprocess_input(image.copy())))
    found = to_numpy(backbone(image)[-1])
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=1e-4)


def test_even_sizes_give_the_output_of_the_application_too(
    randomize, picture, tmp_path
):
    net = applications.MobileNetV3Small(
        input_shape=(64, 96, 3), include_top=False, weights=None, alpha=0.35
    )
    randomize(net)
    path = tmp_path / "net.keras"
    net.save(path)
    backbone = backbones.get(
        "mobilenet_v3_small", (None, None, 3), weights=str(path), width_multiplier=0.35
    )
    image = picture(64, 96)
    found, expected = to_numpy(backbone(image)[-1]), to_numpy(net(image))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


# Per channel, what black and white become: to -1 ... 1, or (value / 255 - mean) / std of
# ImageNet as on https://pytorch.org/vision/stable/models.html.
SYMMETRIC = ([-1.0], [1.0])
IMAGENET = (
    [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225],
    [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225],
)


def normalized(backbone, value, channels=3):
    """What the first convolution gets for an image of one value."""
    first = next(x for x in backbone.layers if isinstance(x, keras.layers.Conv2D))
    probe = keras.Model(backbone.input, first.input)
    values = probe(np.full((1, 32, 32, channels), value, "uint8"))
    return to_numpy(values)[0, 16, 16]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mobilenet_v2", SYMMETRIC),
        ("mobilenet_v3_small", SYMMETRIC),
        ("efficientnet_b0", IMAGENET),
        ("convnext_tiny", IMAGENET),
    ],
)
def test_images_of_bytes_are_normalised_once_and_inside(name, expected, narrow):
    black, white = (normalized(narrow(name), value) for value in (0, 255))
    np.testing.assert_allclose(black, np.resize(expected[0], 3), atol=1e-5)
    np.testing.assert_allclose(white, np.resize(expected[1], 3), atol=1e-5)


def test_other_channel_counts_are_normalised_to_plus_and_minus_one():
    backbone = backbones.get("mobilenet_v3_small", (32, 32, 5), width_multiplier=0.35)
    assert normalized(backbone, 0, 5) == pytest.approx([-1] * 5)
    assert normalized(backbone, 255, 5) == pytest.approx([1] * 5)


def test_rescale_off_hands_the_values_on_as_they_are():
    backbone = backbones.get(
        "efficientnet_b0", (32, 32, 1), width_multiplier=0.25, rescale=False
    )
    assert normalized(backbone, 255, 1) == [255]
    kinds = {type(layer).__name__ for layer in backbone.layers}
    assert not kinds & {"Rescaling", "Normalization"}


def test_published_efficientnet_file_is_normalised_by_the_deviation(tmp_path):
    # It holds the deviation as the variance: tensorflow/tensorflow#49930.
    net = applications.EfficientNetB0(include_top=False, weights=None)
    layer = next(x for x in net.layers if isinstance(x, keras.layers.Normalization))
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    layer.set_weights([np.array(mean), np.array(deviation), np.array(0)])
    path = tmp_path / "published.weights.h5"
    net.save_weights(path)
    backbone = backbones.get("efficientnet_b0", (32, 32, 3), weights=path)
    np.testing.assert_allclose(normalized(backbone, 255), IMAGENET[1], atol=1e-5)


def momenta(model):
    norms = (x for x in model.layers if isinstance(x, keras.layers.BatchNormalization))
    return {layer.momentum for layer in norms}


def test_batch_norm_is_fast_without_pretrained_weights():
    fresh = backbones.get("mobilenet_v2", (64, 64, 3), width_multiplier=0.35)
    assert momenta(fresh) == {0.9}
    assert fresh.get_layer("bn_Conv1").epsilon == 1e-3


def test_imagenet_weights_come_through_keras_and_keep_their_momentum(
    monkeypatch, tmp_path
):
    net = applications.MobileNetV2(
        input_shape=(224, 224, 3), include_top=False, weights=None, alpha=0.35
    )
    net.save_weights(tmp_path / "published.weights.h5")
    asked = []

    def get_file(name, *args, **kwargs):
        asked.append(name)
        return str(tmp_path / "published.weights.h5")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    backbone = backbones.get(
        "mobilenet_v2", (None, 75, 3), weights="imagenet", width_multiplier=0.35
    )
    # The name on storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2.
    assert asked == [
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"
    ]
    assert momenta(backbone) == {0.999}
    for found, expected in zip(backbone.weights, net.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(found), to_numpy(expected))


@pytest.mark.parametrize(
    ("name", "channels"),
    [  # A quarter of those of the papers' tables and of the last expansions.
        ("efficientnet_b0", [24, 40, 64, 168, 320]),
        ("densenet121", [16, 32, 64, 128, 256]),
    ],
)
def test_width_scales_nets_without_an_alpha(name, channels, narrow):
    assert [x.shape[-1] for x in narrow(name).outputs] == channels


def test_width_scales_nested_and_grouped_layers(narrow):
    backbone = narrow("convnext_tiny")
    assert [x.shape[-1] for x in backbone.outputs] == [16, 24, 48, 96]
    depthwise = backbone.get_layer("convnext_tiny_stage_3_block_0_depthwise_conv")
    assert depthwise.groups == depthwise.filters == 96


@pytest.mark.parametrize(
    ("name", "output_stride"), [("mobilenet_v3_small", 8), ("convnext_tiny", 32)]
)
def test_saved_backbone_loads_in_safe_mode_and_computes_the_same(
    name, output_stride, narrow, randomize, picture, tmp_path
):
    backbone = narrow(name, output_stride)
    randomize(backbone)
    backbone.save(tmp_path / "backbone.keras")
    loaded = keras.saving.load_model(tmp_path / "backbone.keras", safe_mode=True)
    image = picture(64, 96)
    for found, expected in zip(loaded(image), backbone(image), strict=True):
        np.testing.assert_array_equal(to_numpy(found), to_numpy(expected))


def test_names_do_not_depend_on_what_was_built_before(narrow):
    first = narrow("mobilenet_v3_small")
    second = backbones.get("mobilenet_v3_small", (64, 64, 3), width_multiplier=0.35)
    assert [x.name for x in first.layers] == [x.name for x in second.layers]
    assert first.name == "mobilenet_v3_small"
    assert {"rescaling", "expanded_conv_10_depthwise"} <= {x.name for x in first.layers}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output_stride": 4}, r"must be one of \(8, 16, 32\).*output_stride=4"),
        ({"width_multiplier": 0}, "positive.*Received: width_multiplier=0"),
        ({"weights": "imagnet"}, "that exists. Received: weights='imagnet'"),
        (
            {"weights": "imagenet", "width_multiplier": 0.5},
            r"\(0.75, 1.0\).*Received: width_multiplier=0.5",
        ),
    ],
)
def test_value_that_the_application_does_not_take_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        backbones.get("mobilenet_v3_small", (None, None, 3), **arguments)


@pytest.mark.parametrize(
    ("name", "output_stride", "reason"),
    [
        ("convnext_tiny", 16, r"\(32,\): it starts at stride 4"),
        ("densenet121", 8, r"\(16, 32\): .*average pools"),
    ],
)
def test_output_stride_that_cannot_be_is_refused_with_the_reason(
    name, output_stride, reason
):
    with pytest.raises(ValueError, match=f"{reason}.*output_stride={output_stride}"):
        backbones.get(name, (64, 64, 3), output_stride=output_stride)


@pytest.mark.parametrize(
    "shape", [(None, None), (16, 64, 3), (64, 64, None), (64, 64, 0)], ids=str
)
def test_shape_of_no_image_is_refused(shape):
    with pytest.raises(ValueError, match="Received: input_shape="):
        backbones.get("mobilenet_v2", shape)


def test_imagenet_weights_need_three_channels():
    with pytest.raises(ValueError, match="3 channels.*Received: channels=1"):
        backbones.get("mobilenet_v2", (64, 64, 1), weights="imagenet")


def test_weights_that_are_no_path_are_refused():
    with pytest.raises(TypeError, match="Received: weights=3"):
        backbones.get("mobilenet_v2", (64, 64, 3), weights=3)


def test_file_of_another_width_is_refused_with_what_it_must_fit(tmp_path):
    net = applications.MobileNetV2(include_top=False, weights=None, alpha=0.35)
    path = tmp_path / "narrow.weights.h5"
    net.save_weights(path)
    with pytest.raises(ValueError, match="alpha=0.5.*Received: weights="):
        backbones.get("mobilenet_v2", (64, 64, 3), weights=path, width_multiplier=0.5)


def test_width_of_a_file_is_fixed_where_the_application_has_no_alpha(tmp_path):
    path = tmp_path / "any.weights.h5"
    path.touch()
    with pytest.raises(ValueError, match=r"\(1.0,\).*width_multiplier=0.5"):
        backbones.get("densenet121", (64, 64, 3), weights=path, width_multiplier=0.5)


@pytest.mark.parametrize("application", [applications.VGG16, len])
def test_function_that_is_no_known_application_is_refused(application):
    with pytest.raises(ValueError, match="MobileNetV2.*Received: application="):
        backbones.from_application(application, (64, 64, 3))


def test_application_that_is_built_already_is_refused():
    with pytest.raises(TypeError, match="Received: application='MobileNetV2'"):
        backbones.from_application("MobileNetV2", (64, 64, 3))
