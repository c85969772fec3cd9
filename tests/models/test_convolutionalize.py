"""Classifiers that slide: at every window the answer of the classifier itself."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kseg.models import convolutionalize

# Of which the last pixel is read, too, by a map of 4x5 behind a stride of 4.
WINDOW = (20, 24, 3)


def features(x):
    """Unpadded, as only then a window sees no border; a stride of 4."""
    x = layers.Conv2D(6, 3, activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.MaxPooling2D(2)(x)
    return layers.Conv2D(5, 3, strides=2, activation="relu")(x)


def flatten_and_dense(x):
    x = layers.Flatten()(features(x))
    x = layers.Dropout(0.5)(x)
    x = layers.Dense(7, activation="relu")(x)
    x = layers.BatchNormalization()(x)
    return layers.Dense(4, activation="softmax")(x)


def global_average(x):
    x = layers.GlobalAveragePooling2D()(features(x))
    return layers.Dense(4, activation="softmax")(x)


def global_maximum(x):
    return layers.Softmax()(layers.Dense(4)(layers.GlobalMaxPooling2D()(features(x))))


def both_pools(x):
    x = features(x)
    pools = [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)]
    return layers.Dense(4, use_bias=False)(layers.Concatenate()(pools))


def convolution_behind_the_pool(x):
    """The head of MobileNet in keras.applications."""
    x = layers.GlobalAveragePooling2D(keepdims=True)(features(x))
    x = layers.Conv2D(4, 1)(layers.Dropout(0.5)(x))
    return layers.Activation("softmax")(layers.Reshape((4,))(x))


def residual_head(x):
    x = layers.Dense(6, activation="relu")(layers.Flatten()(features(x)))
    x = layers.Add()([x, layers.Dense(6)(x)])
    return layers.Dense(4)(layers.LayerNormalization()(x))


def nested(x):
    """A backbone as a model of its own, and a head as a Sequential one."""
    inner = keras.Input(WINDOW)
    backbone = keras.Model(inner, features(inner), name="backbone")
    x = backbone(x)
    head = [keras.Input(x.shape[1:]), layers.Flatten(), layers.Dense(6, "relu")]
    return layers.Dense(4)(keras.Sequential(head, name="head")(x))


HEADS = [
    flatten_and_dense,
    global_average,
    global_maximum,
    both_pools,
    convolution_behind_the_pool,
    residual_head,
    nested,
]


def lively(model):
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


@pytest.mark.parametrize("head", HEADS)
def test_every_window_gets_the_answer_of_the_classifier(head):
    keras.utils.set_random_seed(0)
    image = keras.Input(WINDOW)
    classifier = lively(keras.Model(image, head(image)))
    net = convolutionalize(classifier)
    assert net.count_params() == classifier.count_params()
    plane = np.random.default_rng(0).normal(size=(2, 32, 40, 3)).astype("float32")
    found = ops.convert_to_numpy(net(plane))
    assert found.shape == (2, 4, 5, 4)
    for row in range(4):
        for column in range(5):
            top, left = 4 * row, 4 * column
            window = plane[:, top : top + WINDOW[0], left : left + WINDOW[1]]
            np.testing.assert_allclose(
                found[:, row, column],
                ops.convert_to_numpy(classifier(window)),
                rtol=1e-5,
                atol=1e-5,
            )
    assert found.std((1, 2)).max() > 1e-4  # The windows do differ.


def test_sequential_classifier():
    classifier = keras.Sequential(
        [
            keras.Input((8, 10, 1)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(2),
        ],
        name="digits",
    )
    net = convolutionalize(classifier)
    assert net.name == "digits"
    assert convolutionalize(classifier, name="map").name == "map"
    assert net.compute_output_shape((1, 9, 12, 1)) == (1, 2, 3, 2)
    batch = np.random.default_rng(0).normal(size=(1, 8, 10, 1)).astype("float32")
    np.testing.assert_allclose(
        ops.convert_to_numpy(net(batch))[:, 0, 0],
        ops.convert_to_numpy(classifier(batch)),
        atol=1e-6,
    )


def test_layer_that_is_called_twice_stays_one():
    image = keras.Input((8, 8, 3))
    twice = layers.Conv2D(3, 3, padding="same", name="twice")
    x = layers.Flatten()(twice(twice(image)))
    classifier = keras.Model(image, layers.Dense(2)(x))
    net = convolutionalize(classifier)
    assert net.count_params() == classifier.count_params()
    batch = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(
        ops.convert_to_numpy(net(batch))[:, 0, 0],
        ops.convert_to_numpy(classifier(batch)),
        atol=1e-5,
    )


def test_the_new_weights_are_its_own():
    image = keras.Input(WINDOW)
    classifier = keras.Model(image, global_average(image))
    net = convolutionalize(classifier)
    before = classifier.get_weights()
    net.set_weights([weight + 1 for weight in net.get_weights()])
    for one, other in zip(classifier.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_saved_net_loads_in_safe_mode(tmp_path):
    image = keras.Input(WINDOW)
    net = convolutionalize(keras.Model(image, nested(image)))
    net.save(tmp_path / "net.keras")
    loaded = keras.saving.load_model(tmp_path / "net.keras", safe_mode=True)
    plane = np.random.default_rng(0).normal(size=(1, 27, 31, 3)).astype("float32")
    np.testing.assert_array_equal(
        ops.convert_to_numpy(loaded(plane)), ops.convert_to_numpy(net(plane))
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["VGG16", "MobileNet", "ResNet50", "DenseNet121"])
def test_classifier_of_keras_on_an_image_of_its_size(name):
    """These are padded: a window of a larger image is another image to them."""
    size = (224, 224) if name == "VGG16" else (64, 96)
    classifier = getattr(keras.applications, name)(
        weights=None, input_shape=(*size, 3), classifier_activation=None
    )
    net = convolutionalize(classifier)
    batch = np.random.default_rng(0).uniform(-1, 1, (1, *size, 3)).astype("float32")
    expected = ops.convert_to_numpy(classifier(batch))
    scale = np.abs(expected).max()
    found = ops.convert_to_numpy(net(batch))
    assert found.shape == (1, 1, 1, 1000)
    np.testing.assert_allclose(found[:, 0, 0] / scale, expected / scale, atol=2e-5)


def gate(x):
    x = features(x)
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = layers.Conv2D(5, 1, activation="sigmoid", name="squeeze")(y)
    return layers.Dense(2)(layers.Flatten()(layers.Multiply(name="gated")([x, y])))


def normalized_over_the_map(x):
    x = layers.LayerNormalization(axis=(1, 2, 3), name="norm")(features(x))
    return layers.Dense(2)(layers.Flatten()(x))


def permuted(x):
    return layers.Dense(2)(layers.Flatten()(layers.Permute((2, 1, 3), name="swap")(x)))


def normalized_when_flat(x):
    return layers.Dense(2)(layers.BatchNormalization(name="norm")(layers.Flatten()(x)))


def softmax_when_flat(x):
    x = layers.Activation("softmax", name="soft")(layers.Flatten()(x))
    return layers.Dense(2)(x)


def image_out_of_a_vector(x):
    x = layers.Dense(12)(layers.GlobalAveragePooling2D()(features(x)))
    return layers.Dense(2)(layers.Flatten()(layers.Reshape((2, 3, 2), name="cut")(x)))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (gate, "'gated' joins what sees a whole window"),
        (normalized_over_the_map, "'norm' does not do the same at every place"),
        (permuted, "'swap' does not do the same at every place"),
        (normalized_when_flat, "'norm' stands between `Flatten` and the first"),
        (softmax_when_flat, "'soft' stands between `Flatten` and the first"),
        (image_out_of_a_vector, "'cut' takes a vector apart"),
    ],
)
def test_layer_that_cannot_slide_is_named(head, message):
    image = keras.Input(WINDOW)
    classifier = keras.Model(image, head(image))
    with pytest.raises(ValueError, match=f"its layer {message}.*Received: "):
        convolutionalize(classifier)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: keras.Model(x := keras.Input(WINDOW), features(x)), "end in a vector"),
        (lambda: keras.Model(x := keras.Input(WINDOW), layers.Flatten()(x)), "end in"),
        (
            lambda: keras.Model(x := keras.Input((None, 32, 3)), global_average(x)),
            "fixed size",
        ),
        (lambda: keras.Model(x := keras.Input((8,)), layers.Dense(2)(x)), "one image"),
        (lambda: keras.Sequential([layers.Flatten(), layers.Dense(2)]), "one image"),
        (
            lambda: keras.Model(x := keras.Input(WINDOW), [global_average(x)] * 2),
            "one image",
        ),
    ],
    ids=["map", "flat map", "open size", "no image", "not built", "two outputs"],
)
def test_model_that_is_no_classifier_of_images(make, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: classifier="):
        convolutionalize(make())


def test_what_is_no_model():
    with pytest.raises(TypeError, match="Received: classifier='vgg16'"):
        convolutionalize("vgg16")
