"""What every public builder of a network for points keeps, on every backend."""

import functools
import inspect
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import pytest
from keras import ops

from kseg import losses
from kseg.models import points as networks


class Case(NamedTuple):
    builder: Callable
    arguments: dict
    channels: int
    category: bool = False
    per_point: bool = True


TWO_LEVELS = {
    "samples": (8, 4),
    "rings": (((0, 0.6), (0.6, 1.2)), ((0.3, 1.0), (1.0, 2.0))),
    "neighbors": (3, 5),
    "width_multiplier": 1 / 8,
    "dropout_rate": 0,
}
POINTNET = {"width_multiplier": 1 / 16}
CASES = {
    "pointnet_classification": Case(
        networks.pointnet_classification,
        {**POINTNET, "dropout_rate": 0},
        3,
        per_point=False,
    ),
    "pointnet_segmentation": Case(networks.pointnet_segmentation, POINTNET, 3),
    "pointnet_part_segmentation": Case(
        networks.pointnet_part_segmentation,
        {**POINTNET, "num_categories": 4, "category_head": False, "dropout_rate": 0},
        3,
        category=True,
    ),
    "pointnet_semantic_segmentation": Case(
        networks.pointnet_semantic_segmentation, {**POINTNET, "dropout_rate": 0}, 9
    ),
    "a_cnn_classification": Case(
        networks.a_cnn_classification, TWO_LEVELS, 6, per_point=False
    ),
    "a_cnn_part_segmentation": Case(
        networks.a_cnn_part_segmentation,
        {**TWO_LEVELS, "num_categories": 4},
        6,
        category=True,
    ),
    "a_cnn_semantic_segmentation": Case(
        networks.a_cnn_semantic_segmentation,
        {
            "samples": (8, 6, 4, 2),
            "rings": (((0, 0.8), (0.8, 1.6)),) * 4,
            "neighbors": (3, 4),
            "width_multiplier": 1 / 8,
            "dropout_rate": 0,
        },
        8,
    ),
}
every_builder = pytest.mark.parametrize("case", CASES)


def build(case, count=12, **more):
    builder, arguments, channels, *_ = CASES[case]
    return builder((count, channels), 3, **{**arguments, **more})


