"""What every public loss keeps, on every backend."""

import inspect

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import ops
from scipy.special import expit, softmax

from kseg import losses, metrics

# Every public class and function, in the variants that take different ways.
CLASSES = {
    losses.SparseCrossEntropy: [
        {},
        {"normalization": "weights"},
        {"normalization": "sum"},
        {"class_weights": (0.25, 4.0)},
        {"class_weights": (0.25, 4.0), "normalization": "weights"},
        {"hard_fraction": 0.3},
    ],
    losses.UNetBorder: [{"sigma": 0.5, "class_weights": (0.25, 4.0)}],
    losses.Focal: [{}, {"gamma": 0.5, "class_weights": (0.75, 0.25)}],
    losses.Dice: [{}, {"include_background": False}, {"smooth": 1e-3}],
    losses.GeneralizedDice: [{}],
    losses.IoU: [{}, {"include_background": False}],
    losses.Lovasz: [{}, {"present_only": False}],
    losses.Tversky: [{}, {"include_background": False}],
    losses.FocalTversky: [{}, {"gamma": 1.5}],
    losses.Boundary: [{}, {"include_background": True}, {"resolution": 3}],
    losses.Hausdorff: [{}, {"resolution": 3}, {"method": "erosion", "erosions": 2}],
    losses.Sum: [{"losses": [losses.SparseCrossEntropy, losses.Dice]}],
}
FUNCTIONS = {
    losses.sparse_cross_entropy: "pixel",
    losses.unet_border: "pixel",
    losses.focal: "pixel",
    losses.dice: "region",
    losses.generalized_dice: "region",
    losses.iou: "region",
    losses.lovasz: "region",
    losses.tversky: "region",
    losses.focal_tversky: "region",
    losses.boundary: "region",
    losses.hausdorff: "region",
}
# What is in the room beside losses.
HELPERS = {
    losses.ScheduleWeights,
    losses.border_weights,
    losses.class_weights,
    losses.signed_distance,
}
OTHER_GRAPHS = (
    {"hard_fraction": 0.3},
    {"resolution": 3},
    {"method": "erosion", "erosions": 2},
)
# Losses of contours: 0 where there is none, and for images alone.
CONTOURS = {losses.Boundary, losses.Hausdorff}
IMAGES_ALONE = {*CONTOURS, losses.UNetBorder}

CASES = [
    pytest.param(loss, arguments, id=f"{loss.__name__}-{'-'.join(map(str, arguments))}")
    for loss, variants in CLASSES.items()
    for arguments in variants
]
every_loss = pytest.mark.parametrize(("loss_class", "arguments"), CASES)
every_channels = pytest.mark.parametrize("channels", [1, 2])
either_score = pytest.mark.parametrize("from_logits", [True, False])
# For what is slow: one way through probabilities and one through logits.
two_ways = pytest.mark.parametrize(("channels", "from_logits"), [(1, False), (2, True)])
first_variant = pytest.mark.parametrize(
    ("loss_class", "arguments"),
    [pytest.param(loss, args[0], id=loss.__name__) for loss, args in CLASSES.items()],
)
# What compiles to another graph, for tests that compile.
every_graph = pytest.mark.parametrize(
    ("loss_class", "arguments"),
    [
        case
        for case in CASES
        if case.values[1] in (CLASSES[case.values[0]][0], *OTHER_GRAPHS)
    ],
)


def make(loss_class, arguments, from_logits=False, **more):
    if loss_class is losses.Sum:
        parts = [one(from_logits=from_logits) for one in arguments["losses"]]
        return losses.Sum(parts, weights=(1.0, 0.5))
    return loss_class(from_logits=from_logits, **arguments, **more)


def random_batch(shape=(4, 5, 7), channels=2, from_logits=False, seed=0):
    """Masks of 0, 1 and 255, and scores of no special value."""
    rng = np.random.default_rng(seed)
    masks = rng.choice([0, 1, 255], shape).astype("int32")
    logits = rng.normal(0, 2, (*shape, channels)).astype("float32")
    if from_logits:
        return masks, logits
    return masks, expit(logits) if channels == 1 else softmax(logits, axis=-1)


def number(loss):
    return float(ops.convert_to_numpy(ops.cast(loss, "float32")))


def compiled(function):
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            return tf.function(function)
        case "jax":
            import jax

            return jax.jit(function)
    pytest.skip("Keras runs steps uncompiled on the torch backend")


