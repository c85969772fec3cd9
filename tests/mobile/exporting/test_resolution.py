"""Where the nets compute their scores, and how a camera's image reaches them."""

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from kseg import models
from kseg.mobile.exporting.keras_model import with_output
from kseg.mobile.exporting.resolution import before_upsampling, for_camera

SIZE = (64, 96)
NARROW = {"width_multiplier": 1 / 16}
MOBILE = {"backbone": "mobilenet_v2", "width_multiplier": 0.1}


@pytest.mark.parametrize(
    ("name", "arguments", "stride"),
    [
        # The strides at which the papers score: LR-ASPP's figure 10 (1/8 of the image),
        # DeepLab v3+'s figure 2 (4), FCN-32s' name, and half size of the first map.
        ("lraspp", {**MOBILE}, 8),
        ("deeplab_v3_plus", {**MOBILE}, 4),
        ("fcn_32s", {**NARROW, "padding": "same"}, 32),
        ("unet", {**MOBILE, "filters": (8,) * 5}, 2),
    ],
)
def test_kseg_nets_are_cut_where_they_score(name, arguments, stride):
    net = getattr(models, name)((*SIZE, 3), 3, **arguments)
    low = before_upsampling(with_output(net, "probabilities"))
    assert low.output_shape == (None, *(n // stride for n in SIZE), 3)
    assert low.layers[-1].activation.__name__ == "softmax"


def test_upsampled_scores_before_the_cut_are_the_nets_own():
    net = models.lraspp((*SIZE, 3), 3, **MOBILE)
    image = np.random.default_rng(0).uniform(0, 255, (1, *SIZE, 3))
    low = before_upsampling(with_output(net, "logits"))(image, training=False)
    scores = keras.ops.image.resize(low, SIZE)
    expected = net(image, training=False)
    np.testing.assert_allclose(keras.ops.softmax(scores), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "arguments", "last"),
    [
        ("unet", {**NARROW}, "Conv2D"),
        ("fcn_32s", {**NARROW}, "CroppingLike2D"),
    ],
)
def test_nets_that_score_at_full_size_are_refused(name, arguments, last):
    net = getattr(models, name)((*SIZE, 3), 3, **arguments)
    with pytest.raises(ValueError, match=f"ends in an upsampling.*of type {last}"):
        before_upsampling(net)


def test_all_upsamplings_at_the_end_and_all_activations_behind_count():
    image = keras.Input((*SIZE, 3))
    x = layers.Conv2D(3, 1, strides=8, name="scores")(image)
    inner = keras.Model(image, layers.UpSampling2D(2)(x))
    outer = keras.Input((*SIZE, 3))
    x = layers.Softmax(name="softmax")(inner(outer))
    x = layers.Resizing(*SIZE)(layers.Dropout(0.1)(x))
    low = before_upsampling(keras.Model(outer, x))
    assert low.output_shape == (None, 8, 12, 3)
    values = np.random.default_rng(0).normal(size=(1, *SIZE, 3))
    expected = keras.ops.softmax(inner.get_layer("scores")(values))
    np.testing.assert_allclose(low(values, training=False), expected, atol=1e-6)


def test_a_large_photo_is_smoothed_before_it_shrinks():
    # Stripes of one pixel are gray at a quarter of the size; PIL's antialiased resize
    # is the oracle, and without smoothing they would be black or white.
    photo = np.zeros((256, 384, 3), "uint8")
    photo[:, ::2] = 255
    identity = keras.Sequential([keras.Input((*SIZE, 3)), layers.Identity()])
    seen = for_camera(identity, SIZE, photo.shape[:2], resize_scores=False)
    expected = Image.fromarray(photo).resize(SIZE[::-1], Image.Resampling.BILINEAR)
    # At the border PIL's wider filter sees half of its stripes.
    inner = np.s_[:, 1:-1]
    seen = np.asarray(seen(photo[None])[0])[inner]
    np.testing.assert_allclose(seen, np.asarray(expected)[inner], atol=1)


def test_a_smaller_photo_is_only_resized():
    identity = keras.Sequential([keras.Input((*SIZE, 3)), layers.Identity()])
    names = [layer.name for layer in for_camera(identity, SIZE, (30, 40)).layers]
    assert "camera_blocks" not in names
    assert {"camera_resized", "camera_scores"} <= set(names)