def set_lively_weights(model):
    """Draws weights, the same on every backend, with which no narrow layer is dead."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if len(shape) == 1:  # Biases, and what BatchNorm has.
            weight.assign(rng.uniform(0.5, 1.5, shape))
        else:
            scale = np.sqrt(2 / np.prod(shape[:-1]))
            weight.assign(rng.normal(0, scale, shape))


@functools.cache
def shared(case):
    """A model for the tests that leave it as it is."""
    model = build(case)
    set_lively_weights(model)
    return model


def inputs(case, count=12, batch=3):
    rng = np.random.default_rng(0)
    cloud = rng.uniform(-1, 1, (batch, count, CASES[case].channels)).astype("float32")
    if CASES[case].category:
        return [cloud, np.eye(4, dtype="float32")[np.arange(batch) % 4]]
    return cloud


def predict(model, batch):
    return ops.convert_to_numpy(model(batch, training=False))


def test_no_builder_is_forgotten():
    public = {getattr(networks, name) for name in networks.__all__}
    assert public == {case.builder for case in CASES.values()}


@pytest.mark.parametrize("name", networks.__all__)
def test_signature_is_that_of_the_house(name):
    parameters = inspect.signature(getattr(networks, name)).parameters
    first, second, *rest = parameters.values()
    assert (first.name, second.name) == ("input_shape", "num_classes")
    assert all(p.kind is p.KEYWORD_ONLY for p in rest)
    assert parameters["activation"].default == "softmax"
    assert parameters["width_multiplier"].default == 1.0
    assert parameters["name"].default == name


@every_builder
def test_returns_float32_probabilities(case):
    model = shared(case)
    assert isinstance(model, keras.Model) and model.name == case
    outputs = predict(model, inputs(case))
    assert outputs.shape == ((3, 12, 3) if CASES[case].per_point else (3, 3))
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs.sum(-1), 1, atol=1e-5)
    assert outputs.std() > 1e-4


@every_builder
@pytest.mark.parametrize(
    "num_classes,activation,last",
    [(3, None, "logits"), (1, "sigmoid", "probabilities")],
)
def test_heads(case, num_classes, activation, last):
    builder, arguments, channels, *_ = CASES[case]
    model = builder((12, channels), num_classes, activation=activation, **arguments)
    assert model.layers[-1].name == last
    assert model.output.shape[-1] == num_classes


@every_builder
def test_an_open_number_of_points_gives_the_values_of_a_static_one(case):
    static, dynamic = shared(case), build(case, None)
    dynamic.set_weights(static.get_weights())
    np.testing.assert_allclose(
        dynamic.predict(inputs(case), verbose=0),
        predict(static, inputs(case)),
        atol=1e-5,
    )
    other = predict(dynamic, inputs(case, 17))
    assert other.shape == ((3, 17, 3) if CASES[case].per_point else (3, 3))


@every_builder
def test_a_saved_model_loads_without_custom_objects(case, tmp_path):
    model = shared(case)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(
        predict(loaded, inputs(case)), predict(model, inputs(case))
    )


@every_builder
def test_config_makes_an_equal_model(case):
    model = shared(case)
    copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(
        predict(copy, inputs(case)), predict(model, inputs(case))
    )


def in_front_of_batch_norm(path):
    """Whether it is a bias that BatchNorm takes away again: its gradient is 0."""
    scores = any(part in path for part in ("scores", "matrix"))
    return path.endswith("bias") and not scores


# Tracing takes long, and what it could break is common to a family.
@pytest.mark.parametrize(
    "case,eagerly",
    [(case, True) for case in CASES]
    + [("pointnet_segmentation", False), ("a_cnn_classification", False)],
)
def test_every_weight_moves_in_one_step(case, eagerly):
    model = build(case)
    set_lively_weights(model)
    shape = (3, 12) if CASES[case].per_point else (3,)
    truth = np.random.default_rng(0).integers(0, 3, shape)
    before = [weight.numpy().copy() for weight in model.trainable_weights]
    loss = losses.SparseCrossEntropy() if len(shape) == 3 else None
    model.compile(
        keras.optimizers.SGD(10.0),
        loss or "sparse_categorical_crossentropy",
        run_eagerly=eagerly,
    )
    model.fit(inputs(case), truth, batch_size=3, verbose=0)
    after = [weight.numpy() for weight in model.trainable_weights]
    still = [
        weight.path
        for weight, old, new in zip(model.trainable_weights, before, after, strict=True)
        if np.array_equal(old, new) and not in_front_of_batch_norm(weight.path)
    ]
    assert not still
    assert all(np.isfinite(value).all() for value in after)


@pytest.mark.slow
@every_builder
def test_compiled_training_goes_on_from_a_saved_model(case, tmp_path):
    model = build(case)
    set_lively_weights(model)
    shape = (4, 12) if CASES[case].per_point else (4,)
    batch = inputs(case, batch=4)
    truth = np.random.default_rng(0).integers(0, 3, shape)
    model.compile(
        keras.optimizers.Adam(1e-3),
        losses.SparseCrossEntropy()
        if len(shape) == 2
        else "sparse_categorical_crossentropy",
    )
    options = {"batch_size": 4, "shuffle": False, "verbose": 0}
    history = model.fit(batch, truth, epochs=20, **options).history
    assert history["loss"][-1] < history["loss"][0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(predict(loaded, batch), predict(model, batch))
    state = zip(model.optimizer.variables, loaded.optimizer.variables, strict=True)
    for old, new in state:
        np.testing.assert_array_equal(
            ops.convert_to_numpy(new), ops.convert_to_numpy(old)
        )
    loaded.run_eagerly = True  # to trace it again takes long
    (loss,) = loaded.fit(batch, truth, **options).history["loss"]
    assert loss < history["loss"][0]


@pytest.fixture
def policy():
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@every_builder
def test_half_precision_has_float32_outputs(case, policy):
    policy("mixed_float16")
    model = build(case)
    assert model.get_layer("scores").compute_dtype == "float16"
    assert model.get_layer("logits").compute_dtype == "float32"
    outputs = predict(model, inputs(case))
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs.sum(-1), 1, atol=1e-5)


@every_builder
@pytest.mark.parametrize("channels", [2, None])
def test_other_channels_are_an_error(case, channels):
    with pytest.raises(ValueError, match=r"Received: input_shape=\(12, (2|None)\)"):
        CASES[case].builder((12, channels), 3)


@every_builder
@pytest.mark.parametrize("shape", [12, "12", (12.0, 6)])
def test_a_shape_of_the_wrong_type(case, shape):
    with pytest.raises(TypeError, match="Received: input_shape="):
        CASES[case].builder(shape, 3)


@every_builder
def test_bad_classes_and_activations(case):
    channels = CASES[case].channels
    with pytest.raises(ValueError, match="Received: num_classes=0"):
        CASES[case].builder((2048, channels), 0)
    with pytest.raises(ValueError, match="Received: activation='relu'"):
        CASES[case].builder((2048, channels), 3, activation="relu")


@every_builder
def test_what_is_not_finite_is_named_with_its_row(case):
    batch = inputs(case)
    (batch[0] if CASES[case].category else batch)[1, 4, 0] = np.nan
    with pytest.raises(ValueError, match=r"\[1, 4\]="):
        shared(case)(batch)
