"""Keras' layers beside masks: what Keras 3.15 does, and those that kseg takes in.

The first half records why the geometry in kseg is its own. Where one of these tests
fails on a newer Keras, Keras may have got better: look again.
"""

import keras
import numpy as np
import pytest
from keras import layers

from kseg.data.augment import Compose, KerasLayer, RandomCrop

records = pytest.mark.skipif(
    not keras.__version__.startswith("3.15.")
    or keras.backend.backend() != "tensorflow",
    reason="records the behaviour of Keras 3.15 on TensorFlow",
)

GEOMETRY = {
    "RandomRotation": lambda **kw: layers.RandomRotation((0.07, 0.07), **kw),
    "RandomZoom": lambda **kw: layers.RandomZoom((0.3, 0.3), **kw),
    "RandomTranslation": lambda **kw: layers.RandomTranslation((0.2, 0.2), 0.0, **kw),
    "RandomShear": lambda **kw: layers.RandomShear(0.0, (0.3, 0.31), **kw),
}
COLOR = {
    "AutoContrast": lambda: layers.AutoContrast(),
    "Equalization": lambda: layers.Equalization(),
    "RandomBrightness": lambda: layers.RandomBrightness(0.5),
    "RandomColorJitter": lambda: layers.RandomColorJitter(
        (0, 255), 0.5, 0.5, (0.2, 0.8), 0.3
    ),
    "RandomContrast": lambda: layers.RandomContrast(0.5),
    "RandomGaussianBlur": lambda: layers.RandomGaussianBlur(
        (1.0, 1.0), 5, (1.0, 1.0), value_range=(0, 255)
    ),
    "RandomHue": lambda: layers.RandomHue(0.4, value_range=(0, 255)),
    "RandomPosterization": lambda: layers.RandomPosterization(2),
    "RandomSaturation": lambda: layers.RandomSaturation(0.9),
    "RandomSharpness": lambda: layers.RandomSharpness(0.9),
}


