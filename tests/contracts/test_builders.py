"""What every public builder of a network keeps, on every backend."""

import functools
import inspect
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import pytest
from keras import ops

from kseg import losses, models


def two_maps():
    """A backbone of the user's own, with maps at strides 2 and 4."""
    image = keras.Input((None, None, 3))
    fine = keras.layers.Conv2D(4, 3, 2, padding="same", activation="relu")(image)
    coarse = keras.layers.Conv2D(6, 3, 2, padding="same", activation="relu")(fine)
    return keras.Model(image, [fine, coarse], name="two_maps")


def coarse_maps():
    """Another one, with maps at strides 8, 16 and 32, as FCN needs them."""
    x = image = keras.Input((None, None, 3))
    maps = []
    for stride in (8, 2, 2):
        x = keras.layers.Conv2D(4, 3, stride, padding="same", activation="relu")(x)
        maps.append(x)
    return keras.Model(image, maps, name="coarse_maps")


class Case(NamedTuple):
    builder: Callable
    arguments: dict  # A function is called for the value, which is used once.
    size: tuple
    margin: int = 0  # By which the output is smaller.


# Every public builder, narrow, in the variants that take different ways.
CASES = {
    "unet": Case(models.unet, {"filters": (4, 6, 8)}, (32, 48)),
    "unet-batch_norm": Case(
        models.unet, {"filters": (4, 6, 8), "batch_norm": True}, (33, 50)
    ),
    "unet-valid": Case(
        models.unet, {"filters": (4, 6), "padding": "valid"}, (18, 32), 16
    ),
    "unet-release": Case(
        models.unet, {"filters": (4, 6, 8), "variant": "release"}, (33, 50)
    ),
    "unet-backbone": Case(
        models.unet, {"filters": (4,), "backbone": two_maps}, (33, 50)
    ),
    "fcn_32s": Case(
        models.fcn_32s, {"width_multiplier": 1 / 64, "dropout_rate": 0}, (32, 49)
    ),
    "fcn_16s-learn_upsampling": Case(
        models.fcn_16s,
        {
            "width_multiplier": 1 / 64,
            "dropout_rate": 0,
            "padding": "same",
            "learn_upsampling": True,
        },
        (33, 50),
    ),
    "fcn_8s-at_once": Case(
        models.fcn_8s,
        {
            "width_multiplier": 1 / 64,
            "dropout_rate": 0,
            "at_once": True,
            "learn_upsampling": True,
            "per_class": False,
        },
        (32, 49),
    ),
    "fcn_8s-backbone": Case(
        models.fcn_8s,
        {
            "backbone": coarse_maps,
            "padding": "same",
            "score_initializer": "he_normal",
        },
        (47, 65),
    ),
    "deeplab_v1": Case(
        models.deeplab_v1, {"width_multiplier": 1 / 64, "dropout_rate": 0}, (41, 57)
    ),
    "deeplab_v1-backbone": Case(
        models.deeplab_v1,
        {"backbone": two_maps, "field_of_view": "4x4", "width_multiplier": 1 / 64},
        (33, 50),
    ),
    "deeplab_v2": Case(
        models.deeplab_v2,
        {"backbone": two_maps, "dilation_rates": (2,)},
        (33, 50),
    ),
    "deeplab_v2-scales": Case(
        models.deeplab_v2,
        {"backbone": two_maps, "dilation_rates": (2, 4), "scales": (0.75, 1.0)},
        (43, 65),
    ),
    "deeplab_v3": Case(
        models.deeplab_v3,
        {"backbone": two_maps, "multi_grid": None, "width_multiplier": 1 / 32},
        (33, 50),
    ),
    "deeplab_v3_plus": Case(
        models.deeplab_v3_plus,
        {"backbone": two_maps, "width_multiplier": 1 / 32},
        (33, 50),
    ),
    "ksac": Case(
        models.ksac,
        {"backbone": two_maps, "width_multiplier": 1 / 32, "separable": False},
        (33, 50),
    ),
    "pspnet": Case(
        models.pspnet, {"backbone": two_maps, "width_multiplier": 1 / 64}, (33, 50)
    ),
    "fpn": Case(models.fpn, {"width_multiplier": 0.25}, (47, 65)),
    "gcn": Case(models.gcn, {"backbone": two_maps, "kernel_size": 3}, (33, 50)),
    "gcn-learn_upsampling": Case(
        models.gcn,
        {"backbone": two_maps, "kernel_size": 3, "learn_upsampling": True},
        (33, 50),
    ),
    "lraspp": Case(
        models.lraspp,
        {"backbone": "mobilenet_v3_small", "width_multiplier": 0.25},
        (47, 65),
    ),
}
NO_BUILDERS = {"convolutionalize", "copy_weights", "split"}
every_builder = pytest.mark.parametrize("case", CASES)
every_head = pytest.mark.parametrize(
    "num_classes,activation", [(3, "softmax"), (3, None), (1, "sigmoid"), (1, None)]
)

