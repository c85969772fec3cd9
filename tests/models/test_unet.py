"""What is true of U-Net alone."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kseg.models import unet


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def images(*shape):
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def run(model, batch, **options):
    return ops.convert_to_numpy(model(batch, **options))


def with_outputs(model, *names):
    return keras.Model(model.input, [model.get_layer(name).output for name in names])


def two_maps(input_shape=(None, None, 3)):
    """A backbone of one's own: maps at strides 2 and 4."""
    image = keras.Input(input_shape)
    fine = layers.Conv2D(4, 3, 2, padding="same", activation="relu")(image)
    coarse = layers.Conv2D(6, 3, 2, padding="same", activation="relu")(fine)
    return keras.Model(image, [fine, coarse], name="two_maps")


class TestPaper:
    @pytest.mark.parametrize(
        "channels,num_classes,count",
        # Layer by layer in the specification; 31,030,658 is what many report.
        [
            (1, 2, 31_030_658),
            (3, 2, 31_031_810),
            (1, 1, 31_030_593),
            (3, 21, 31_033_045),
        ],
    )
    def test_number_of_parameters(self, channels, num_classes, count):
        model = unet((None, None, channels), num_classes, activation=None)
        assert trainable(model) == count

    def test_release_has_its_own_number_of_parameters(self):
        # That of `phseg_v5`, of two independent ports.
        model = unet((None, None, 1), 2, variant="release")
        assert trainable(model) == 31_100_354

    def test_release_has_relus_behind_its_up_convolutions_and_a_wider_last(self):
        released = unet((32, 48, 1), 2, width_multiplier=1 / 16, variant="release")
        published = unet((32, 48, 1), 2, width_multiplier=1 / 16)
        for level, widths in {1: (4, 8), 2: (8, 8), 3: (16, 16), 4: (32, 32)}.items():
            up, wider = (m.get_layer(f"up{level}") for m in (published, released))
            assert (up.filters, wider.filters) == widths
            assert up.activation is keras.activations.linear
            assert wider.activation is keras.activations.relu

    @pytest.mark.parametrize("variant,fan", [("paper", 256), ("release", 4 * 128)])
    def test_spread_of_the_up_convolutions(self, variant, fan):
        """Incoming connections; the blob of Caffe has them the other way round."""
        model = unet((None, None, 1), 2, variant=variant, width_multiplier=1 / 4)
        kernel = model.get_layer("up4").get_weights()[0]
        np.testing.assert_allclose(kernel.std(), np.sqrt(2 / fan), rtol=1e-2)

    def test_full_size(self):
        """Figure 1 and section 3: 23 convolutions, 31 million weights of He's spread."""
        model = unet((572, 572, 1), 2, padding="valid")
        assert trainable(model) == 31_030_658
        assert model.output.shape == (None, 388, 388, 2)
        convolutions = [
            layer
            for layer in model.layers
            if isinstance(layer, layers.Conv2D | layers.Conv2DTranspose)
        ]
        assert len(convolutions) == 23
        assert not any("norm" in layer.name for layer in model.layers)
        kernel, bias = model.get_layer("down5_conv2").get_weights()
        np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (9 * 1024)), rtol=1e-2)
        # A truncated Gaussian would end at two standard deviations.
        assert abs(kernel).max() > 4 * kernel.std()
        assert not bias.any()

    def test_sizes_of_figure_1(self):
        model = unet((572, 572, 1), 2, padding="valid", width_multiplier=1 / 64)
        sizes = [model.get_layer(f"down{i}_conv2").output.shape[1] for i in range(1, 6)]
        assert sizes == [568, 280, 136, 64, 28]
        cropped = [model.get_layer(f"skip{i}_cropped") for i in (4, 3, 2, 1)]
        assert [layer.output.shape[1] for layer in cropped] == [56, 104, 200, 392]
        assert [layer.output.shape[1] for layer in cropped] == [
            model.get_layer(f"up{i}").output.shape[1] for i in (4, 3, 2, 1)
        ]

    @pytest.mark.parametrize("k", range(8, 41))
    def test_unpadded_output_is_184_smaller(self, k):
        size = 16 * k + 60
        model = narrow_open("valid")
        shape = model.compute_output_shape((1, size, 16 * 9 + 60, 1))
        assert shape == (1, size - 184, 20, 2)

    def test_tiles_of_an_unpadded_net_are_parts_of_the_whole(self):
        """Figure 2: the plane is covered by tiles with mirrored context, seamlessly."""
        plane = images(1, 68, 52, 1)
        mirrored = np.pad(plane, ((0, 0), (92, 92), (92, 92), (0, 0)), mode="reflect")
        model = narrow_open("valid")
        whole = run(model, mirrored)
        assert whole.shape == (1, 68, 52, 2)
        # Pools let only multiples of 16 through; these tiles overlap.
        for top, left in [(0, 0), (32, 0), (0, 16), (32, 16), (16, 16)]:
            tile = mirrored[:, top : top + 220, left : left + 220]
            np.testing.assert_allclose(
                run(model, tile),
                whole[:, top : top + 36, left : left + 36],
                atol=1e-5,
            )


