"""Models cut in parts; the oracle is the whole model."""

import keras
import numpy as np
import pytest
from keras import layers

from kseg import models

to_numpy = keras.ops.convert_to_numpy


def images(*shape):
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def assert_composed(model, at, batch):
    """The parts give exactly what the model gives, and have its weights."""
    parts = models.split(model, at=at)
    assert len(parts) == len(at) + 1
    x = batch
    for part in parts:
        x = part(x)
    keras.tree.assert_same_structure(x, model(batch))
    for found, expected in zip(
        keras.tree.flatten(x), keras.tree.flatten(model(batch)), strict=True
    ):
        np.testing.assert_array_equal(to_numpy(found), to_numpy(expected))
    weights = [weight for part in parts for weight in part.weights]
    assert {id(w) for w in weights} == {id(w) for w in model.weights}
    return parts


def randomized(model):
    rng = np.random.default_rng(0)
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.6, 1.4, w.shape) for w in layer.weights])
    return model


def backbone(name="backbone"):
    """Three maps; some names are those of layers of the models around it."""
    image = keras.Input((None, None, 3), name="image")
    x = layers.Conv2D(4, 3, 2, padding="same", name="conv")(image)
    fine = layers.BatchNormalization(name="norm")(x)
    x = layers.Conv2D(6, 3, 2, padding="same", name="middle")(fine)
    coarse = layers.Conv2D(8, 3, 2, padding="same", name="scores")(x * 2.0 + 1.0)
    return keras.Model(image, [fine, x, coarse], name=name)


def net(input_shape=(32, 48, 3)):
    """The backbone, a skip, and layers of the same names."""
    image = keras.Input(input_shape, name="image")
    fine, middle, coarse = backbone()(image)
    x = layers.Conv2D(6, 1, name="conv")(coarse)
    x = layers.UpSampling2D(name="up")(x)
    x = layers.Add(name="sum")([x, middle])
    x = layers.Conv2D(2, 1, name="scores")(x)
    return randomized(keras.Model(image, x, name="net"))


BATCH = images(2, 32, 48, 3)


@pytest.mark.parametrize(
    ("at", "passed"),
    [
        (["sum"], [["sum_output"]]),
        (["backbone/middle"], [["middle_output"]]),
        (
            ["backbone/norm", "conv"],
            [["norm_output"], ["conv_output", "middle_output"]],
        ),
        # A cut between the maps lets the skip pass.
        (["backbone/scores"], [["backbone_scores_output", "middle_output"]]),
        ([("backbone/middle", "conv")], [["middle_output", "conv_output"]]),
        # All maps, in their order, though nothing needs the first.
        (
            ["backbone"],
            [["norm_output", "middle_output", "backbone_scores_output"]],
        ),
    ],
    ids=str,
)
def test_parts_compute_what_the_model_computes(at, passed):
    parts = assert_composed(net(), at, BATCH)
    for part, names in zip(parts[1:], passed, strict=True):
        assert [x.name for x in part.inputs] == names


def test_no_cut_inlines_the_model():
    model = net()
    (flat,) = assert_composed(model, [], BATCH)
    assert not any(isinstance(x, keras.Model) for x in flat.layers)
    names = [operation.name for operation in flat.operations]
    # A name of the model stays its own; one that is free is not changed.
    assert flat.get_layer("conv").kernel is model.get_layer("conv").kernel
    inner = model.get_layer("backbone").get_layer("conv")
    assert flat.get_layer("backbone_conv").kernel is inner.kernel
    assert "middle" in names


def test_the_model_is_left_as_it_was():
    model = net()
    config, expected = model.get_config(), to_numpy(model(BATCH))
    names = [x.name for x in model.get_layer("backbone").layers]
    models.split(model, at=["backbone/norm"])
    assert model.get_config() == config
    assert [x.name for x in model.get_layer("backbone").layers] == names
    np.testing.assert_array_equal(to_numpy(model(BATCH)), expected)


def test_a_step_of_training_of_a_part_changes_the_model():
    model = net()
    _, second = models.split(model, at=["backbone/norm"])
    before = to_numpy(model(BATCH))
    second.compile(keras.optimizers.SGD(1e-2), "mse", run_eagerly=True)
    second.fit(np.ones((2, 16, 24, 4)), np.ones((2, 8, 12, 2)), verbose=0)
    assert np.abs(to_numpy(model(BATCH)) - before).max() > 1e-3
    assert_composed(model, ["backbone/norm"], BATCH)


def test_parts_of_open_size_take_every_size():
    model = net((None, None, 3))
    for size in [(32, 48), (64, 40)]:
        assert_composed(model, ["backbone/conv", "up"], images(1, *size, 3))