# What no GPU of a phone runs, or runs wrong (tensors of five dimensions aside).
FORBIDDEN = {
    "BATCH_TO_SPACE_ND",
    "BROADCAST_TO",
    "GATHER",
    "GATHER_ND",
    "MIRROR_PAD",
    "SHAPE",
    "SPACE_TO_BATCH_ND",
    "SPLIT",
}


def build(case, size="its own", num_classes=3, **more):
    keras.utils.set_random_seed(0)
    builder, arguments, own_size, _ = CASES[case]
    size = own_size if size == "its own" else size
    arguments = {
        key: value() if callable(value) else value for key, value in arguments.items()
    }
    return builder((*size, 3), num_classes, **arguments, **more)


def set_lively_weights(model):
    """Draws weights, the same on every backend, with which no narrow layer is dead."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if len(shape) == 1:  # Biases, and what BatchNorm has.
            weight.assign(rng.uniform(0.5, 1.5, shape))
        elif len(shape) == 4:
            inputs = shape[:2] if "depthwise" in weight.path else shape[:3]
            weight.assign(rng.normal(0, np.sqrt(2 / np.prod(inputs)), shape))


@functools.cache
def shared(case):
    """A model for the tests that leave it as it is."""
    model = build(case)
    set_lively_weights(model)
    return model


def images(size, batch=2):
    return np.random.default_rng(0).uniform(0, 255, (batch, *size, 3)).astype("float32")


def predict(model, batch):
    return ops.convert_to_numpy(model(batch, training=False))


def output_size(case, size):
    margin = CASES[case].margin
    return (size[0] - margin, size[1] - margin)


def is_builder(function):
    names = list(inspect.signature(function).parameters)
    return names[:2] == ["input_shape", "num_classes"]


def test_no_builder_is_forgotten():
    public = {getattr(models, name) for name in models.__all__}
    builders = {f for f in public if inspect.isfunction(f) and is_builder(f)}
    assert builders == {case.builder for case in CASES.values()}


@pytest.mark.parametrize("name", sorted(set(models.__all__) - NO_BUILDERS))
def test_signature_is_that_of_the_house(name):
    builder = getattr(models, name)
    parameters = inspect.signature(builder).parameters
    first, second, *rest = parameters.values()
    assert (first.name, second.name) == ("input_shape", "num_classes")
    assert all(p.kind is p.KEYWORD_ONLY for p in rest)
    assert parameters["activation"].default == "softmax"
    assert parameters["width_multiplier"].default == 1.0
    assert parameters["name"].default == name


@every_builder
def test_returns_a_functional_model_that_is_named_like_it(case):
    model = shared(case)
    assert (
        isinstance(model, keras.Model) and len(model.inputs) == len(model.outputs) == 1
    )
    assert model.name == CASES[case].builder.__name__


@every_builder
def test_output_is_float32_probabilities_of_the_size_of_the_image(case):
    size = CASES[case].size
    model, batch = shared(case), images(size)
    outputs = predict(model, batch)
    assert outputs.shape == (2, *output_size(case, size), 3)
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs.sum(-1), 1, atol=1e-5)
    assert outputs.std() > 1e-4


@every_head
@pytest.mark.parametrize("case", ["unet", "lraspp"])
def test_heads(case, num_classes, activation):
    model = build(case, num_classes=num_classes, activation=activation)
    last = model.layers[-1]
    if activation is None:
        assert last.name == "logits"
    else:
        assert last.name == "probabilities"
        assert model.get_layer("logits").output.shape == model.output.shape
        batch = images(CASES[case].size)
        outputs = predict(model, batch)
        assert outputs.min() >= 0 and outputs.max() <= 1
    assert model.output.shape[-1] == num_classes


@every_builder
def test_open_sizes_give_the_values_of_static_ones(case):
    static, dynamic = shared(case), build(case, (None, None))
    assert dynamic.output.shape == (None, None, None, 3)
    dynamic.set_weights(static.get_weights())
    batch = images(CASES[case].size)
    np.testing.assert_allclose(
        predict(dynamic, batch), predict(static, batch), atol=1e-5
    )
    # Another size, which has another parity.
    height, width = CASES[case].size
    other = (width + 2, height + 2 if CASES[case].margin else height + 1)
    assert predict(dynamic, images(other)).shape == (2, *output_size(case, other), 3)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="sizes are open in TensorFlow alone"
)
@every_builder
def test_sizes_known_only_at_run_time(case):
    import tensorflow as tf

    dynamic = build(case, (None, None))
    signature = [tf.TensorSpec((None, None, None, 3))]
    compiled = tf.function(lambda x: dynamic(x), signature, autograph=False)
    batch = images(CASES[case].size)
    np.testing.assert_allclose(compiled(batch), predict(dynamic, batch), atol=1e-5)


@every_builder
def test_a_saved_model_loads_without_custom_objects(case, tmp_path):
    model = shared(case)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    batch = images(CASES[case].size)
    np.testing.assert_array_equal(predict(loaded, batch), predict(model, batch))


@every_builder
def test_config_makes_an_equal_model(case):
    model = shared(case)
    copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    batch = images(CASES[case].size)
    np.testing.assert_array_equal(predict(copy, batch), predict(model, batch))


@every_builder
def test_every_weight_moves_in_one_step(case):
    model = build(case)
    set_lively_weights(model)
    size = CASES[case].size
    truth = np.random.default_rng(0).integers(0, 3, (4, *output_size(case, size)))
    before = [weight.numpy().copy() for weight in model.trainable_weights]
    model.compile(
        keras.optimizers.SGD(1e3),
        # Keras' own has no gradient on PyTorch: "grad_input must be contiguous".
        losses.SparseCrossEntropy(),
        # One step is over long before TensorFlow has traced it.
        run_eagerly=True,
    )
    model.fit(images(size, 4), truth, batch_size=4, verbose=0)
    after = [weight.numpy() for weight in model.trainable_weights]
    still = [
        weight.path
        for weight, old, new in zip(model.trainable_weights, before, after, strict=True)
        if np.array_equal(old, new)
    ]
    assert not still
    assert all(np.isfinite(value).all() for value in after)


@pytest.fixture
def policy():
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(
    "case,precision",
    [(case, "mixed_float16") for case in CASES]
    + [(case, "float16") for case in ("unet", "lraspp")],
)
def test_half_precision_has_float32_outputs(case, precision, policy):
    policy(precision)
    model = build(case)
    assert model.get_layer("scores").compute_dtype == "float16"
    assert model.get_layer("logits").compute_dtype == "float32"
    outputs = predict(model, images(CASES[case].size))
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs.sum(-1), 1, atol=1e-5)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="TensorFlow Lite converts TensorFlow",
)
@every_builder
def test_export_to_tflite_is_exact_and_free_of_what_phones_refuse(case):
    pytest.importorskip("ai_edge_litert", reason="needs pip install 'kseg[mobile]'")
    model, size = shared(case), CASES[case].size
    from kseg.mobile.exporting.conversion import concrete_function, convert

    content = convert(concrete_function(model, size, "probabilities"))
    names, resizes, ranks = inspect_tflite(content)
    assert not FORBIDDEN & names
    assert not any(name.startswith("CUSTOM") for name in names)
    assert max(ranks) <= 4
    assert all(resize.halfPixelCenters for resize in resizes)
    assert not any(resize.alignCorners for resize in resizes)
    batch = images(size, 1)
    np.testing.assert_allclose(
        run_tflite(content, batch), predict(model, batch), atol=1e-4
    )


def inspect_tflite(content):
    """Names of the operations, options of the resizes, ranks of the tensors."""
    from kseg.mobile.tflite.graph import op_counts, schema, unpack

    (subgraph,) = unpack(content).subgraphs
    resizes = [
        op.builtinOptions
        for op in subgraph.operators
        if isinstance(op.builtinOptions, schema.ResizeBilinearOptionsT)
    ]
    ranks = [len(t.shape) for t in subgraph.tensors if t.shape is not None]
    return set(op_counts(content)), resizes, ranks


def run_tflite(content, batch):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], batch)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