def test_table_holds_every_public_loss():
    public = {getattr(losses, name) for name in losses.__all__}
    assert public == {*CLASSES, *FUNCTIONS, *HELPERS}
    defined = {
        value
        for value in vars(losses).values()
        if inspect.isclass(value) or inspect.isfunction(value)
    }
    assert defined == public


def test_registered_names_are_unique_between_rooms():
    names = [
        keras.saving.get_registered_name(getattr(room, name))
        for room in (losses, metrics)
        for name in room.__all__
        if inspect.isclass(getattr(room, name))
        and not issubclass(getattr(room, name), keras.callbacks.Callback)
    ]
    assert len(set(names)) == len(names)
    for loss in CLASSES:
        registered = keras.saving.get_registered_name(loss)
        assert registered == f"kseg.losses>{loss.__name__}"
        assert keras.saving.get_registered_object(registered) is loss


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_returns_one_loss_per_pixel_or_per_image(function):
    masks, y_pred = random_batch((2, 5, 7))
    expected = {"pixel": (2, 5, 7), "region": (2,)}[FUNCTIONS[function]]
    result = function(masks, y_pred)
    assert tuple(result.shape) == expected
    assert keras.backend.standardize_dtype(result.dtype) == "float32"


@every_loss
@every_channels
@either_score
def test_last_axis_and_dtype_of_the_masks_do_not_matter(
    loss_class, arguments, channels, from_logits
):
    loss = make(loss_class, arguments, from_logits)
    masks, y_pred = random_batch(channels=channels, from_logits=from_logits)
    expected = number(loss(masks, y_pred))
    assert np.isfinite(expected) and expected != 0
    for dtype in ("uint8", "int64", "float32"):
        assert number(loss(masks.astype(dtype), y_pred)) == expected
    assert number(loss(masks[..., None], y_pred)) == expected


@every_loss
@every_channels
@either_score
def test_logits_equal_probabilities(loss_class, arguments, channels, from_logits):
    masks, logits = random_batch(channels=channels, from_logits=True)
    p = expit(logits) if channels == 1 else softmax(logits, axis=-1)
    assert number(make(loss_class, arguments, True)(masks, logits)) == pytest.approx(
        number(make(loss_class, arguments, False)(masks, p)), rel=1e-5
    )


@every_loss
@every_channels
@either_score
def test_predictions_in_ignored_pixels_do_not_matter(
    gradient, loss_class, arguments, channels, from_logits
):
    loss = make(loss_class, arguments, from_logits)
    masks, y_pred = random_batch(channels=channels, from_logits=from_logits)
    other = np.where((masks == 255)[..., None], 1 - y_pred, y_pred)
    assert number(loss(masks, y_pred)) == number(loss(masks, other))
    slopes = gradient(lambda x: loss(masks, x), y_pred)
    assert np.all(slopes[masks == 255] == 0)
    assert np.any(slopes[masks == 0] != 0) and np.any(slopes[masks == 1] != 0)


@first_variant
@every_channels
def test_another_ignored_class_and_none(loss_class, arguments, channels):
    if loss_class is losses.Sum:
        pytest.skip("a sum has no ignored class of its own")
    masks, y_pred = random_batch(channels=channels)
    expected = number(make(loss_class, arguments)(masks, y_pred))
    minus_one = np.where(masks == 255, -1, masks)
    loss = make(loss_class, arguments, ignore_class=-1)
    assert number(loss(minus_one, y_pred)) == expected
    all_valid = make(loss_class, arguments, ignore_class=None)
    binary = np.minimum(masks, 1)
    assert number(all_valid(binary, y_pred)) == number(
        make(loss_class, arguments)(binary, y_pred)
    )


@every_loss
@every_channels
@either_score
@pytest.mark.parametrize("weight", [None, 0.0])
def test_batch_without_a_valid_pixel_has_loss_and_gradient_0(
    gradient, loss_class, arguments, channels, from_logits, weight
):
    loss = make(loss_class, arguments, from_logits)
    masks, y_pred = random_batch(channels=channels, from_logits=from_logits)
    weights = None if weight is None else np.full(masks.shape, weight)
    masks = np.full_like(masks, 255 if weight is None else 1)
    assert number(loss(masks, y_pred, weights)) == 0
    assert np.all(gradient(lambda x: loss(masks, x, weights), y_pred) == 0)


