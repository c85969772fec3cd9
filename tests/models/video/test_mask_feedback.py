"""Mask feedback: what the fourth channel is, and how the mask goes from frame to frame."""

import keras
import numpy as np
import pytest
from keras import ops

from kseg import models
from kseg.models.video import Stream, mask_feedback, unroll

SIZE = (32, 48)


def net(channels=4, classes=1, activation="sigmoid", size=SIZE):
    keras.utils.set_random_seed(0)
    return models.unet(
        (*size, channels),
        classes,
        filters=(4, 6),
        dropout_rate=0,
        activation=activation,
    )


def frames(count, low=0, high=255):
    shape = (count, *SIZE, 3)
    return np.random.default_rng(0).uniform(low, high, shape).astype("float32")


def run(model, image, mask):
    outputs = model({"image": image[None], "mask": mask[None]}, training=False)
    return {name: ops.convert_to_numpy(value)[0] for name, value in outputs.items()}


def test_the_network_sees_the_mask_as_a_channel_of_0_to_255_behind_the_image():
    inner = net()
    (image,) = frames(1)
    mask = np.random.default_rng(1).uniform(0, 1, (*SIZE, 1)).astype("float32")
    seen = np.concatenate([image, 255 * mask], axis=-1)
    expected = ops.convert_to_numpy(inner(seen[None], training=False))[0]
    found = run(mask_feedback(inner), image, mask)
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-6)
    np.testing.assert_array_equal(found["mask"], found["probabilities"])
    assert mask_feedback(inner).count_params() == inner.count_params()


def test_without_weights_for_the_mask_it_is_the_network_of_single_images():
    single, inner = net(channels=3), net()
    # Zeros for what the first convolution sees of the mask, and all else alike.
    for old, new in zip(single.weights, inner.weights, strict=True):
        values = ops.convert_to_numpy(old)
        missing = [(0, n - m) for n, m in zip(new.shape, values.shape, strict=True)]
        new.assign(np.pad(values, missing))
    model = mask_feedback(inner)
    mask = np.random.default_rng(1).uniform(0, 1, (*SIZE, 1)).astype("float32")
    for image in frames(2):
        expected = ops.convert_to_numpy(single(image[None], training=False))[0]
        found = run(model, image, mask)
        np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)


def test_a_stream_hands_the_mask_on_and_forgets_it_at_a_cut():
    model = mask_feedback(net())
    dark, dim, bright = frames(3, 0, 60).round()
    bright = 255 - bright  # Another scene.
    stream, mask = Stream(model), np.zeros((*SIZE, 1), "float32")
    for image in (dark, dim):
        mask = run(model, image, mask)["mask"]
        stream(image.astype("uint8"))
        np.testing.assert_allclose(stream.scores[0], mask, atol=1e-5)
    alone = run(model, dim, np.zeros_like(mask))["mask"]
    assert np.abs(alone - mask).max() > 1e-3  # what the mask before changes
    stream(bright.astype("uint8"))
    assert stream.work.is_cut
    first = run(model, bright, np.zeros_like(mask))["mask"]
    np.testing.assert_allclose(stream.scores[0], first, atol=1e-5)


def test_clips_are_frames_one_after_the_other():
    model = mask_feedback(net())
    clip = frames(3)
    found = ops.convert_to_numpy(unroll(model, 3)(clip[None]))[0]
    mask = np.zeros((*SIZE, 1), "float32")
    for image, scores in zip(clip, found, strict=True):
        mask = run(model, image, mask)["mask"]
        np.testing.assert_allclose(scores, mask, atol=1e-5)


def shrunk(size=SIZE):
    image = keras.Input((*size, 4))
    x = keras.layers.AveragePooling2D(2)(image)
    return keras.Model(image, keras.layers.Conv2D(1, 1, activation="sigmoid")(x))


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: net(classes=2, activation="softmax"), "must have one class"),
        (lambda: net(activation=None), "must have one class and end in a sigmoid"),
        (lambda: net(channels=1), "one channel more than the frames have"),
        (lambda: mask_feedback(net()), "must lead from one image to one map"),
        (shrunk, "probabilities of the image's size"),
        (lambda: shrunk((None, None)), r"gives \(128, 128\) for \(256, 256\)"),
    ],
    ids=["two-classes", "logits", "one-channel", "step", "half", "half-of-any-size"],
)
def test_other_networks_are_refused(build, expected):
    with pytest.raises(ValueError, match=expected):
        mask_feedback(build())


def test_what_is_no_functional_model_is_refused():
    with pytest.raises(TypeError, match=r"`model` must be a functional `keras.Model`"):
        mask_feedback("person.keras")
