"""NetWarp: the base net at first, then shifted features of the frame before."""

import keras
import numpy as np
import pytest
from keras import ops

from kseg import models
from kseg.models.video import initial_state, netwarp

SIZE, AT, STRIDE = (32, 48), "down3_conv2", 4


@pytest.fixture(scope="module")
def base():
    keras.utils.set_random_seed(0)
    return models.unet((*SIZE, 3), 3, filters=(4, 6, 8), dropout_rate=0)


def frames(count=3):
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (count, 1, *SIZE, 3)).astype("float32")


def constant_flow(u, v):
    return np.broadcast_to(np.float32([u, v]), (1, *SIZE, 2)).copy()


def random_flow():
    return np.random.default_rng(1).normal(0, 5, (1, *SIZE, 2)).astype("float32")


def run(model, image, flow, state):
    outputs = model(
        {
            name: ops.convert_to_tensor(value)
            for name, value in {"image": image, "flow": flow, **state}.items()
        }
    )
    outputs = {name: ops.convert_to_numpy(value) for name, value in outputs.items()}
    return outputs["probabilities"], {name: outputs[name] for name in state}


def set_mix(model, w1, w2):
    layer = model.get_layer("mix")
    layer.set_weights(
        [np.full(w.shape, v) for w, v in zip(layer.weights, (w1, w2), strict=True)]
    )


def plain(base, image):
    return ops.convert_to_numpy(base(image, training=False))


@pytest.mark.parametrize("variant", ["paper", "release"])
def test_starts_as_the_base_net_whatever_the_flow(base, variant):
    model = netwarp(base, AT, variant=variant)
    state = initial_state(model)
    for image in frames():
        found, state = run(model, image, random_flow(), state)
        np.testing.assert_array_equal(found, plain(base, image))


def test_first_frame_is_that_of_the_base_net_whatever_the_weights(base):
    model = netwarp(base, AT, initial_weights=(0.5, 0.5))
    first, second, _ = frames()
    found, state = run(model, first, random_flow(), initial_state(model))
    np.testing.assert_allclose(found, plain(base, first), atol=1e-6)
    found, _ = run(model, second, random_flow(), state)
    assert np.abs(found - plain(base, second)).max() > 1e-4
    found, _ = run(model, second, random_flow(), initial_state(model))  # Reset.
    np.testing.assert_allclose(found, plain(base, second), atol=1e-6)


@pytest.mark.parametrize(("columns", "rows"), [(2, 0), (0, -1), (-3, 2)])
def test_mixes_the_shifted_features_of_the_frame_before(base, columns, rows):
    """Flow in pixels of the image, of whole cells of the map."""
    model = netwarp(base, AT)
    set_mix(model, 0.75, 0.5)
    before, now, _ = frames()
    _, state = run(model, before, constant_flow(9, 9), initial_state(model))
    flow = constant_flow(columns * STRIDE, rows * STRIDE)
    found, _ = run(model, now, flow, state)

    first, second = models.split(base, [AT])
    old, (new, *skips) = (
        [ops.convert_to_numpy(x) for x in first(image)] for image in (before, now)
    )
    height, width = new.shape[1:3]
    y = (np.arange(height) + rows).clip(0, height - 1)
    x = (np.arange(width) + columns).clip(0, width - 1)
    mixed = 0.75 * new + 0.5 * old[0][:, y][:, :, x]
    expected = ops.convert_to_numpy(second([mixed, *skips]))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_features_that_go_on_are_not_mixed(base):
    model = netwarp(base, AT)
    set_mix(model, 0.5, 2.0)
    state, (first, _) = initial_state(model), models.split(base, [AT])
    for image in frames():
        _, state = run(model, image, random_flow(), state)
        np.testing.assert_array_equal(
            state["features"], ops.convert_to_numpy(first(image)[0])
        )


def test_static_video_is_the_base_net(base):
    model = netwarp(base, AT)
    set_mix(model, 0.25, 0.75)
    image, state = frames()[0], initial_state(model)
    for _ in range(3):
        found, state = run(model, image, constant_flow(0, 0), state)
        np.testing.assert_allclose(found, plain(base, image), atol=1e-6)


@pytest.mark.parametrize(("variant", "count"), [("paper", 6_892), ("release", 6_396)])
def test_adds_flow_cnn_and_two_weights_per_channel(base, variant, count):
    model = netwarp(base, AT, variant=variant)
    assert model.count_params() == base.count_params() + count + 2 * 8
    mine = {id(weight) for weight in model.weights}
    assert {id(weight) for weight in base.weights} <= mine


def test_an_odd_size_has_its_flow_and_thumbnail_on_the_map():
    net = models.unet((33, 50, 3), 3, filters=(4, 6, 8), dropout_rate=0)
    model = netwarp(net, "down3_conv2")
    assert model.input["features"].shape == (None, 9, 13, 8)
    assert model.input["thumbnail"].shape == (None, 9, 13, 3)


def test_logits_are_named_so():
    net = models.unet((*SIZE, 3), 3, filters=(4, 6), activation=None)
    assert next(iter(netwarp(net, "down2_conv2").output)) == "logits"


class TestErrors:
    def test_unknown_layer_with_those_like_it(self, base):
        with pytest.raises(ValueError, match="'down3_conv2'.*Received: 'down3_cnv2'"):
            netwarp(base, "down3_cnv2")

    def test_several_layers(self, base):
        with pytest.raises(TypeError, match=r"Received: at=\['down3_conv2'\]"):
            netwarp(base, ["down3_conv2"])

    def test_map_of_a_padded_image(self):
        """100 pixels around it: the map shows more than the flow covers."""
        net = models.fcn_8s((128, 128, 3), 3, width_multiplier=1 / 64)
        with pytest.raises(
            ValueError, match="Received: at='score_pool3' with a map of"
        ):
            netwarp(net, "score_pool3")

    def test_vector(self):
        image = keras.Input((32, 48, 3))
        pool = keras.layers.GlobalAveragePooling2D(keepdims=False, name="pool")(image)
        gate = keras.layers.Reshape((1, 1, 3))(pool)
        net = keras.Model(image, keras.layers.Multiply()([image, gate]))
        with pytest.raises(ValueError, match=r"map of shape \(None, 3\)"):
            netwarp(net, "pool")

    def test_model_of_a_vector(self):
        image = keras.Input((32, 48, 3))
        net = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))
        with pytest.raises(ValueError, match="must lead from one image to one map"):
            netwarp(net, "pool")

    def test_no_model(self):
        with pytest.raises(TypeError, match="Received: model='person'"):
            netwarp("person", "pool")

    def test_variant(self, base):
        with pytest.raises(ValueError, match="Received: variant='port'"):
            netwarp(base, AT, variant="port")