@every_loss
@every_channels
@either_score
def test_pixel_weight_0_equals_ignoring(loss_class, arguments, channels, from_logits):
    if loss_class is losses.UNetBorder:
        pytest.skip("the weights of pixels are its map")
    loss = make(loss_class, arguments, from_logits)
    masks, y_pred = random_batch((4, 4, 4), channels, from_logits)
    weights = (np.random.default_rng(1).random(masks.shape) < 0.6).astype("float32")
    expected = number(loss(np.where(weights == 0, 255, masks), y_pred))
    # Boundary reads a map from the weights that have the shape of the predictions.
    is_map = loss_class is losses.Boundary and channels == 1
    for shape in [(4, 4, 4)] + [(4, 4, 4, 1)] * (not is_map):
        actual = number(loss(masks, y_pred, weights.reshape(shape)))
        assert actual == pytest.approx(expected, rel=1e-6)
    assert number(loss(masks, y_pred, np.ones_like(weights))) == pytest.approx(
        number(loss(masks, y_pred)), rel=1e-6
    )


@every_loss
@every_channels
@pytest.mark.parametrize("per_pixel", [True, False])
def test_batch_equal_to_width_is_no_trap_for_weights(
    loss_class, arguments, channels, per_pixel
):
    """Ignored columns change the width but not the loss."""
    if "resolution" in arguments:
        pytest.skip("another width is sampled at other pixels")
    loss = make(loss_class, arguments)
    masks, y_pred = random_batch((4, 4, 4), channels)
    weights = np.random.default_rng(1).uniform(0.5, 2, masks.shape).astype("float32")
    weights = weights if per_pixel else weights[:, 0, 0]
    padding = ((0, 0), (0, 0), (0, 3))
    wide_weights = np.pad(weights, padding) if per_pixel else weights
    wide_masks = np.pad(masks, padding, constant_values=255)
    wide_y_pred = np.pad(y_pred, (*padding, (0, 0)), constant_values=0.5)
    expected = number(loss(wide_masks, wide_y_pred, wide_weights))
    # The boundary loss is a sum of both signs.
    assert number(loss(masks, y_pred, weights)) == pytest.approx(
        expected, rel=1e-6, abs=1e-7 * (loss_class is losses.Boundary)
    )


@first_variant
@pytest.mark.parametrize("shape", [(5,), (4, 5, 4), (3, 4, 4), (4, 4, 4, 2)])
def test_weights_of_another_shape_raise(loss_class, arguments, shape):
    masks, y_pred = random_batch((4, 4, 4))
    if loss_class is losses.Boundary and shape == y_pred.shape:
        pytest.skip("these are its maps")
    with pytest.raises(ValueError, match=r"`sample_weight` must .* Received: sample_w"):
        make(loss_class, arguments)(masks, y_pred, np.ones(shape, "float32"))


@every_loss
@every_channels
@pytest.mark.parametrize("label", [0, 1])
def test_probabilities_of_exactly_0_and_1_are_finite(
    gradient, loss_class, arguments, channels, label
):
    """One class absent, the scores all right or all wrong."""
    loss = make(loss_class, arguments)
    masks = np.full((2, 3, 5), label)
    for foreground in (0.0, 1.0):
        y_pred = np.full((2, 3, 5, 1), foreground, "float32")
        if channels == 2:
            y_pred = np.concatenate([1 - y_pred, y_pred], axis=-1)
        is_right = label == foreground
        value = number(loss(masks, y_pred))
        assert np.isfinite(value)
        has_no_contour = loss_class in CONTOURS and "method" not in arguments
        if is_right or has_no_contour:
            assert value == pytest.approx(0, abs=1e-6)
        else:
            assert value > 0.1
        slopes = gradient(lambda x: loss(masks, x), y_pred)  # noqa: B023
        assert np.all(np.isfinite(slopes))


@every_loss
@every_channels
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_huge_logits_are_finite(gradient, loss_class, arguments, channels, size):
    loss = make(loss_class, arguments, from_logits=True)
    masks, logits = random_batch(channels=channels, from_logits=True)
    logits = np.sign(logits) * np.float32(size)
    assert np.isfinite(number(loss(masks, logits)))
    assert np.all(np.isfinite(gradient(lambda x: loss(masks, x), logits)))


