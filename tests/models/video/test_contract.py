"""What every public builder of a network for video keeps, on every backend."""

import functools
import inspect
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import pytest
from keras import ops

from kseg import losses, models
from kseg.models import video
from kseg.models.video.cuts import default_cuts

SIZE = (32, 48)


def unet(size, channels=3, classes=3):
    return models.unet(
        (*size, channels),
        classes,
        filters=(4, 6, 8),
        dropout_rate=0,
        activation="softmax" if classes > 1 else "sigmoid",
    )


def fcn(size):
    return models.fcn_8s((*size, 3), 3, width_multiplier=1 / 64, dropout_rate=0)


def stfcn(size, **options):
    return video.stfcn((*size, 3), 3, units=128, width_multiplier=1 / 32, **options)


class Case(NamedTuple):
    build: Callable  # From the size of the frames.
    any_size: bool = True
    classes: int = 3


# Every public builder, narrow, in the variants that take different ways.
CASES = {
    "stfcn-local-lstm": Case(stfcn, any_size=False),
    "stfcn-local-gru": Case(
        functools.partial(stfcn, cell="gru", padding="same"), any_size=False
    ),
    "stfcn-shared-lstm": Case(functools.partial(stfcn, recurrence="shared")),
    "stfcn-conv-gru": Case(
        functools.partial(stfcn, recurrence="conv", cell="gru", padding="same")
    ),
    "netwarp": Case(lambda size: video.netwarp(unet(size), "down3_conv2")),
    "netwarp-release": Case(
        lambda size: video.netwarp(
            unet(size), "up2_conv2", variant="release", initial_weights=(0.5, 0.5)
        )
    ),
    "clockwork_fcn": Case(lambda size: video.clockwork_fcn(fcn(size))),
    "clockwork_fcn-unet": Case(
        lambda size: video.clockwork_fcn(unet(size), ["down2_relu2", "up2_relu2"])
    ),
    "low_latency": Case(
        lambda size: video.low_latency(
            unet(size), ("down2_relu2", "up2_relu2"), filters=4, kernel_size=3
        )
    ),
    "low_latency-strides": Case(  # The deep map is smaller than the shallow one.
        lambda size: video.low_latency(
            unet(size), ("down1_relu2", "down3_relu2"), filters=4, kernel_size=5
        )
    ),
    "mask_feedback": Case(
        lambda size: video.mask_feedback(unet(size, channels=4, classes=1)), classes=1
    ),
}
BUILDERS = {"clockwork_fcn", "low_latency", "mask_feedback", "netwarp", "stfcn"}
every_builder = pytest.mark.parametrize("case", CASES)


