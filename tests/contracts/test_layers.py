"""What every public layer keeps, on every backend."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

from kseg import layers

# Every public layer: constructor arguments, and the shapes of its inputs.
CASES = {
    layers.AtrousConv2D: [
        ({"filters": 4, "kernel_size": 3, "dilation_rate": 2}, [(2, 5, 7, 3)]),
        (
            {"filters": 4, "kernel_size": 3, "dilation_rate": 3, "strides": 2},
            [(2, 8, 11, 3)],
        ),
    ],
    layers.AtrousSeparableConv2D: [
        ({"filters": 4, "kernel_size": 3, "dilation_rate": 2}, [(2, 5, 7, 3)]),
        (
            {
                "filters": 4,
                "kernel_size": 3,
                "dilation_rate": 2,
                "strides": 2,
                "depth_activation": None,
                "activation": None,
            },
            [(2, 8, 11, 3)],
        ),
    ],
    layers.ASPP: [
        ({"filters": 4, "dilation_rates": (1, 3)}, [(2, 5, 7, 3)]),
        ({"filters": 4, "dilation_rates": [2], "separable": True}, [(2, 8, 12, 3)]),
    ],
    layers.ASPPSum: [
        ({"filters": 4, "dilation_rates": (1, 3)}, [(2, 5, 7, 3)]),
        (
            {"filters": 4, "dilation_rates": [2, 4], "hidden_filters": 5},
            [(2, 8, 12, 3)],
        ),
    ],
    layers.BilinearUpsampling2D: [
        ({"scale": 2}, [(2, 5, 7, 3)]),
        ({"scale": 3, "learnable": True}, [(2, 5, 7, 3)]),
        (
            {"scale": 4, "learnable": True, "per_class": False, "padding": "valid"},
            [(2, 3, 4, 3)],
        ),
    ],
    layers.KSAC: [
        ({"filters": 4, "dilation_rates": (1, 3)}, [(2, 5, 7, 3)]),
        ({"filters": 4, "fusion": "sum_all", "dropout_rate": 0}, [(2, 8, 12, 3)]),
    ],
    layers.PyramidPooling2D: [
        ({"filters": 4}, [(2, 5, 7, 3)]),
        ({"filters": 4, "bins": [1, 4]}, [(2, 8, 12, 3)]),
    ],
    layers.ResizingByScale2D: [
        ({"scale": 0.75}, [(2, 8, 13, 3)]),
        ({"scale": 1.5, "interpolation": "nearest"}, [(2, 5, 7, 3)]),
    ],
    layers.ResizingLike2D: [
        ({}, [(2, 5, 7, 3), (2, 8, 12, 2)]),
        ({"interpolation": "nearest"}, [(2, 8, 12, 3), (2, 5, 7, 2)]),
        ({}, [(2, 8, 12, 3), (2, 8, 12, 2)]),
    ],
    layers.BoundaryRefinement2D: [
        ({}, [(2, 5, 7, 3)]),
        ({"kernel_size": 1}, [(2, 5, 7, 3)]),
    ],
    layers.GlobalConv2D: [
        ({"filters": 4, "kernel_size": 5}, [(2, 8, 12, 3)]),
        ({"filters": 4}, [(2, 5, 7, 3)]),
    ],
    layers.SpatialPyramidPooling2D: [
        ({}, [(2, 5, 7, 3)]),
        ({"bins": (6, 3)}, [(2, 4, 12, 3)]),
    ],
    layers.CRFRefinement: [
        ({"window": 3, "iterations": 2}, [(2, 5, 7, 3), (2, 5, 7, 3)]),
        ({"window": 5, "from_logits": True}, [(2, 5, 7, 2), (2, 5, 7, 1)]),
    ],
    layers.CroppingLike2D: [
        ({}, [(2, 8, 13, 3), (2, 5, 7, 2)]),
        ({}, [(2, 8, 12, 3), (2, 8, 12, 2)]),
        ({"offset": 2}, [(2, 8, 13, 3), (2, 5, 7, 2)]),
    ],
    layers.AnnularConv: [
        ({"filters": 4}, [(2, 5, 7, 3)]),
        ({"filters": 4, "kernel_size": 5}, [(2, 3, 4, 3)]),
    ],
    layers.ChannelSlice: [
        ({"start": 1}, [(2, 7, 3)]),
        ({"start": 0, "stop": 2}, [(2, 5, 7, 3)]),
    ],
    layers.FarthestPointSampling: [({"samples": 5}, [(2, 9, 4)])],
    layers.FeaturePropagation: [
        ({}, [(2, 9, 4), (2, 5, 3), (2, 5, 6)]),
        ({"k": 4}, [(2, 9, 3), (2, 1, 3), (2, 1, 6)]),
    ],
    layers.NeighborOrdering: [({}, [(2, 5, 7, 4), (2, 5, 6)])],
    layers.PointNormals: [
        ({}, [(2, 17, 3)]),
        ({"k": 4, "viewpoint": (1.0, 2.0, 3.0)}, [(2, 9, 6)]),
    ],
    layers.RepeatLike1D: [({}, [(2, 3), (2, 5, 4)])],
    layers.RingNeighbors: [
        (
            {"k": 4, "inner_radius": 0.0, "outer_radius": 1.0},
            [(2, 5, 6), (2, 9, 6)],
        ),
        (
            {"k": 4, "inner_radius": 0.5, "outer_radius": 2.0},
            [(2, 5, 3), (2, 9, 3), (2, 9, 2)],
        ),
    ],
    layers.TNet: [
        ({"filters": (4, 6), "units": [5]}, [(3, 7, 3)]),
        ({"filters": (4,), "units": (5,), "orthogonality": 0.1}, [(3, 7, 4)]),
    ],
    layers.ConvGRU2D: [
        ({"units": 4}, [(2, 5, 7, 3), (2, 5, 7, 4)]),
        ({"units": 4, "kernel_size": 1}, [(2, 5, 7, 3), (2, 5, 7, 4)]),
    ],
    layers.ConvLSTM2D: [
        ({"units": 4}, [(2, 5, 7, 3), (2, 5, 7, 8)]),
        ({"units": 4, "kernel_size": 1}, [(2, 5, 7, 3), (2, 5, 7, 8)]),
    ],
    layers.LocalGRU2D: [({"units": 4}, [(2, 5, 7, 3), (2, 5, 7, 4)])],
    layers.LocalLSTM2D: [({"units": 4}, [(2, 5, 7, 3), (2, 5, 7, 8)])],
    layers.FlowCNN: [
        ({}, [(2, 5, 7, 2), (2, 5, 7, 3), (2, 5, 7, 3)]),
        ({"variant": "release"}, [(2, 5, 7, 2), (2, 5, 7, 3), (2, 5, 7, 3)]),
    ],
    layers.SpatiallyVariantConv2D: [
        ({"kernel_size": 5}, [(2, 5, 7, 3), (2, 5, 7, 25)]),
        ({"kernel_size": 3}, [(2, 8, 12, 3), (2, 8, 12, 9)]),
    ],
    layers.WarpedSum2D: [
        ({}, [(2, 5, 7, 3), (2, 5, 7, 3), (2, 1)]),
        ({"initial_weights": (0.5, 0.5)}, [(2, 5, 7, 3), (2, 5, 7, 3), (2, 1)]),
    ],
    layers.Warping2D: [
        ({}, [(2, 5, 7, 3), (2, 5, 7, 2)]),
        ({"border": "zeros"}, [(2, 5, 7, 3), (2, 4, 9, 2)]),
    ],
}
# Layers with weights for every cell of a map, whose size they have to know.
OF_ONE_SIZE = (layers.LocalGRU2D, layers.LocalLSTM2D)
every_layer = pytest.mark.parametrize(
    "make,shapes",
    [
        pytest.param(
            lambda layer=layer, arguments=arguments, **more: layer(**arguments, **more),
            shapes,
            id=f"{layer.__name__}-{number}",
        )
        for layer, cases in CASES.items()
        for number, (arguments, shapes) in enumerate(cases)
    ],
)


def random_inputs(shapes):
    rng = np.random.default_rng(0)
    tensors = [rng.normal(size=shape).astype("float32") for shape in shapes]
    return tensors if len(tensors) > 1 else tensors[0]


def shape_argument(shapes):
    return shapes if len(shapes) > 1 else shapes[0]


def model_of(layer, shapes):
    inputs = [keras.Input(shape[1:]) for shape in shapes]
    outputs = layer(inputs if len(inputs) > 1 else inputs[0])
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs)


def with_open_sizes(layer, shapes):
    """Height and width, which are all axes between batch and channels, as `None`."""
    if isinstance(layer, OF_ONE_SIZE):
        return [(None, *shape[1:]) for shape in shapes]
    return [(None, *[None] * (len(shape) - 2), shape[-1]) for shape in shapes]


def test_no_layer_is_forgotten():
    public = {getattr(layers, name) for name in layers.__all__}
    assert public == set(CASES)


@pytest.mark.parametrize("layer", CASES, ids=lambda layer: layer.__name__)
def test_is_registered_under_its_room(layer):
    name = f"kseg.layers>{layer.__name__}"
    assert keras.saving.get_registered_name(layer) == name


@pytest.mark.parametrize("layer", CASES, ids=lambda layer: layer.__name__)
def test_config_lists_exactly_the_arguments(layer):
    base = set(keras.layers.Layer().get_config())
    own = set(inspect.signature(layer).parameters) - base - {"args", "kwargs"}
    arguments, _ = CASES[layer][0]
    assert set(layer(**arguments).get_config()) - base == own


@every_layer
@pytest.mark.parametrize("built", [False, True], ids=["before_build", "after_build"])
def test_config_makes_an_equal_layer(make, shapes, built):
    layer = make(name="block", trainable=False)
    if built:
        layer.build(shape_argument(shapes))
    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    if not built:
        layer.build(shape_argument(shapes))
    copy.build(shape_argument(shapes))
    copy.set_weights(layer.get_weights())
    inputs = random_inputs(shapes)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(copy(inputs)), ops.convert_to_numpy(layer(inputs))
    )


@every_layer
def test_shapes_are_those_that_were_promised(make, shapes):
    layer = make()
    outputs = layer(random_inputs(shapes))
    assert tuple(outputs.shape) == layer.compute_output_shape(shape_argument(shapes))
    open_shapes = with_open_sizes(layer, shapes)
    symbolic = model_of(make(), open_shapes).output
    promised = layer.compute_output_shape(shape_argument(open_shapes))
    assert tuple(symbolic.shape) == promised


@every_layer
def test_open_sizes_give_the_values_of_static_ones(make, shapes):
    static = model_of(make(), shapes)
    dynamic = model_of(make(), with_open_sizes(make(), shapes))
    dynamic.set_weights(static.get_weights())
    inputs = random_inputs(shapes)
    np.testing.assert_allclose(
        dynamic.predict(inputs, verbose=0), static.predict(inputs, verbose=0), atol=1e-5
    )


@every_layer
def test_mixed_precision_computes_in_half(make, shapes):
    full, half = make(), make(dtype="mixed_float16")
    inputs = random_inputs(shapes)
    expected, outputs = full(inputs), half(inputs)
    if full.weights:
        half.set_weights(full.get_weights())
        outputs = half(inputs)
    assert keras.backend.standardize_dtype(outputs.dtype) == "float16"
    assert model_of(make(dtype="mixed_float16"), shapes).output.dtype == "float16"
    np.testing.assert_allclose(
        ops.convert_to_numpy(outputs).astype("float32"),
        ops.convert_to_numpy(expected),
        atol=2e-2,
    )


@every_layer
def test_a_saved_model_loads_without_custom_objects(make, shapes, tmp_path):
    model = model_of(make(), shapes)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    inputs = random_inputs(shapes)
    np.testing.assert_array_equal(
        loaded.predict(inputs, verbose=0), model.predict(inputs, verbose=0)
    )


@every_layer
def test_gradients_are_finite_and_reach_every_weight(make, shapes):
    model = model_of(make(), shapes)
    outputs = model.output
    if len(outputs.shape) == 4:
        outputs = keras.layers.GlobalAveragePooling2D()(outputs)
    model = keras.Model(model.input, keras.layers.Dense(1)(outputs))
    for weight in model.trainable_weights:
        # A kernel that starts at zero, as that of T-Net, lets no gradient through.
        if len(weight.shape) > 1 and not ops.convert_to_numpy(weight).any():
            weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    before = [w.numpy().copy() for w in model.trainable_weights]
    inputs = random_inputs(shapes)
    model.fit(inputs, np.ones((shapes[0][0], 1)), verbose=0)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        new = weight.numpy()
        assert np.isfinite(new).all() and (new != old).any(), weight.path