@every_loss
@two_ways
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(
    gradient, loss_class, arguments, channels, from_logits, dtype
):
    loss = make(loss_class, arguments, from_logits)
    masks, y_pred = random_batch(channels=channels, from_logits=from_logits)
    half = ops.cast(y_pred, dtype)
    result = loss(masks, half)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    rounded = ops.convert_to_numpy(ops.cast(half, "float32"))
    assert number(result) == pytest.approx(number(loss(masks, rounded)), rel=1e-6)
    slopes = gradient(lambda x: loss(masks, x), y_pred, dtype)
    expected = gradient(lambda x: loss(masks, x), rounded)
    np.testing.assert_allclose(slopes, expected, rtol=0.02, atol=1e-6)


@every_loss
@every_channels
def test_single_pixel(loss_class, arguments, channels):
    masks, y_pred = np.ones((1, 1, 1), "int32"), np.full((1, 1, 1, channels), 0.5)
    value = number(make(loss_class, arguments)(masks, y_pred))
    assert value == 0 if loss_class in CONTOURS else value > 0


@first_variant
@pytest.mark.parametrize("pixels", [(35,), (5, 7), (5, 1, 7)])
def test_any_number_of_axes_between_batch_and_classes(loss_class, arguments, pixels):
    """Points, images, clips."""
    loss = make(loss_class, arguments)
    masks, y_pred = random_batch((4, 5, 7))
    if loss_class in IMAGES_ALONE and len(pixels) != 2:
        with pytest.raises(ValueError, match="of images.*Received"):
            loss(masks.reshape(4, *pixels), y_pred.reshape(4, *pixels, 2))
        return
    actual = loss(masks.reshape(4, *pixels), y_pred.reshape(4, *pixels, 2))
    assert number(actual) == pytest.approx(number(loss(masks, y_pred)), rel=1e-6)


@every_graph
@two_ways
def test_compiled_equals_eager(loss_class, arguments, channels, from_logits):
    loss = make(loss_class, arguments, from_logits)
    masks, y_pred = random_batch(channels=channels, from_logits=from_logits)
    weights = np.linspace(0, 2, masks.size, dtype="float32").reshape(masks.shape)
    actual = compiled(lambda *batch: loss(*batch))(masks, y_pred, weights)
    expected = number(loss(masks, y_pred, weights))
    assert number(actual) == pytest.approx(expected, rel=1e-5)


@first_variant
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 7, 38], "Received: y_true with the values 7, 38"),
        ([0, -1, 1000], "Received: y_true with the values -1, 1000"),
        ([0.0, 0.5, 1.0], "nearest neighbour.* Received: .* values 0.5"),
        ([0.0, np.nan], "Received: .* values nan"),
    ],
)
@every_channels
def test_bad_labels_raise_when_called_eagerly(
    loss_class, arguments, channels, labels, message
):
    masks, y_pred = random_batch(channels=channels)
    with np.errstate(invalid="ignore"):
        masks = np.resize(np.array(labels), masks.shape)
        with pytest.raises(ValueError, match=message):
            make(loss_class, arguments)(masks, y_pred)


@first_variant
def test_masks_of_0_and_255_get_a_hint(loss_class, arguments):
    if loss_class is losses.Sum:
        pytest.skip("a sum has no ignored class of its own")
    masks, y_pred = random_batch(channels=1)
    with pytest.raises(ValueError, match="0/255 mask. Divide it by 255"):
        make(loss_class, arguments, ignore_class=None)(masks, y_pred)


@every_graph
@two_ways
def test_bad_labels_are_nan_in_a_compiled_step_and_spoil_no_gradient(
    loss_class, arguments, channels, from_logits
):
    loss = make(loss_class, arguments, from_logits)
    masks, y_pred = random_batch(channels=channels, from_logits=from_logits)
    masks[1, 2, 3] = 7
    value, slopes = compiled(_with_gradient(loss))(masks, y_pred)
    assert np.isnan(number(value))
    assert np.all(np.isfinite(ops.convert_to_numpy(slopes)))