def pair(height=64, width=96):
    y, x = np.mgrid[:height, :width]
    mask = (7 + 40 * ((y // 16 + x // 16) % 3)).astype("int32")
    image = np.stack([mask, x * 2, y * 2], -1).astype("float32")
    return image, mask


def call(layer, image, mask):
    out = layer({"images": image, "segmentation_masks": mask}, training=True)
    return tuple(map(np.asarray, (out["images"], out["segmentation_masks"])))


@records
@pytest.mark.parametrize("name", GEOMETRY)
def test_keras_interpolates_masks_by_nearest_neighbour(name):
    image, mask = pair()
    layer = GEOMETRY[name](fill_mode="nearest")
    _, kept = call(layer, image[None], mask[None, ..., None])
    assert set(np.unique(kept)) <= set(np.unique(mask))
    assert not np.array_equal(kept[0, ..., 0], mask)


@records
@pytest.mark.parametrize("name", GEOMETRY)
def test_keras_fills_the_border_of_masks_with_the_value_of_the_image(name):
    image, mask = pair()
    for value in (0.0, 255.0):
        layer = GEOMETRY[name](fill_mode="constant", fill_value=value)
        seen, kept = call(layer, image[None], mask[None, ..., None])
        border = np.all(seen[0] == value, -1)
        assert border.any()
        assert np.all(kept[0, ..., 0][border] == value)


@records
@pytest.mark.parametrize("name", GEOMETRY)
def test_keras_moves_masks_without_channels_along_other_axes(name):
    image, mask = pair()
    layer = GEOMETRY[name](fill_mode="nearest", seed=1)
    _, right = call(layer, image[None], mask[None, ..., None])
    layer = GEOMETRY[name](fill_mode="nearest", seed=1)
    _, kept = call(layer, image[None], mask[None])
    assert kept.shape == (1, 64, 96)
    assert not np.array_equal(kept, right[..., 0])


@records
def test_keras_crop_interpolates_labels_of_small_photos():
    image, mask = pair(32, 48)
    layer = layers.RandomCrop(64, 64)
    _, kept = call(layer, image[None], mask[None, ..., None].astype("float32"))
    assert not set(np.unique(kept)) <= set(np.unique(mask))


@records
def test_keras_elastic_transform_moves_the_mask_elsewhere_than_the_image():
    _, mask = pair()
    image = np.repeat(mask[..., None], 3, -1).astype("float32")
    layer = layers.RandomElasticTransform((1.0, 1.0), (0.5, 0.5), seed=0)
    seen, kept = call(layer, image[None], mask[None, ..., None].astype("float32"))
    assert (np.abs(seen[..., :1] - kept) > 25).mean() > 0.05
    with pytest.raises(TypeError):
        call(layer, image[None], mask[None, ..., None])


@records
def test_keras_color_jitter_ignores_the_seed_it_is_given():
    layer = COLOR["RandomColorJitter"]()
    image = pair()[0][None]
    seen = []
    for _ in range(2):
        choices = layer.get_random_transformation(image, seed=3)
        seen.append(np.asarray(layer.transform_images(image, choices)))
    assert not np.array_equal(*seen)


@records
def test_keras_flip_is_right():
    image, mask = pair()
    layer = layers.RandomFlip("horizontal", seed=0)
    flips = set()
    for _ in range(20):
        seen, kept = call(layer, image[None], mask[None, ..., None])
        np.testing.assert_array_equal(seen[0, ..., 0], kept[0, ..., 0])
        flips.add(np.array_equal(kept[0, ..., 0], mask[:, ::-1]))
    assert flips == {True, False}


@records
@pytest.mark.parametrize("name", COLOR)
def test_keras_colour_leaves_masks_alone(name):
    image, mask = pair()
    seen, kept = call(COLOR[name](), image[None], mask[None, ..., None])
    np.testing.assert_array_equal(kept[0, ..., 0], mask)
    assert not np.array_equal(seen[0], image)


@records
def test_keras_grayscale_takes_no_masks():
    image, mask = pair()
    with pytest.raises(AttributeError):
        call(layers.RandomGrayscale(1.0), image[None], mask[None, ..., None])


# Without Equalization, which takes half a minute to compile on JAX and warns on
# PyTorch, and RandomColorJitter, which is refused.
@pytest.mark.parametrize(
    "name",
    sorted({*COLOR, "RandomGrayscale"} - {"Equalization", "RandomColorJitter"}),
)
def test_colour_layers_of_keras_serve_as_transforms(name):
    make = COLOR.get(name, lambda: layers.RandomGrayscale(1.0))
    transform = KerasLayer(make())
    image, mask = pair()
    image = image.astype("uint8")
    first, kept = transform(image, mask, np.random.default_rng(3), (64, 96))
    second, _ = transform(image, mask, np.random.default_rng(3), (64, 96))
    assert first.dtype == "uint8"
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(kept, mask)
    assert not np.array_equal(first, image)


def test_a_keras_layer_draws_from_the_generator():
    transform = KerasLayer(layers.RandomBrightness(0.5))
    image = np.full((4, 4, 3), 128, "uint8")
    seen = {
        int(transform(image, None, np.random.default_rng(s), (4, 4))[0][0, 0, 0])
        for s in range(10)
    }
    assert len(seen) > 5


def test_a_keras_layer_goes_into_a_row():
    row = Compose([RandomCrop(), KerasLayer(layers.RandomPosterization(1))])
    image, mask = pair()
    out, kept = row(image.astype("uint8"), mask, np.random.default_rng(0), (20, 30))
    assert out.shape == (20, 30, 3)
    assert kept.shape == (20, 30)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.RandomRotation(0.1),
        lambda: layers.RandomFlip(),
        lambda: layers.RandomColorJitter((0, 255), 0.5),
        lambda: layers.Dense(3),
        lambda: None,
    ],
)
def test_layers_that_move_pixels_are_refused(make):
    with pytest.raises(ValueError, match="`layer` must be .* Received: layer="):
        KerasLayer(make())


def test_layers_for_other_values_are_refused():
    with pytest.raises(ValueError, match=r"value_range=\(0, 255\). Received"):
        KerasLayer(layers.RandomHue(0.1, value_range=(0, 1)))
