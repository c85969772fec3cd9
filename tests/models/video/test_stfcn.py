"""STFCN: its published numbers, and what its memory reaches."""

import keras
import numpy as np
import pytest
from keras import ops

from kseg import models
from kseg.models.video import initial_state, stfcn


def narrow(input_shape=(64, 96, 3), **options):
    keras.utils.set_random_seed(0)
    options = {"score_initializer": "he_normal", "padding": "same", **options}
    return stfcn(input_shape, 3, width_multiplier=1 / 16, **options)


def frames(*shape):
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def run(model, image, state):
    inputs = {"image": image, "state": state}
    outputs = model(keras.tree.map_structure(ops.convert_to_tensor, inputs))
    return {name: ops.convert_to_numpy(value) for name, value in outputs.items()}


@pytest.fixture
def empty_weights(monkeypatch):
    """Full-size nets are only counted: drawing 218 million numbers takes seconds."""

    def zeros(self, shape, dtype=None, **kwargs):
        return ops.zeros(shape, dtype)

    for initializer in (
        keras.initializers.VarianceScaling,
        keras.initializers.RandomNormal,
    ):
        monkeypatch.setattr(initializer, "__call__", zeros)


# FCN-8s without `score_fr`, the recurrence of 169 cells or of one, and `score_fr`.
@pytest.mark.parametrize(
    ("options", "count"),
    [
        pytest.param({}, 217_965_716, marks=pytest.mark.slow),
        ({"recurrence": "shared"}, 134_765_396),
    ],
    ids=["local", "shared"],
)
def test_number_of_parameters(options, count, empty_weights):
    assert stfcn((400, 400, 3), 12, **options).count_params() == count


@pytest.mark.parametrize(
    ("size", "cells"), [(378, 12), (379, 13), (410, 13), (411, 14)]
)
def test_frames_of_379_to_410_have_the_13_cells_of_the_published_net(size, cells):
    model = stfcn((size, size, 3), 12, recurrence="shared", width_multiplier=1 / 64)
    assert model.input["state"].shape[1:3] == (cells, cells)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("recurrence", ["local", "shared", "conv"])
def test_memory_reaches_the_coarse_scores_alone(recurrence, cell):
    model = narrow(recurrence=recurrence, cell=cell)
    image, zeros = frames(1, 64, 96, 3), initial_state(model)["state"]
    assert zeros.shape == (1, 2, 3, 4 if cell == "lstm" else 2)
    first = run(model, image, zeros)
    second = run(model, image, first["state"])
    assert np.abs(second["probabilities"] - first["probabilities"]).max() > 1e-5
    reset = run(model, image, zeros)
    np.testing.assert_array_equal(reset["probabilities"], first["probabilities"])
    # Without coarse scores the rest is the FCN-8s of the current frame.
    model.get_layer("score_fr").kernel.assign(
        np.zeros(model.get_layer("score_fr").kernel.shape)
    )
    net = models.fcn_8s((64, 96, 3), 3, padding="same", width_multiplier=1 / 16)
    models.copy_weights(model, net)
    expected = ops.convert_to_numpy(net(image, training=False))
    for state in (zeros, first["state"]):
        found = run(model, image, state)["probabilities"]
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_takes_the_weights_of_an_fcn_8s():
    net, model = models.fcn_8s((64, 96, 3), 3, width_multiplier=1 / 16), narrow()
    report = models.copy_weights(net, model)
    assert report.different == ["score_fr"]
    assert report.only_in_target == ["recurrence"]
    assert report.only_in_source == []
    assert {"vgg16/fc7", "score_pool4", "score_pool3"} <= set(report.copied)


def own_backbone():
    x = image = keras.Input((None, None, 3))
    maps = []
    for stride, filters in ((8, 4), (2, 6), (2, 8)):
        x = keras.layers.Conv2D(filters, 3, stride, padding="same", activation="relu")(
            x
        )
        maps.append(x)
    return keras.Model(image, maps)


@pytest.mark.parametrize(
    ("make", "width"),
    [(lambda: "resnet50", 1 / 16), (own_backbone, 1)],
    ids=["resnet50", "own"],
)
def test_any_backbone_gets_the_memory_of_its_coarsest_map(make, width):
    """The FCN-8s of the same backbone, an LSTM, and scores of its hidden state."""
    keras.utils.set_random_seed(0)
    options = {"padding": "same", "width_multiplier": width}
    net = models.fcn_8s((64, 96, 3), 3, backbone=make(), **options)
    channels = net.get_layer("score_fr").kernel.shape[-2]
    model = stfcn(
        (64, 96, 3),
        3,
        backbone=make(),
        recurrence="shared",
        units=30,
        score_initializer="he_normal",
        **options,
    )
    units = round(30 * width)
    lstm = 4 * units * (channels + units + 1)
    scores = 3 * (units - channels)  # In place of those of the map itself.
    assert model.count_params() == net.count_params() + lstm + scores
    assert model.input["state"].shape == (None, 2, 3, 2 * units)
    found = run(model, frames(1, 64, 96, 3), initial_state(model)["state"])
    assert found["state"].any()
    np.testing.assert_allclose(found["probabilities"].sum(-1), 1, atol=1e-5)


def test_logits_are_named_so():
    model = narrow(activation=None)
    assert list(model.output) == ["logits", "state"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recurrence": "global"}, "recurrence='global'"),
        ({"cell": "rnn"}, "cell='rnn'"),
        ({"input_shape": (None, None, 3)}, r"input_shape=\(None, None, 3\)"),
        ({"input_shape": (64, 31, 3)}, r"input_shape=\(64, 31, 3\)"),
        ({"units": 0}, r"filters=\[0\]"),
        ({"backbone": "resnet50", "padding": "valid"}, "padding='valid'"),
    ],
    ids=str,
)
def test_values(arguments, message):
    with pytest.raises(ValueError, match=f"Received: {message}"):
        narrow(**arguments)
