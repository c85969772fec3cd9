"""Tiles against the whole image."""

import keras
import numpy as np
import pytest
import scipy.ndimage

from kseg.models import unet
from kseg.postprocess import predict_tiles


def noise(*shape):
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


@pytest.fixture(scope="module")
def unpadded():
    keras.utils.set_random_seed(0)
    return unet((None, None, 1), 2, padding="valid", width_multiplier=1 / 32)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_tiles_of_an_unpadded_net_are_the_whole_image(unpadded, batch_size):
    """Figure 2 of U-Net: mirrored context, no seams."""
    image = noise(84, 68, 1)
    border = ((92, 92), (92, 92), (0, 0))
    mirrored = np.pad(image, border, mode="reflect")[None]
    whole = unpadded.predict_on_batch(mirrored)[0]
    assert whole.shape == (84, 68, 2) and whole.std() > 1e-3
    tiles = predict_tiles(unpadded, image, (220, 236), stride=16, batch_size=batch_size)
    assert tiles.dtype == np.float32
    np.testing.assert_allclose(tiles, whole, rtol=0, atol=1e-5)


def test_tile_as_large_as_the_image_is_the_whole_image(unpadded):
    image = noise(36, 20, 1)
    mirrored = np.pad(image, ((92, 92), (92, 92), (0, 0)), mode="reflect")[None]
    whole = unpadded.predict_on_batch(mirrored[:, :220, :204])[0]
    tiles = predict_tiles(unpadded, image, (236, 220), stride=16)
    np.testing.assert_allclose(tiles[:36, :20], whole, rtol=0, atol=1e-5)


def test_tiles_of_a_padded_net_are_the_whole_image_but_for_the_border():
    image = keras.Input((None, None, 3))
    x = keras.layers.AveragePooling2D(4)(image)
    x = keras.layers.Conv2D(3, 3, padding="same")(x)
    x = keras.layers.UpSampling2D(4)(x)
    model = keras.Model(image, x)
    picture = noise(96, 128, 3)
    whole = model.predict_on_batch(picture[None])[0]
    tiles = predict_tiles(model, picture, 40, margin=8, stride=4)
    np.testing.assert_allclose(tiles[4:-4, 4:-4], whole[4:-4, 4:-4], atol=1e-3)
    # With too little margin there are seams.
    seams = predict_tiles(model, picture, 40, margin=0, stride=4)
    assert np.abs(seams - whole)[4:-4, 4:-4].max() > 1


@pytest.mark.parametrize("size", [(7, 9), (1, 1), (33, 5), (64, 64), (65, 130)])
def test_every_pixel_is_predicted_once_with_its_mirrored_surroundings(size):
    """A net that is a mean over 5x5 pixels: scipy's, with mirrored borders."""
    image = noise(*size, 2)

    def mean(batch):
        return scipy.ndimage.uniform_filter(batch, (0, 5, 5, 0), mode="mirror")

    found = predict_tiles(mean, image, (16, 20), margin=2, stride=4, batch_size=3)
    expected = scipy.ndimage.uniform_filter(
        image.astype("float64"), (5, 5, 0), mode="mirror"
    )
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_the_net_sees_no_more_than_a_tile_at_a_time():
    shapes = []

    def net(batch):
        shapes.append(batch.shape)
        return batch[..., :1]

    image = noise(200, 300, 3)
    found = predict_tiles(net, image, 64, margin=16, batch_size=2)
    np.testing.assert_array_equal(found, image[..., :1])
    assert set(shapes[1:]) <= {(2, 64, 64, 3), (1, 64, 64, 3)}
    assert sum(shape[0] for shape in shapes[1:]) == 7 * 10


def test_default_margin_of_a_net_that_keeps_the_size_is_an_eighth():
    corners = []

    def net(batch):
        corners.append(batch[0, 0, 0, 0])
        return batch

    rows = np.broadcast_to(np.arange(2000.0)[:, None, None], (2000, 8, 1))
    predict_tiles(net, rows, 512)
    # 64 pixels, and steps of 512 - 2 * 64.
    assert corners[1:] == [64, 384 - 64, 768 - 64, 1152 - 64, 1536 - 64, 1920 - 64]


def test_image_of_bytes_stays_one():
    def net(batch):
        assert batch.dtype == "uint8"
        return batch / 255

    image = noise(40, 50, 3).astype("uint8")
    found = predict_tiles(net, image, 64, margin=8)
    np.testing.assert_allclose(found, image / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"size": 64, "margin": 16, "stride": 64},
            ValueError,
            r"\(96, 96\). Received:",
        ),
        ({"size": 0}, ValueError, "`size` must be at least 1"),
        ({"size": 64.0}, TypeError, "`size` must be an integer. Received: size=64.0"),
        (
            {"margin": -1},
            ValueError,
            "`margin` must be at least 0. Received: margin=-1",
        ),
        ({"stride": 0}, ValueError, "`stride` must be at least 1. Received: stride=0"),
        ({"batch_size": 0}, ValueError, "`batch_size` must be at least 1"),
        ({"batch_size": 1.5}, TypeError, "`batch_size` must be an integer"),
        (
            {"image": np.zeros((8, 8))},
            ValueError,
            r"Received: an image of shape \(8, 8",
        ),
        (
            {"model": lambda x: x[:, 1:]},
            ValueError,
            r"Received: scores of shape \(1, 127, 128, 3\)",
        ),
        ({"model": lambda x: x[0]}, ValueError, "Received: scores of shape"),
    ],
    # A lambda has an address in its name, another one in each process.
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_arguments_that_make_no_tiles(arguments, error, message):
    arguments = {
        "model": lambda x: x,
        "image": np.zeros((64, 64, 3)),
        "size": 128,
        **arguments,
    }
    with pytest.raises(error, match=message):
        predict_tiles(**arguments)


def test_margin_below_what_an_unpadded_net_needs_is_refused(unpadded):
    with pytest.raises(
        ValueError, match="`margin` must be at least 92. Received: margin=91"
    ):
        predict_tiles(unpadded, noise(64, 64, 1), 236, margin=91, stride=16)