class TestConnections:
    def test_upsampled_map_comes_before_the_skip(self):
        model = unet((32, 48, 3), 2, width_multiplier=1 / 32)
        parts = with_outputs(model, "up3_resized", "down3_relu2", "concat3")
        upsampled, skip, joined = (
            ops.convert_to_numpy(x) for x in parts(images(1, 32, 48, 3))
        )
        np.testing.assert_array_equal(joined, np.concatenate([upsampled, skip], -1))

    def test_dropout_is_behind_the_two_coarsest_levels_and_on_the_skip(self):
        model = unet((32, 48, 3), 2, width_multiplier=1 / 4)
        names = [layer.name for layer in model.layers if "dropout" in layer.name]
        assert names == ["dropout4", "dropout5"]
        parts = with_outputs(model, "down4_relu2", "concat4", "pool4")
        features, joined, pooled = (
            ops.convert_to_numpy(x) for x in parts(images(1, 32, 48, 3), training=True)
        )
        skip = joined[..., -features.shape[-1] :]
        dropped = (skip == 0) & (features > 0)
        assert 0.4 < dropped.sum() / (features > 0).sum() < 0.6
        np.testing.assert_allclose(skip[skip > 0], 2 * features[skip > 0], rtol=1e-5)
        blocks = skip.reshape(1, 2, 2, 3, 2, -1).max((2, 4))
        np.testing.assert_allclose(pooled, blocks, rtol=1e-6)

    def test_no_dropout_layer_without_dropout(self):
        model = unet((32, 48, 3), 2, width_multiplier=1 / 32, dropout_rate=0)
        assert not [layer for layer in model.layers if "dropout" in layer.name]

    def test_batch_norm_takes_the_place_of_the_bias(self):
        model = unet((32, 48, 3), 2, filters=(2, 3), batch_norm=True)
        assert model.get_layer("down1_conv1").bias is None
        norms = [x for x in model.layers if isinstance(x, layers.BatchNormalization)]
        assert len(norms) == 6
        assert all(norm.momentum == 0.9 for norm in norms)

    def test_images_are_normalised_once_and_inside(self):
        model = unet((32, 48, 3), 2, filters=(2, 3))
        raw = unet((32, 48, 3), 2, filters=(2, 3), rescale=False)
        raw.set_weights(model.get_weights())
        batch = images(1, 32, 48, 3)
        np.testing.assert_allclose(
            run(raw, batch / 127.5 - 1), run(model, batch), atol=1e-5
        )

    def test_uint8_images_are_the_same_as_float_ones(self):
        model = unet((32, 48, 3), 2, filters=(2, 3))
        batch = images(1, 32, 48, 3).astype("uint8")
        np.testing.assert_array_equal(
            run(model, batch), run(model, batch.astype("float32"))
        )

    @pytest.mark.parametrize("size", range(16, 34))
    def test_any_padded_size_from_16_works(self, size):
        model = narrow_open("same")
        assert run(model, images(1, size, 49 - size, 1)).shape == (
            1,
            size,
            49 - size,
            2,
        )


