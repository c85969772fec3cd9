"""Low-latency segmentation: its published numbers, its parts, its recipe."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kseg import losses, models
from kseg.models.video import low_latency, parts

SIZE, AT = (32, 48), ("down2_relu2", "up2_relu2")


@pytest.fixture
def base():
    keras.utils.set_random_seed(0)
    return models.unet((*SIZE, 3), 3, filters=(4, 6, 8), dropout_rate=0)


def narrow(base, **options):
    return low_latency(base, AT, **{"filters": 4, "kernel_size": 3, **options})


def frames():
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (2, 1, *SIZE, 3)).astype("float32")


def run(model, **inputs):
    inputs = {key: ops.convert_to_tensor(value) for key, value in inputs.items()}
    outputs = model(inputs, training=False)
    return {key: ops.convert_to_numpy(value) for key, value in outputs.items()}


def count(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def test_numbers_of_parameters():
    """For 1024 shallow channels: ResNet-101 up to its fourth stage."""
    image = keras.Input((8, 8, 3))
    low = layers.Conv2D(1024, 1, name="low_map")(image)
    high = layers.Conv2D(2, 1, name="high_map")(low)
    scores = layers.Conv2D(2, 1, activation="softmax")(high)
    model = low_latency(keras.Model(image, scores), ("low_map", "high_map"))
    found = parts(model)
    assert count(found["propagation"]) == 3_560_273
    assert count(found["scheduler"]) == 2_949_889
    # BatchNorm takes the place of the biases, 256 each.
    convolutions = [found["adapter"].get_layer(f"adapt{n}_conv") for n in (1, 2, 3)]
    assert sum(map(count, convolutions)) + 3 * 256 == 3_539_712


def test_parts_run_by_hand_are_the_whole(base):
    model = narrow(base)
    key_image, image = frames()
    whole = run(model, key_image=key_image, image=image)
    found, key, frame = parts(model), {"image": key_image}, {"image": image}

    def step(name, cache):
        part = found[name]
        cache |= run(part, **{key: cache[key] for key in part.input})

    for name in ("low", "high", "head"):
        step(name, key)
    np.testing.assert_allclose(
        key["probabilities"], whole["key_probabilities"], atol=1e-6
    )
    step("low", frame)
    frame |= {"key_low": key["low"], "key_high": key["high"]}
    for name in ("scheduler", "propagation", "adapter"):
        step(name, frame)
    for name in ("probabilities", "deviation"):
        np.testing.assert_allclose(frame[name], whole[name], atol=1e-6)


def test_key_frame_is_that_of_the_base_net(base):
    key_image, image = frames()
    found = run(narrow(base), key_image=key_image, image=image)["key_probabilities"]
    expected = ops.convert_to_numpy(base(key_image, training=False))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_each_part_reads_and_writes(base):
    found = {
        name: (set(part.input), set(part.output))
        for name, part in parts(narrow(base)).items()
    }
    assert found == {
        "low": ({"image"}, {"low", "down1_relu2"}),
        "high": ({"low"}, {"high"}),
        "head": ({"high", "down1_relu2"}, {"probabilities"}),
        "propagation": ({"low", "key_low", "key_high"}, {"propagated"}),
        "adapter": ({"image", "low", "propagated"}, {"probabilities"}),
        "scheduler": ({"low", "key_low"}, {"deviation"}),
    }


@pytest.mark.parametrize(("u", "v"), [(0, 0), (1, 0), (-1, 1)])
def test_one_hot_kernels_shift_the_key_features_exactly(base, u, v):
    propagation = parts(narrow(base))["propagation"]
    layer = propagation.get_layer("kernel_scores")
    bias = np.full(9, -1e4, "float32")
    bias[(u + 1) * 3 + v + 1] = 0  # Its softmax is 1, and 0 elsewhere.
    layer.set_weights([np.zeros(layer.kernel.shape), bias])
    rng = np.random.default_rng(0)
    inputs = {
        name: rng.normal(size=(1, *x.shape[1:])).astype("float32")
        for name, x in propagation.input.items()
    }
    padded = np.pad(inputs["key_high"], ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = inputs["key_high"].shape[1:3]
    expected = padded[:, 1 - u : 1 - u + height, 1 - v : 1 - v + width]
    np.testing.assert_array_equal(run(propagation, **inputs)["propagated"], expected)


def test_kernels_start_with_half_of_their_weight_at_the_centre(base):
    propagation = parts(narrow(base, kernel_size=9))["propagation"]
    bias = propagation.get_layer("kernel_scores").bias.numpy()
    weights = np.exp(bias) / np.exp(bias).sum()
    np.testing.assert_allclose(weights[40], 0.5, atol=1e-6)
    np.testing.assert_allclose(np.delete(weights, 40), 0.5 / 80, atol=1e-6)


def test_a_key_frame_does_not_deviate_from_itself_more_than_another(base):
    """The scheduler sees the difference alone: none leaves its bias, -2 at first."""
    image, other = frames()
    model = narrow(base)
    same = run(model, key_image=image, image=image)["deviation"]
    np.testing.assert_allclose(same, [[1 / (1 + np.exp(2))]], atol=1e-6)
    assert run(model, key_image=image, image=other)["deviation"] != same


def test_recipe_leaves_what_is_frozen(base):
    model = narrow(base)
    for name in ("low", "high", "head", "scheduler"):
        model.get_layer(name).trainable = False
    before = [weight.numpy().copy() for weight in base.weights]
    key_image, image = frames()
    truth = np.random.default_rng(0).integers(0, 3, (1, *SIZE))
    model.compile(
        keras.optimizers.SGD(0.1),
        {"probabilities": losses.SparseCrossEntropy()},
        run_eagerly=True,
    )
    model.fit(
        {"key_image": key_image, "image": image}, {"probabilities": truth}, verbose=0
    )
    for weight, old in zip(base.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)

    for name in ("propagation", "adapter"):
        model.get_layer(name).trainable = False
    scheduler = model.get_layer("scheduler")
    scheduler.trainable = True
    dense = scheduler.get_layer("deviation")
    old = dense.bias.numpy().copy()
    model.compile(keras.optimizers.SGD(0.1), {"deviation": "mse"}, run_eagerly=True)
    model.fit(
        {"key_image": key_image, "image": image},
        {"deviation": np.float32([[1]])},
        verbose=0,
    )
    assert dense.bias.numpy() > old


@pytest.mark.parametrize(
    ("num_classes", "activation"), [(1, "sigmoid"), (3, "softmax"), (3, None)]
)
def test_adapter_ends_as_the_base_net_does(num_classes, activation):
    base = models.unet(
        (*SIZE, 3), num_classes, filters=(4, 6, 8), activation=activation
    )
    model = narrow(base)
    name = "probabilities" if activation else "logits"
    assert list(model.output) == [name, f"key_{name}", "deviation"]
    last = parts(model)["adapter"].layers[-1]
    assert last.name == name
    if activation:
        assert last.activation is base.get_layer(name).activation


class TestErrors:
    def test_unknown_layer_with_those_like_it(self, base):
        with pytest.raises(ValueError, match="'up2_relu2'.*Received: 'up2_rlu2'"):
            low_latency(base, ("down2_relu2", "up2_rlu2"))

    @pytest.mark.parametrize("at", ["down2_relu2", ("down2_relu2",)], ids=str)
    def test_one_layer_is_not_enough(self, base, at):
        with pytest.raises(ValueError, match="two names of layers.*Received: at="):
            low_latency(base, at)

    def test_deep_before_shallow(self, base):
        with pytest.raises(ValueError, match="order of the graph"):
            low_latency(base, AT[::-1])

    @pytest.mark.parametrize("arguments", [{"kernel_size": 4}, {"filters": 0}], ids=str)
    def test_values(self, base, arguments):
        with pytest.raises(ValueError, match="Received: "):
            narrow(base, **arguments)
