"""Cross-entropy against PyTorch, closed forms and finite differences."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import expit, log_softmax, softmax

from kseg.losses import SparseCrossEntropy, sparse_cross_entropy

WEIGHTS = (0.2, 1.0, 3.5)


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="the oracle is torch: pip install torch")


@pytest.fixture
def batch():
    """Masks (2, 5, 7) of three classes with ignored pixels, and logits for them."""
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (2, 5, 7)).astype("int32")
    masks[rng.random(masks.shape) < 0.3] = 255
    return masks, rng.normal(0, 3, (2, 5, 7, 3)).astype("float32")


def value(loss):
    return float(ops.convert_to_numpy(loss))


def torch_cross_entropy(torch, masks, logits, **arguments):
    return torch.nn.CrossEntropyLoss(ignore_index=255, **arguments)(
        torch.tensor(logits.astype("float64")).permute(0, 3, 1, 2),
        torch.tensor(masks.astype("int64")),
    ).numpy()


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("class_weights", [None, WEIGHTS])
@pytest.mark.parametrize("normalization", ["weights", "sum"])
def test_equals_torch_cross_entropy(
    torch, batch, from_logits, class_weights, normalization
):
    masks, logits = batch
    loss = SparseCrossEntropy(
        class_weights, from_logits=from_logits, normalization=normalization
    )
    weight = None if class_weights is None else torch.tensor(class_weights).double()
    expected = torch_cross_entropy(
        torch,
        masks,
        logits,
        weight=weight,
        reduction={"weights": "mean", "sum": "sum"}[normalization],
    )
    y_pred = logits if from_logits else softmax(logits, axis=-1)
    assert value(loss(masks, y_pred)) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("shape", [(2, 35), (2, 35, 1)])
def test_points_need_no_second_axis(torch, batch, shape):
    masks, logits = batch
    expected = torch_cross_entropy(
        torch, masks, logits, weight=torch.tensor(WEIGHTS).double()
    )
    loss = SparseCrossEntropy(WEIGHTS, from_logits=True, normalization="weights")
    of_points = loss(masks.reshape(shape), logits.reshape(2, 35, 3))
    assert value(of_points) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("class_weights", [None, WEIGHTS])
def test_map_equals_torch_without_reduction(torch, batch, class_weights):
    masks, logits = batch
    weight = None if class_weights is None else torch.tensor(class_weights).double()
    expected = torch_cross_entropy(
        torch, masks, logits, weight=weight, reduction="none"
    )
    actual = sparse_cross_entropy(masks, logits, class_weights, from_logits=True)
    assert actual.shape == masks.shape
    np.testing.assert_allclose(
        ops.convert_to_numpy(actual), expected, rtol=1e-5, atol=1e-6
    )


def test_valid_divides_by_the_number_of_valid_pixels_alone(torch, batch):
    masks, logits = batch
    total = torch_cross_entropy(
        torch, masks, logits, weight=torch.tensor(WEIGHTS).double(), reduction="sum"
    )
    actual = SparseCrossEntropy(WEIGHTS, from_logits=True)(masks, logits)
    assert value(actual) == pytest.approx(total / np.sum(masks != 255), rel=1e-6)


@pytest.mark.parametrize("from_logits", [True, False])
def test_single_channel_equals_torch_binary_cross_entropy(torch, from_logits):
    rng = np.random.default_rng(1)
    masks = rng.choice([0, 1, 255], (3, 4, 6)).astype("int32")
    logits = rng.normal(0, 3, (3, 4, 6, 1)).astype("float32")
    valid = masks != 255
    expected = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(2.5).double())(
        torch.tensor(logits[..., 0][valid].astype("float64")),
        torch.tensor(masks[valid].astype("float64")),
    )
    loss = SparseCrossEntropy(class_weights=(1.0, 2.5), from_logits=from_logits)
    y_pred = logits if from_logits else expit(logits)
    assert value(loss(masks, y_pred)) == pytest.approx(float(expected), rel=1e-6)


def test_single_channel_equals_two_channels(batch):
    masks = np.where(batch[0] == 2, 1, batch[0])
    foreground = expit(batch[1][..., :1])
    both = np.concatenate([1 - foreground, foreground], axis=-1)
    loss = SparseCrossEntropy((0.5, 2.0))
    assert value(loss(masks, foreground)) == pytest.approx(
        value(loss(masks, both)), rel=1e-6
    )


@pytest.mark.parametrize("shape", [(4,), (4, 4, 4), (4, 4, 4, 1)])
def test_sample_weight_of_a_batch_as_large_as_its_width(shape):
    rng = np.random.default_rng(2)
    masks = rng.choice([0, 1, 2, 255], (4, 4, 4))
    logits = rng.normal(size=(4, 4, 4, 3)).astype("float32")
    weights = rng.choice([0.0, 0.5, 2.0], shape).astype("float32")
    per_pixel = weights.reshape((4, 1, 1) if len(shape) == 1 else (4, 4, 4)) * np.ones(
        (4, 4, 4)
    )
    labels = np.where(masks == 255, 0, masks)
    nll = -np.take_along_axis(
        log_softmax(logits.astype("float64"), axis=-1), labels[..., None], axis=-1
    )[..., 0]
    valid = (masks != 255) & (per_pixel != 0)
    total = np.sum(nll * per_pixel * valid)
    divisors = {"valid": valid.sum(), "weights": per_pixel[valid].sum(), "sum": 1.0}
    for normalization, divisor in divisors.items():
        loss = SparseCrossEntropy(from_logits=True, normalization=normalization)
        assert value(loss(masks, logits, weights)) == pytest.approx(
            total / divisor, rel=1e-5
        )


def test_number_as_sample_weight(batch):
    masks, logits = batch
    loss = SparseCrossEntropy(from_logits=True)
    assert value(loss(masks, logits, 3.0)) == pytest.approx(
        3 * value(loss(masks, logits)), rel=1e-6
    )


@pytest.mark.parametrize("class_weights", [None, WEIGHTS])
@pytest.mark.parametrize("from_logits", [True, False])
def test_gradient_equals_finite_differences(
    gradient, batch, class_weights, from_logits
):
    masks, logits = batch
    y_pred = logits if from_logits else softmax(logits, axis=-1)
    loss = SparseCrossEntropy(class_weights, from_logits=from_logits)
    actual = gradient(lambda x: loss(masks, x), y_pred)
    factors = np.ones(3) if class_weights is None else np.array(class_weights)

    def reference(x):
        log_p = log_softmax(x, axis=-1) if from_logits else np.log(x)
        labels = np.where(masks == 255, 0, masks)
        nll = -np.take_along_axis(log_p, labels[..., None], axis=-1)[..., 0]
        return np.sum((nll * factors[labels])[masks != 255]) / np.sum(masks != 255)

    x = y_pred.astype("float64")
    for index in [(0, 0, 0, 0), (0, 2, 3, 1), (1, 4, 6, 2), (1, 1, 1, 0)]:
        step = np.zeros_like(x)
        step[index] = 1e-4 * x[index]
        expected = (reference(x + step) - reference(x - step)) / (2 * step[index])
        assert actual[index] == pytest.approx(expected, rel=1e-4, abs=1e-8)


def test_probability_zero_of_the_true_class_has_a_finite_loss_and_gradient(gradient):
    masks = np.array([[[0, 1]]])
    y_pred = np.array([[[[0.0, 1.0], [1.0, 0.0]]]], "float32")
    loss = SparseCrossEntropy()
    # -log(1e-18) + 1, the tangent at 1e-18 taken at 0; its slope is -1e18.
    assert value(loss(masks, y_pred)) == pytest.approx(18 * np.log(10) + 1, rel=1e-6)
    actual = gradient(lambda x: loss(masks, x), y_pred)
    expected = [[[[-1e18 / 2, 0], [0, -1e18 / 2]]]]
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("margin", [10.0, 30.0])
def test_gradient_through_softmax_does_not_vanish_with_the_probability(
    gradient, margin
):
    """Keras clips at 1e-7, margin 16, and a hopelessly wrong pixel stays wrong."""
    masks = np.array([[[0]]])
    logits = np.array([[[[0.0, margin]]]], "float32")
    through_probabilities = gradient(
        lambda x: SparseCrossEntropy()(masks, ops.softmax(x)), logits
    )
    direct = gradient(lambda x: SparseCrossEntropy(from_logits=True)(masks, x), logits)
    np.testing.assert_allclose(through_probabilities, direct, rtol=1e-4)
    np.testing.assert_allclose(direct, [[[[-1, 1]]]], atol=1e-4)


def test_float16_probabilities_of_zero_have_a_finite_gradient(gradient):
    masks = np.zeros((1, 1, 1), "int32")
    y_pred = np.array([[[[0.0, 1.0]]]], "float16")
    actual = gradient(lambda x: SparseCrossEntropy()(masks, x), y_pred, dtype="float16")
    np.testing.assert_allclose(actual, [[[[-1e4, 0]]]], rtol=1e-3)


def test_logit_of_minus_infinity_rules_a_class_out(gradient):
    masks = np.array([[[0]]])
    logits = np.array([[[[1.0, 2.0, -np.inf]]]], "float32")
    loss = SparseCrossEntropy(from_logits=True)
    assert value(loss(masks, logits)) == pytest.approx(np.log(1 + np.e), rel=1e-6)
    actual = gradient(lambda x: loss(masks, x), logits)
    p = expit(1.0)
    np.testing.assert_allclose(actual, [[[[-p, p, 0]]]], rtol=1e-5)


def test_reads_a_keras_mask(batch):
    """A padded sequence of points: `Masking` marks the points that are not there."""
    masks = np.array([[0, 1, 1], [1, 0, 0]])
    features = np.array([[[1.0], [2], [0]], [[3], [0], [0]]])
    masked = keras.layers.Masking()(features)
    scores = keras.layers.Dense(2, activation="softmax")(masked)
    loss = SparseCrossEntropy()
    without_padding = np.where(features[..., 0] == 0, 255, masks)
    assert value(loss(masks, scores)) == pytest.approx(
        value(loss(without_padding, ops.convert_to_numpy(scores))), rel=1e-6
    )


def test_result_has_the_dtype_asked_for(batch):
    masks, logits = batch
    loss = SparseCrossEntropy(from_logits=True, dtype="float16")(masks, logits)
    assert keras.backend.standardize_dtype(loss.dtype) == "float16"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"normalization": "mean"}, "Received: normalization='mean'"),
        ({"class_weights": (1.0, -1.0)}, r"Received: class_weights=\(1.0, -1.0\)"),
        ({"class_weights": (1.0, np.nan)}, r"Received: class_weights=\(1.0, nan\)"),
    ],
)
def test_bad_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        SparseCrossEntropy(**arguments)


@pytest.mark.parametrize(("channels", "expected"), [(1, 2), (3, 3)])
def test_number_of_class_weights_must_be_that_of_the_classes(channels, expected):
    loss = SparseCrossEntropy((1.0,) * 5)
    y_pred = np.full((1, 2, 3, channels), 0.5, "float32")
    with pytest.raises(ValueError, match=f"hold {expected} factors.*Received: class"):
        loss(np.zeros((1, 2, 3), "int32"), y_pred)


def test_class_weights_train_on_masks_where_those_of_fit_fail():
    """What the docstring says of Keras: one label per image, or an opaque error."""
    images, masks = np.ones((2, 4, 5, 3), "float32"), np.zeros((2, 4, 5), "int32")
    inputs = keras.Input((4, 5, 3))
    outputs = keras.layers.Dense(2, activation="softmax")(inputs)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(TypeError, match="can be converted to Python scalars"):
        model.fit(images, masks, class_weight={0: 0.2, 1: 1.0}, verbose=0)
    model.compile("sgd", SparseCrossEntropy(class_weights=(0.2, 1.0)))
    plain = value(SparseCrossEntropy()(masks, model.predict(images, verbose=0)))
    loss = model.fit(images, masks, verbose=0).history["loss"][0]
    assert loss == pytest.approx(0.2 * plain, rel=1e-5)
