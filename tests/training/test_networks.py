"""Nets to build or to start from, and how they are compiled."""

import keras
import numpy as np
import pytest

from kseg import data
from kseg.training import networks


@pytest.fixture
def photos(squares_folder):
    return data.datasets.ImageFolder(squares_folder)


def test_only_builders_are_models():
    with pytest.raises(ValueError, match=r"`model` must be one of \[.*'lraspp'"):
        networks.builder("copy_weights", {})


def test_unknown_arguments_of_the_builder_are_named():
    with pytest.raises(ValueError, match=r"kseg\.models\.unet.*Received: \['depth'\]"):
        networks.builder("unet", {"filters": (4, 8), "depth": 3})


@pytest.mark.parametrize("name", ["net.tflite", "person", "missing.keras"])
def test_a_start_that_is_no_keras_file_is_one_clear_error(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.tflite").write_bytes(b"TFL3")
    with pytest.raises(ValueError, match=f"`start` must be .*Received: start='{name}'"):
        networks.load_start(name)


def test_a_damaged_start_is_named(tmp_path):
    (tmp_path / "net.keras").write_bytes(b"P")
    with pytest.raises(ValueError, match=r"complete \.keras file.*net\.keras"):
        networks.load_start(tmp_path / "net.keras")


def test_a_start_must_be_a_net_of_photos():
    with pytest.raises(TypeError, match="Received: start of type int"):
        networks.load_start(3)
    image = keras.Input((8, 8, 1))
    grey = keras.Model(image, keras.layers.Conv2D(1, 1)(image))
    with pytest.raises(ValueError, match=r"one RGB image.*\(None, 8, 8, 1\)"):
        networks.load_start(grey)
    image = keras.Input((8, 8, 3))
    scores = keras.layers.Conv2D(1, 1)(image)
    with pytest.raises(ValueError, match="one output"):
        networks.load_start(keras.Model(image, [scores, scores]))


def test_a_start_is_copied_with_weights_and_frozen_layers(threshold_net):
    net = threshold_net()
    net.get_layer("grey").trainable = False
    copy = networks.load_start(net)
    assert not copy.get_layer("grey").trainable
    assert copy.get_layer("score").trainable
    for old, new in zip(net.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    copy.get_layer("score").set_weights([np.zeros((1, 1, 2, 1)), np.array([0.0])])
    assert net.get_layer("score").get_weights()[1] == [-15.0]


def test_the_size_is_that_of_the_start(threshold_net):
    fixed, free = threshold_net(size=(32, 48)), threshold_net()
    assert networks.input_size(None, None) == (256, 256)
    assert networks.input_size(None, 96) == 96
    assert networks.input_size(free, None) == (256, 256)
    assert networks.input_size(free, (20, 30)) == (20, 30)
    assert networks.input_size(fixed, None) == (32, 48)
    assert networks.input_size(fixed, (32, 48)) == (32, 48)
    for other in (256, 32, (48, 32)):
        with pytest.raises(ValueError, match=r"\(32, 48\), or None. Received: size="):
            networks.input_size(fixed, other)


def test_scores_of_another_size_are_refused_by_name(photos):
    image = keras.Input((16, 20, 3))
    valid = keras.Model(image, keras.layers.Conv2D(1, 3)(image))
    with pytest.raises(ValueError, match=r"padding='same'.*Received: .*\(14, 18\)"):
        networks.check_output(valid, (16, 20), photos)


def test_other_classes_are_refused_by_name(photos):
    image = keras.Input((None, None, 3))
    net = keras.Model(image, keras.layers.Conv2D(5, 1)(image))
    with pytest.raises(ValueError, match=r"`start` must be a net with 1 output"):
        networks.check_output(net, (16, 20), photos)


def test_random_states_of_inner_layers_follow_seed_and_epoch_alone():
    image = keras.Input((4, 4, 1))
    inner = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Dropout(0.5)])
    net = keras.Model(image, keras.layers.Dropout(0.1)(inner(image)))
    ones = np.ones((1, 4, 4, 1), "float32")

    def drawn(seed, epoch):
        networks.reseed(net, seed, epoch)
        return keras.ops.convert_to_numpy(net(ones, training=True))

    first = drawn(3, 5)
    np.testing.assert_array_equal(drawn(3, 5), first)
    assert not np.array_equal(drawn(4, 5), first)
    assert not np.array_equal(drawn(3, 6), first)


@pytest.mark.parametrize("dice_weight", [0.0, 1.0])
def test_logits_are_trained_as_the_probabilities_they_stand_for(
    threshold_net, photos, dice_weight
):
    images = np.random.default_rng(0).uniform(100, 140, (2, 6, 5, 3)).astype("float32")
    masks = (images.mean(-1) > 118).astype("int32")
    results = []
    for activation in (None, "sigmoid"):
        net = threshold_net(activation)
        networks.compile_net(net, photos, 1e-3, 0.0, dice_weight, None, None)
        results.append(net.evaluate(images, masks, verbose=0, return_dict=True))
    assert results[0] == pytest.approx(results[1], rel=1e-5)
