"""Clockwork: stages of a net; graphs of the net itself are the oracle."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kseg import models
from kseg.models.video import clockwork_fcn, parts

SIZE = (32, 49)
CUTS = ["score_pool3", "score_pool4", "upscore2"]
ORDERS = {
    "every_frame": ["stage1", "stage2", "stage3", "fusion"],
    "two_stages": ["stage3", "stage1", "stage2", "fusion"],
    "three_stages": ["stage3", "stage2", "stage1", "fusion"],
    "shallow_only": ["stage1", "fusion"],
}


@pytest.fixture(scope="module")
def net():
    keras.utils.set_random_seed(0)
    return models.fcn_8s(
        (*SIZE, 3),
        3,
        width_multiplier=1 / 64,
        dropout_rate=0,
        score_initializer="he_normal",
    )


def frames(count=4):
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (count, 1, *SIZE, 3)).astype("float32")


def run(model, order, image, cache):
    cache["image"] = image
    for name in order:
        part = parts(model)[name]
        made = part({key: ops.convert_to_tensor(cache[key]) for key in part.input})
        cache |= {key: ops.convert_to_numpy(value) for key, value in made.items()}
    return cache["probabilities"]


def plain(net, image):
    return ops.convert_to_numpy(net(image, training=False))


def test_as_a_whole_it_is_the_net(net):
    model = clockwork_fcn(net)
    for image in frames(2):
        np.testing.assert_array_equal(plain(model, image), plain(net, image))
    assert {id(w) for w in model.weights} == {id(w) for w in net.weights}


def test_every_weight_belongs_to_one_stage(net):
    weights = [
        id(weight)
        for part in parts(clockwork_fcn(net)).values()
        for weight in part.weights
    ]
    assert sorted(weights) == sorted(id(weight) for weight in net.weights)


def test_stages_are_those_of_the_paper(net):
    found = {
        name: (set(part.input), set(part.output))
        for name, part in parts(clockwork_fcn(net)).items()
    }
    assert found == {
        "stage1": ({"image"}, {"score_pool3", "pool3"}),
        "stage2": ({"pool3"}, {"score_pool4", "pool4"}),
        "stage3": ({"pool4"}, {"upscore2"}),
        "fusion": ({"image", *CUTS}, {"probabilities"}),
    }


@pytest.mark.parametrize(
    ("order", "delays"),
    [
        ("every_frame", (0, 0, 0)),
        ("two_stages", (0, 0, 1)),
        ("three_stages", (0, 1, 2)),
    ],
)
def test_pipelines_fuse_scores_of_different_frames(net, order, delays):
    """The pipelines of the paper; scores and their fusion are taken from the net."""
    model, video = clockwork_fcn(net), frames()
    cache = {}
    run(model, ORDERS["every_frame"], video[0], cache)  # The first frame fills it.
    for image in video[1:]:
        found = run(model, ORDERS[order], image, cache)

    tensors = [net.get_layer(name).output for name in CUTS]
    scores = keras.Model(net.input, tensors)
    fuse = keras.Model([net.input, *tensors], net.output)
    fused = [
        ops.convert_to_numpy(scores(video[len(video) - 1 - delay])[index])
        for index, delay in enumerate(delays)
    ]
    expected = ops.convert_to_numpy(fuse([video[-1], *fused]))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    if any(delays):
        assert np.abs(found - plain(net, video[-1])).max() > 1e-5


@pytest.mark.parametrize("order", ORDERS)
def test_static_video_is_the_net_frame_by_frame(net, order):
    model, cache, image = clockwork_fcn(net), {}, frames()[0]
    run(model, ORDERS["every_frame"], image, cache)
    for _ in range(3):
        found = run(model, ORDERS[order], image, cache)
        np.testing.assert_allclose(found, plain(net, image), atol=1e-6)


def test_any_backbone_has_the_same_stages():
    x = image = keras.Input((None, None, 3))
    maps = []
    for stride in (8, 2, 2):
        x = layers.Conv2D(4, 3, stride, padding="same", activation="relu")(x)
        maps.append(x)
    net = models.fcn_8s(
        (64, 96, 3), 3, backbone=keras.Model(image, maps), padding="same"
    )
    model = clockwork_fcn(net)
    assert [next(iter(p.output)) for p in parts(model).values()][:3] == CUTS
    batch = np.zeros((1, 64, 96, 3), "float32")
    np.testing.assert_array_equal(plain(model, batch), plain(net, batch))


def test_any_net_has_stages_where_it_is_cut():
    net = models.unet(
        (32, 48, 3), 3, filters=(4, 6, 8), dropout_rate=0, activation=None
    )
    model = clockwork_fcn(net, ["down2_relu2", "up2_relu2"])
    found = {
        name: (set(part.input), set(part.output)) for name, part in parts(model).items()
    }
    assert found == {
        "stage1": ({"image"}, {"down2_relu2", "down1_relu2"}),
        "stage2": ({"down2_relu2"}, {"up2_relu2"}),
        "fusion": ({"up2_relu2", "down1_relu2"}, {"logits"}),
    }


class TestErrors:
    def test_unknown_layer_with_those_like_it(self, net):
        with pytest.raises(ValueError, match="'score_pool4'.*Received: 'score_pol4'"):
            clockwork_fcn(net, ["score_pool3", "score_pol4"])

    def test_layers_in_the_wrong_order(self, net):
        with pytest.raises(ValueError, match="nothing is left for the part up to"):
            clockwork_fcn(net, ["vgg16/pool4", "vgg16/pool3"])

    def test_a_name_that_is_no_list(self, net):
        with pytest.raises(TypeError, match="Received: at='upscore2'"):
            clockwork_fcn(net, "upscore2")

    def test_a_net_that_is_no_fcn_needs_its_own_cuts(self):
        net = models.unet((32, 48, 3), 3, filters=(4, 6))
        with pytest.raises(ValueError, match="Received: 'score_pool3'"):
            clockwork_fcn(net)