class TestBackbone:
    @pytest.mark.parametrize("size", [(32, 48), (33, 50), (47, 65)])
    def test_scores_of_the_finest_map_are_resized_to_the_image(self, size):
        model = unet((*size, 3), 2, backbone=two_maps(), filters=(5,))
        finest = (-(-size[0] // 2), -(-size[1] // 2))
        assert model.get_layer("scores").output.shape == (None, *finest, 2)
        assert model.output.shape == (None, *size, 2)
        assert run(model, images(1, *size, 3)).shape == (1, *size, 2)

    def test_filters_are_the_widths_of_the_decoder_finest_first(self):
        model = unet(
            (64, 96, 3),
            2,
            backbone="mobilenet_v3_small",
            width_multiplier=0.25,
            filters=(8, 16, 24, 32, 1000),
        )
        widths = [model.get_layer(f"up{i}_conv2").filters for i in (1, 2, 3, 4)]
        assert widths == [2, 4, 6, 8]

    def test_backbone_is_one_layer_that_is_frozen_in_one_line(self):
        model = unet((64, 96, 3), 2, backbone=two_maps(), filters=(5,))
        before = len(model.trainable_weights)
        model.get_layer("two_maps").trainable = False
        assert len(model.trainable_weights) == before - 4

    def test_dropout_is_on_the_two_coarsest_maps(self):
        model = unet((64, 96, 3), 2, backbone=two_maps(), filters=(5,))
        names = {layer.name for layer in model.layers if "dropout" in layer.name}
        assert names == {"dropout1", "dropout2"}


class TestErrors:
    @pytest.mark.parametrize(
        "arguments,message",
        [
            ({"num_classes": 0}, "num_classes=0"),
            ({"num_classes": 1}, r"activation='softmax', num_classes=1"),
            ({"activation": "relu"}, "activation='relu'"),
            ({"input_shape": (15, 32, 3)}, r"input_shape=\(15, 32, 3\)"),
            ({"input_shape": (32, 32)}, r"input_shape=\(32, 32\)"),
            ({"input_shape": (32, 32, None)}, r"input_shape=\(32, 32, None\)"),
            ({"filters": (64,)}, r"filters=\(64,\)"),
            ({"filters": (64, 0)}, r"filters=\(64, 0\)"),
            ({"padding": "reflect"}, "padding='reflect'"),
            ({"variant": "v2"}, "variant='v2'"),
            (
                {"variant": "release", "backbone": "mobilenet_v2"},
                "variant='release', backbone='mobilenet_v2'",
            ),
            ({"dropout_rate": 1}, "dropout_rate=1"),
            ({"width_multiplier": 0}, "width_multiplier=0"),
            ({"weights": "imagenet"}, "weights='imagenet', backbone=None"),
            (
                {"padding": "valid", "backbone": "mobilenet_v2"},
                "padding='valid', backbone='mobilenet_v2'",
            ),
            ({"backbone": "lenet"}, "backbone='lenet'"),
            (
                {"backbone": "mobilenet_v3_small", "filters": (8, 8, 8)},
                "filters of 3 levels",
            ),
        ],
    )
    def test_values(self, arguments, message):
        arguments = {"input_shape": (32, 32, 3), "num_classes": 2, **arguments}
        with pytest.raises(ValueError, match=f"Received: {message}"):
            unet(**arguments)

    @pytest.mark.parametrize(
        "arguments,message",
        [
            ({"num_classes": "2"}, "num_classes='2'"),
            ({"num_classes": 2.0}, "num_classes=2.0"),
            ({"input_shape": 32}, "input_shape=32"),
            ({"filters": 64}, "filters=64"),
            ({"filters": (64, 1.5)}, r"filters=\(64, 1.5\)"),
        ],
    )
    def test_types(self, arguments, message):
        arguments = {"input_shape": (32, 32, 3), "num_classes": 2, **arguments}
        with pytest.raises(TypeError, match=f"Received: {message}"):
            unet(**arguments)

    def test_softmax_of_one_class_names_the_fix(self):
        with pytest.raises(ValueError, match='must be "sigmoid"'):
            unet((32, 32, 3), 1)

    @pytest.mark.parametrize(
        "size,fix",
        [
            ((570, 572), (572, 572)),
            ((573, 189), (588, 204)),
            ((100, None), (188, None)),
        ],
    )
    def test_unpadded_size_that_does_not_fit_names_the_next(self, size, fix):
        with pytest.raises(ValueError) as error:
            unet((*size, 1), 2, padding="valid")
        assert f"the next possible is {(*fix, 1)}" in str(error.value)
        assert f"Received: input_shape={(*size, 1)}" in str(error.value)

    @pytest.mark.parametrize("levels", [2, 3])
    def test_unpadded_sizes_are_refused_unless_every_pool_halves(self, levels):
        for size in range(16, 70):
            arguments = {"filters": (1,) * levels, "padding": "valid"}
            if fits_unpadded(size, levels):
                unet((size, None, 1), 2, **arguments)
            else:
                with pytest.raises(ValueError, match="the next possible"):
                    unet((size, None, 1), 2, **arguments)


_NARROW = {}


def narrow_open(padding):
    """A narrow net of open sizes, built once for all that only run it."""
    if padding not in _NARROW:
        keras.utils.set_random_seed(0)
        _NARROW[padding] = unet(
            (None, None, 1), 2, padding=padding, width_multiplier=1 / 32
        )
    return _NARROW[padding]


def fits_unpadded(size, levels):
    """Walks down and up through the net, as the paper's last sentence of section 2."""
    for _ in range(levels - 1):
        size -= 4
        if size <= 0 or size % 2:
            return False
        size //= 2
    size -= 4
    for _ in range(levels - 1):
        size = 2 * size - 4
    return size > 0
