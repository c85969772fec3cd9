"""Nets rebuilt in tf_keras answer as Keras 3 does, which goes on working beside it."""

import os

import keras
import numpy as np
import pytest
from keras import layers, ops

import kseg
from kseg.mobile.compressing.folding import fold
from kseg.mobile.compressing.rebuilding import legacy_keras, optimization, rebuild
from kseg.mobile.compressing.tracing import trace


@pytest.fixture(autouse=True)
def the_same_weights_in_every_run():
    keras.utils.set_random_seed(0)


def rebuilt(model, size):
    image = keras.Input((*size, 3))
    calls, output = trace(model, image)
    return rebuild(fold(calls, output), image, output)


def with_statistics(model):
    """Gives a net BatchNorm statistics that no fresh net has."""
    rng = np.random.default_rng(0)
    for variable in model.variables:
        if variable.path.endswith("moving_mean"):
            variable.assign(rng.normal(0, 0.3, variable.shape))
        if variable.path.endswith("moving_variance"):
            variable.assign(rng.uniform(0.5, 2, variable.shape))
    return model


def noise(size):
    return np.random.default_rng(1).uniform(0, 255, (2, *size, 3)).astype("float32")


def decided(builder, arguments, size):
    """Builds a net of random weights whose scores differ as a trained net's do.

    Statistics of the images leave no layer of a narrow net dead, and scores that differ
    from pixel to pixel by about 1 are no near-ties.
    """
    build = getattr(kseg.models, builder)
    net = build((None, None, 3), 3, activation=None, **arguments)
    kseg.training.recalibrate_batch_norm(net, [noise(size)])
    spread = np.std(net(noise(size), training=False), axis=(1, 2)).mean()
    scores = layers.Rescaling(1 / float(spread), name="spread")(net.output)
    return keras.Model(net.input, layers.Activation("softmax", name="shares")(scores))


def two_maps():
    """A backbone with maps at strides 2 and 4."""
    image = keras.Input((None, None, 3))
    fine = layers.Conv2D(4, 3, 2, padding="same", activation="relu")(image)
    coarse = layers.Conv2D(6, 3, 2, padding="same", activation="relu")(fine)
    return keras.Model(image, [fine, coarse], name="two_maps")


def assert_equal(model, size):
    expected = np.asarray(model(noise(size), training=False))
    assert expected.std() > 1e-3
    actual = np.asarray(rebuilt(model, size)(noise(size)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("builder", "arguments"),
    [
        ("unet", {"filters": (6, 8), "batch_norm": True}),
        ("lraspp", {"backbone": "mobilenet_v3_small", "width_multiplier": 0.25}),
        ("deeplab_v3_plus", {"backbone": two_maps, "width_multiplier": 1 / 32}),
    ],
    ids=["unet", "lraspp", "deeplab_v3_plus"],
)
def test_builders_answer_as_in_keras(builder, arguments):
    if arguments.get("backbone") is two_maps:
        arguments = {**arguments, "backbone": two_maps()}
    model = decided(builder, arguments, (64, 64))
    scores = np.sort(model(noise((64, 64)), training=False))
    assert (scores[..., -1] - scores[..., -2] > 0.05).mean() > 0.3
    assert scores.std(axis=(1, 2)).min() > 1e-2  # from pixel to pixel
    assert_equal(model, (64, 64))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("builder", "arguments"),
    [
        ("deeplab_v3_plus", {"backbone": "mobilenet_v2", "width_multiplier": 0.1}),
        ("fcn_8s", {"width_multiplier": 1 / 16, "score_initializer": "he_normal"}),
        ("gcn", {"backbone": "resnet50", "width_multiplier": 0.1}),
        ("pspnet", {"backbone": "mobilenet_v2", "width_multiplier": 0.1}),
        ("deeplab_v2", {"width_multiplier": 1 / 16, "scales": (0.75, 1.0)}),
        ("ksac", {"backbone": "mobilenet_v3_small", "width_multiplier": 0.5}),
        ("unet", {"backbone": "efficientnet_v2_b0", "width_multiplier": 0.1}),
        ("unet", {"backbone": "densenet121", "width_multiplier": 0.25}),
    ],
    ids=[
        "mobilenet",
        "fcn_8s",
        "gcn",
        "pspnet",
        "deeplab_v2",
        "ksac",
        "efficientnet",
        "densenet",
    ],
)
def test_more_builders_answer_as_in_keras(builder, arguments):
    # Statistics of noise would let a net of this depth round more than 1e-5.
    model = getattr(kseg.models, builder)((None, None, 3), 3, **arguments)
    assert_equal(with_statistics(model), (64, 96))