def set_lively_weights(model):
    """Draws weights, the same on every backend, with which no narrow layer is dead."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if len(shape) == 1:  # Biases, and what BatchNorm has.
            weight.assign(rng.uniform(0.5, 1.5, shape))
        elif "/bias" not in weight.path:
            scale = np.sqrt(
                2 / np.prod(shape[-3:-1] if len(shape) == 3 else shape[:-1])
            )
            weight.assign(rng.normal(0, scale, shape))


@functools.cache
def shared(case):
    """A model for the tests that leave it as it is."""
    model = CASES[case].build(SIZE)
    set_lively_weights(model)
    return model


def inputs_of(model, size=SIZE, batch=2):
    """Frames, flow within some pixels, and a state as from a frame before."""
    rng = np.random.default_rng(0)
    values = {}
    state = video.initial_state(model, batch, size)
    image = rng.uniform(0, 255, (batch, *size, 3)).astype("float32")
    if not isinstance(model.input, dict):
        return image
    for name in model.input:
        if name in state:
            values[name] = rng.uniform(0, 1, state[name].shape).astype("float32")
        elif name == "flow":
            values[name] = rng.normal(0, 3, (batch, *size, 2)).astype("float32")
        else:
            values[name] = image if name == "image" else image[::-1].copy()
    if "started" in values:
        values["started"][...] = 1
    return values


def predict(model, inputs):
    """A dict of arrays; eagerly, as a small net is done before it is compiled."""
    inputs = keras.tree.map_structure(ops.convert_to_tensor, inputs)
    outputs = model(inputs, training=False)
    if not isinstance(outputs, dict):
        outputs = {"probabilities": outputs}
    return {name: ops.convert_to_numpy(value) for name, value in outputs.items()}


def assert_equal(found, expected, **tolerance):
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, **{"rtol": 0, **tolerance})


def assert_probabilities(values):
    if values.shape[-1] == 1:
        assert 0 <= values.min() <= values.max() <= 1
    else:
        np.testing.assert_allclose(values.sum(-1), 1, atol=1e-5)


def test_no_builder_is_forgotten():
    functions = {n for n in video.__all__ if inspect.isfunction(getattr(video, n))}
    helpers = {"check_inputs", "initial_state", "parts", "state_names", "unroll"}
    assert functions - helpers == BUILDERS
    assert {case.split("-")[0] for case in CASES} == BUILDERS


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_signature_is_that_of_the_house(name):
    parameters = inspect.signature(getattr(video, name)).parameters
    first = [p.name for p in parameters.values() if p.kind is not p.KEYWORD_ONLY]
    wrappers = ["model", "at"], ["model"]  # Of a net that is there already.
    assert first in (["input_shape", "num_classes"], *wrappers)
    assert parameters["name"].default == name


@every_builder
def test_is_a_functional_model_that_is_named_like_its_builder(case):
    model = shared(case)
    assert model.name == case.split("-")[0]
    assert model.inputs and model.outputs
    if isinstance(model.input, dict):
        video.check_inputs(model, inputs_of(model))


@every_builder
def test_outputs_are_float32_probabilities_and_the_next_state(case):
    model = shared(case)
    outputs = predict(model, inputs_of(model))
    for name, value in outputs.items():
        assert value.dtype == np.float32
        assert np.isfinite(value).all()
        if name.endswith("probabilities"):
            assert value.shape == (2, *SIZE, CASES[case].classes)
            assert_probabilities(value)
            assert value.std() > 1e-4
    for name in video.state_names(model):
        assert outputs[name].shape[1:] == model.input[name].shape[1:]


@pytest.mark.parametrize(
    "case", [name for name, case in CASES.items() if case.any_size]
)
def test_open_sizes_give_the_values_of_static_ones(case):
    static, dynamic = shared(case), CASES[case].build((None, None))
    dynamic.set_weights(static.get_weights())
    inputs = inputs_of(static)
    assert_equal(predict(dynamic, inputs), predict(static, inputs), atol=1e-5)
    other = (47, 33)  # Of another parity.
    outputs = predict(dynamic, inputs_of(dynamic, other))
    assert outputs["probabilities"].shape == (2, *other, CASES[case].classes)


@every_builder
def test_a_saved_model_loads_without_custom_objects(case, tmp_path):
    model = shared(case)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    inputs = inputs_of(model)
    assert_equal(predict(loaded, inputs), predict(model, inputs), atol=0)
    assert video.state_names(loaded) == video.state_names(model)
    assert list(video.parts(loaded)) == list(video.parts(model))
    for name, part in video.parts(model).items():
        other = video.parts(loaded)[name]
        assert (set(other.input), set(other.output)) == (
            set(part.input),
            set(part.output),
        )


@every_builder
def test_config_makes_an_equal_model(case):
    model = shared(case)
    copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    inputs = inputs_of(model)
    assert_equal(predict(copy, inputs), predict(model, inputs), atol=0)


@every_builder
def test_every_weight_moves_in_one_step(case):
    model = CASES[case].build(SIZE)
    set_lively_weights(model)
    before = [weight.numpy().copy() for weight in model.trainable_weights]
    inputs, loss = inputs_of(model), losses.SparseCrossEntropy()
    truth = np.random.default_rng(0).integers(
        0, max(2, CASES[case].classes), (2, *SIZE)
    )
    trained = model
    if video.state_names(model):
        trained = video.unroll(model, 2)
        inputs = {
            name: np.stack([value, value[::-1]], 1)
            for name, value in inputs.items()
            if name in ("image", "flow")
        }
        inputs = inputs if len(inputs) > 1 else inputs["image"]
        # A label in the last frame alone.
        truth = np.stack([np.full_like(truth, 255), truth], 1)
    elif isinstance(model.output, dict):
        truth = {
            "probabilities": truth,
            "key_probabilities": truth,
            "deviation": np.float32([[0], [1]]),
        }
        loss = dict.fromkeys(truth, loss) | {"deviation": "mse"}
    trained.compile(keras.optimizers.SGD(1e3), loss, run_eagerly=True)
    trained.fit(inputs, truth, batch_size=2, verbose=0)
    after = [weight.numpy() for weight in model.trainable_weights]
    still = [
        weight.path
        for weight, old, new in zip(model.trainable_weights, before, after, strict=True)
        if np.array_equal(old, new)
    ]
    assert not still
    assert all(np.isfinite(value).all() for value in after)


# Image models that a net for video wraps, by their builders, with other backbones.
IMAGE_MODELS = {
    "deeplab_v3_plus": {"backbone": "mobilenet_v2", "width_multiplier": 0.35},
    "fcn_8s": {"padding": "same", "width_multiplier": 1 / 32},
    "pspnet": {"backbone": "resnet50", "width_multiplier": 1 / 16},
}


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_any_image_model_stays_what_it_is(name):
    """Cut where `Stream` cuts it, in the middle of its backbone."""
    size = (64, 96)
    net = getattr(models, name)((*size, 3), 3, **IMAGE_MODELS[name])
    set_lively_weights(net)
    image = np.random.default_rng(0).uniform(0, 255, (2, *size, 3)).astype("float32")
    expected = predict(net, image)["probabilities"]
    assert expected.std() > 1e-4
    at = default_cuts(net, size)
    found = predict(video.clockwork_fcn(net, at), image)
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
    warping = video.netwarp(net, at[-1])
    inputs = inputs_of(warping, size) | {"image": image}
    found = predict(warping, inputs)
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
    keys = video.low_latency(net, (at[0], at[-1]), filters=4, kernel_size=3)
    found = predict(keys, {"key_image": image, "image": image[::-1].copy()})
    np.testing.assert_allclose(found["key_probabilities"], expected, atol=1e-5)
    assert found["probabilities"].shape == expected.shape


@pytest.fixture
def policy():
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@every_builder
def test_half_precision_has_float32_outputs_and_state(case, policy):
    policy("mixed_float16")
    model = CASES[case].build(SIZE)
    outputs = predict(model, inputs_of(model))
    assert {value.dtype for value in outputs.values()} == {np.dtype("float32")}
    assert_probabilities(outputs["probabilities"])


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="TensorFlow Lite converts TensorFlow",
)
@every_builder
def test_steps_and_parts_are_files_without_flex(case):
    """Single-step graphs, whose state goes in and out."""
    pytest.importorskip("ai_edge_litert", reason="needs pip install 'kseg[mobile]'")
    model = shared(case)
    cache = inputs_of(model, batch=1)
    if video.state_names(model):
        assert_file_is_exact(model, cache)
        return
    cache = {"image": cache} if not isinstance(cache, dict) else dict(cache)
    for name, part in video.parts(model).items():
        if name == "propagation":
            cache |= {"key_low": cache["low"], "key_high": cache["high"]}
        if name == "scheduler" and "key_low" not in cache:
            cache["key_low"] = cache["low"]
        inputs = {key: cache[key] for key in part.input}
        cache |= assert_file_is_exact(part, inputs)


def assert_file_is_exact(model, inputs):
    """Converts a model of dicts to a .tflite; returns what the model gives."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    from kseg.mobile.exporting.conversion import convert
    from kseg.mobile.tflite.graph import op_counts

    trainable = [variable.numpy() for variable in model.trainable_variables]
    fixed = [variable.numpy() for variable in model.non_trainable_variables]

    @tf.function(
        input_signature=[
            {
                key: tf.TensorSpec(value.shape, value.dtype, name=key)
                for key, value in inputs.items()
            }
        ]
    )
    def serve(inputs):
        return model.stateless_call(trainable, fixed, inputs, training=False)[0]

    content = convert(serve.get_concrete_function())
    counts = op_counts(content)
    allowed = {"GATHER"} if model.name == "netwarp" else set()
    refused = {"BROADCAST_TO", "GATHER", "GATHER_ND", "MIRROR_PAD", "SHAPE", "SPLIT"}
    assert not refused & set(counts) - allowed
    runner = Interpreter(model_content=content).get_signature_runner()
    expected = predict(model, inputs)
    assert_equal({key: runner(**inputs)[key] for key in expected}, expected, atol=1e-4)
    return expected