def _with_gradient(loss):
    """Loss and gradient as a training step has them: masks come while it runs."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.value_and_grad(loss, argnums=1)

    def function(masks, y_pred):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = loss(masks, y_pred)
        return value, tape.gradient(value, y_pred)

    return function


@first_variant
def test_logits_without_from_logits_raise_when_called_eagerly(loss_class, arguments):
    masks, logits = random_batch(from_logits=True)
    with pytest.raises(ValueError, match="pass from_logits=True. Received: y_pred"):
        make(loss_class, arguments)(masks, logits)


@first_variant
@pytest.mark.parametrize("shape", [(4, 5, 7, 2), (4, 5), (4, 7, 5), (4, 1, 7, 1)])
def test_masks_of_another_shape_raise(loss_class, arguments, shape):
    _, y_pred = random_batch()
    with pytest.raises(ValueError, match="one class id per pixel.*Received: y_true.sh"):
        make(loss_class, arguments)(np.zeros(shape, "int32"), y_pred)


@every_loss
@either_score
def test_config_round_trip(loss_class, arguments, from_logits):
    loss = make(loss_class, arguments, from_logits)
    config = keras.saving.serialize_keras_object(loss)
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is loss_class
    assert keras.saving.serialize_keras_object(copy) == config
    parameters = inspect.signature(loss_class).parameters
    assert set(loss.get_config()) == set(parameters)
    masks, y_pred = random_batch(from_logits=from_logits)
    assert number(copy(masks, y_pred)) == number(loss(masks, y_pred))


@first_variant
@pytest.mark.parametrize("channels", [1])
def test_trains_and_comes_back_from_a_file(loss_class, arguments, channels, tmp_path):
    """With a short last batch, so that the batch is no constant."""
    masks, _ = random_batch((5, 6, 9))
    images = np.where(masks == 0, 10.0, 200.0)[..., None] / 255
    inputs = keras.Input((None, None, 1))
    activation = "sigmoid" if channels == 1 else "softmax"
    outputs = keras.layers.Conv2D(channels, 1, activation=activation)(inputs)
    model = keras.Model(inputs, outputs)
    loss = make(loss_class, arguments)
    model.compile(keras.optimizers.Adam(0.2), loss)
    history = model.fit(images, masks, batch_size=2, epochs=8, verbose=0)
    first, last = history.history["loss"][0], history.history["loss"][-1]
    assert last < first - 0.2 * abs(first)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert type(copy.loss) is loss_class
    expected = model.evaluate(images, masks, batch_size=2, verbose=0)
    assert copy.evaluate(images, masks, batch_size=2, verbose=0) == pytest.approx(
        expected, rel=1e-6
    )


# Few, since every new shape is compiled anew.
SHAPES = [(1, 1, 1), (2, 3, 4), (4, 4, 4), (1, 7, 2), (3, 1, 5), (2, 5, 3)]


def finite_for_any_scores(gradient, loss_class, arguments, max_examples):
    """Over classes, patterns of ignored pixels, weights, scores and their dtypes."""
    probabilities = st.floats(0, 1, width=32) | st.sampled_from([0.0, 1.0])
    logits = {
        "float32": st.floats(-(2.0**99), 2.0**99, width=32),
        "bfloat16": st.floats(-(2.0**99), 2.0**99, width=32),
        "float16": st.floats(-(2.0**15), 2.0**15, width=16),
    }

    @settings(max_examples=max_examples, deadline=None, derandomize=True)
    @given(st.data())
    def check(data):
        shape = data.draw(st.sampled_from(SHAPES))
        dtype = data.draw(st.sampled_from(["float32", "float16", "bfloat16"]))
        most = 2 if "class_weights" in arguments else 3
        channels = data.draw(st.integers(1, most))
        from_logits = data.draw(st.booleans())
        score = logits[dtype] if from_logits else probabilities
        y_pred = data.draw(arrays("float32", (*shape, channels), elements=score))
        labels = st.sampled_from([*range(max(channels, 2)), 255])
        masks = data.draw(arrays("int32", shape, elements=labels))
        # Float16 ends at 65504, and so do gradients in it.
        weights = [0.0, 1e-3, 1.0, *([] if dtype == "float16" else [50.0])]
        weight = data.draw(
            st.none() | arrays("float32", shape, elements=st.sampled_from(weights))
        )
        loss = make(loss_class, arguments, from_logits)
        assert np.isfinite(number(loss(masks, ops.cast(y_pred, dtype), weight)))
        slopes = gradient(lambda x: loss(masks, x, weight), y_pred, dtype)
        assert np.all(np.isfinite(slopes))

    check()


@every_graph
def test_any_scores_have_a_finite_loss_and_gradient(gradient, loss_class, arguments):
    finite_for_any_scores(gradient, loss_class, arguments, max_examples=20)


@pytest.mark.slow
@every_loss
def test_any_scores_have_a_finite_loss_and_gradient_many(
    gradient, loss_class, arguments
):
    finite_for_any_scores(gradient, loss_class, arguments, max_examples=4000)