def head(make):
    image = keras.Input((9, 12, 3))
    scaled = layers.Rescaling(1 / 255)(image)
    return keras.Model(image, make(scaled))


@pytest.mark.parametrize(
    "make",
    [
        lambda x: layers.SeparableConv2D(4, 3, strides=2, padding="same")(x),
        lambda x: layers.DepthwiseConv2D(3, depth_multiplier=2, dilation_rate=2)(x),
        lambda x: layers.Conv2DTranspose(4, 3, strides=2, activation="relu")(x),
        lambda x: layers.Conv2D(6, 3, groups=3, activation="relu")(x),
        lambda x: layers.AveragePooling2D(3, 2, padding="same")(x),
        lambda x: layers.ReLU(max_value=0.5, negative_slope=0.1)(x - 0.4),
        lambda x: ops.reshape(x, (-1, 108, 3)),
        lambda x: layers.Cropping2D(2)(x),
        lambda x: layers.UpSampling2D(2, interpolation="bilinear")(x),
        lambda x: 1.0 - x * ops.mean(x, axis=(1, 2), keepdims=True),
    ],
    ids=[
        "separable",
        "depthwise",
        "transposed",
        "grouped",
        "average pool",
        "relu",
        "reshape",
        "crop",
        "upsampling",
        "constants",
    ],
)
def test_layers_answer_as_in_keras(make):
    assert_equal(head(make), (9, 12))


def test_batches_of_any_number():
    twin = rebuilt(head(lambda x: ops.reshape(x[:, 1:], (-1, 4, 6, 12))), (9, 12))
    assert twin(np.zeros((5, 9, 12, 3), "float32")).shape == (5, 4, 6, 12)


def test_keras_3_goes_on_working(tmp_path):
    import tensorflow as tf

    legacy_keras(), optimization()
    assert "TF_USE_LEGACY_KERAS" not in os.environ
    assert tf.keras.layers.Layer is keras.layers.Layer
    model = kseg.models.unet((16, 16, 3), 2, filters=(4, 6))
    model.compile("sgd", kseg.losses.SparseCrossEntropy(), jit_compile=False)
    rebuilt(model, (16, 16))
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3))
    before = model.get_weights()
    model.train_on_batch(images, np.ones((2, 16, 16), "int32"))
    assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    model.save(tmp_path / "net.keras")
    loaded = keras.saving.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(loaded(images), model(images))


@pytest.mark.parametrize("value", [None, "0", "1"])
def test_the_choice_of_keras_is_left_as_it_was(monkeypatch, value):
    optimization.cache_clear()
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    if value is not None:
        monkeypatch.setenv("TF_USE_LEGACY_KERAS", value)
    optimization()
    assert os.environ.get("TF_USE_LEGACY_KERAS") == value


@pytest.mark.parametrize("find", [legacy_keras, optimization])
def test_a_missing_package_says_how_to_install_it(monkeypatch, find):
    def fail(name):
        raise ImportError(name)

    find.cache_clear()
    monkeypatch.setattr("importlib.import_module", fail)
    with pytest.raises(ImportError, match=r"pip install 'kseg\[mobile\]'"):
        find()