def test_saved_parts_load_and_compute_the_same(tmp_path):
    first, second = models.split(net(), at=["backbone/scores"])
    second.save(tmp_path / "second.keras")
    loaded = keras.saving.load_model(tmp_path / "second.keras", safe_mode=True)
    passed = first(BATCH)
    np.testing.assert_array_equal(to_numpy(loaded(passed)), to_numpy(second(passed)))


def test_compiled_model_is_split_without_its_loss():
    model = net()
    model.compile("sgd", loss=lambda y_true, y_pred: y_pred)
    parts = assert_composed(model, ["up"], BATCH)
    assert not any(part.compiled for part in parts)


def test_image_bypasses_a_cut_in_front_of_a_resize_to_its_size():
    model = models.lraspp(
        (33, 50, 3), 2, backbone="mobilenet_v3_small", width_multiplier=0.25
    )
    randomized(model)
    at = ["mobilenet_v3_small/expanded_conv_5_add", "relu"]
    parts = assert_composed(model, at, images(1, 33, 50, 3))
    assert parts[1].inputs[0].name == "expanded_conv_5_add_output"
    assert [x.name for x in parts[1].inputs].count("image") == 1
    assert len(parts[2].inputs) == len(parts[1].outputs) > 2


def test_bare_operations_of_an_application_are_inlined():
    application = keras.applications.MobileNetV3Small(
        input_shape=(64, 64, 3), alpha=0.35, include_top=False, weights=None
    )
    image = keras.Input((64, 64, 3))
    model = keras.Model(image, layers.Conv2D(2, 1)(application(image)))
    name = application.name
    assert_composed(
        randomized(model), [f"{name}/expanded_conv_9_add"], images(1, 64, 64, 3)
    )


def test_mode_in_which_a_nested_model_is_called_is_kept():
    """`nested(x, training=True)`: BatchNorm has the statistics of the batch, always."""
    image = keras.Input((32, 48, 3))
    model = randomized(keras.Model(image, backbone()(image, training=True)[-1]))
    assert_composed(model, ["backbone/middle"], BATCH)
    usual = keras.Model(image, model.get_layer("backbone")(image)[-1])
    assert np.abs(to_numpy(model(BATCH)) - to_numpy(usual(BATCH))).max() > 1


def test_several_inputs_and_outputs_keep_their_structure():
    a, b = keras.Input((8,), name="a"), keras.Input((8,), name="b")
    shared = layers.Dense(8, name="shared")
    x = layers.Add(name="sum")([shared(a), shared(b)])
    outputs = {"x": layers.Dense(2, name="last")(x), "early": shared.output}
    outputs["early"] = layers.ReLU(name="early")(a)
    model = keras.Model({"a": a, "b": b}, outputs)
    batch = {"a": images(2, 8), "b": images(2, 8) / 2}
    parts = assert_composed(model, ["sum"], batch)
    assert set(parts[0].input) == {"a", "b"}
    assert set(parts[-1].output) == {"x", "early"}


def test_models_in_models_and_sequential_ones_are_inlined_at_any_depth():
    inner = keras.Sequential(
        [layers.Dense(4, name="one"), layers.Dense(3, name="two")], name="inner"
    )
    x = keras.Input((5,))
    outer = keras.Model(x, inner(layers.Dense(6, name="one")(x)), name="outer")
    model = keras.Sequential([keras.Input((5,)), outer, layers.Dense(2, name="two")])
    parts = assert_composed(model, ["outer/inner/one"], images(3, 5))
    assert [x.name for x in parts[1].layers[1:]] == ["outer_inner_two", "two"]


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (["scroes"], "name like it: 'scores'.*Received: 'scroes'"),
        (["norm"], "'backbone/norm'.*Received: 'norm'"),
        (["backbone/noone"], "'backbone/norm'"),
        (["up", "conv"], "order of the graph.*up to 'conv'. Received: at="),
        (["up", "up"], "order of the graph"),
        (["scores"], "behind the last cut. Received: at="),
    ],
    ids=str,
)
def test_cut_that_cannot_be_made_is_refused(at, message):
    with pytest.raises(ValueError, match=message):
        models.split(net(), at=at)


def test_layer_that_is_called_twice_is_no_place_to_cut():
    x = keras.Input((4,))
    shared = layers.Dense(4, name="shared")
    model = keras.Model(x, shared(shared(x)))
    assert_composed(model, [], images(2, 4))
    with pytest.raises(ValueError, match="'shared', which is called 2 times"):
        models.split(model, at=["shared"])


def test_arguments_of_a_wrong_type():
    with pytest.raises(TypeError, match="Received: at='up'"):
        models.split(net(), at="up")
    with pytest.raises(TypeError, match="Received: model="):
        models.split(layers.Dense(2), at=[])
    with pytest.raises(TypeError, match="Received: model="):
        models.split(keras.Sequential([layers.Dense(2)]), at=[])
