"""What is true of the FCNs alone: the published sizes, crops, scores and stages."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kseg import losses, models
from kseg.models import fcn_8s, fcn_16s, fcn_32s

BUILDERS = {32: fcn_32s, 16: fcn_16s, 8: fcn_8s}
every_stride = pytest.mark.parametrize("stride", BUILDERS)


def narrow(stride, size=(None, None), num_classes=3, **options):
    return BUILDERS[stride]((*size, 3), num_classes, width_multiplier=1 / 64, **options)


def images(*size):
    return np.random.default_rng(0).uniform(0, 255, (1, *size, 3)).astype("float32")


def run(model, batch, **options):
    return ops.convert_to_numpy(model(batch, **options))


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.fixture
def empty_weights(monkeypatch):
    """Full-size nets are only counted: drawing 134 million numbers takes seconds."""

    def zeros(self, shape, dtype=None, **kwargs):
        return ops.zeros(shape, dtype)

    monkeypatch.setattr(keras.initializers.VarianceScaling, "__call__", zeros)


# The trunk of VGG-16, fc6, fc7, the scores; then the kernels of the upsampling.
COUNTS = [
    (32, {}, 134_346_581),
    (16, {}, 134_357_354),
    (8, {}, 134_362_751),
    (32, {"learn_upsampling": True}, 134_432_597),
    (16, {"learn_upsampling": True}, 134_379_194),
    (8, {"learn_upsampling": True}, 134_368_799),
    (32, {"learn_upsampling": True, "per_class": False}, 136_152_917),
    (16, {"learn_upsampling": True, "per_class": False}, 134_815_994),
    (8, {"learn_upsampling": True, "per_class": False}, 134_489_759),
]


@pytest.mark.parametrize(
    ("stride", "options", "count"),
    [
        pytest.param(*case, marks=() if case[:2] == (8, {}) else pytest.mark.slow)
        for case in COUNTS
    ],
)
def test_number_of_parameters(stride, options, count, empty_weights):
    model = BUILDERS[stride]((None, None, 3), 21, **options)
    assert trainable(model) == count
    backbone = model.get_layer("vgg16")
    fc6, fc7 = (backbone.get_layer(name).count_params() for name in ("fc6", "fc7"))
    assert (fc6, fc7) == (102_764_544, 16_781_312)
    assert backbone.count_params() - fc6 - fc7 == 14_714_688


class TestSizes:
    def test_crops_fit_images_of_every_size(self):
        """The arithmetic of the published nets, with the offsets of these."""
        models_by_stride = {stride: narrow(stride) for stride in BUILDERS}
        for size in range(1, 501):
            pools, n = {}, size + 198
            for stride in (2, 4, 8, 16, 32):
                n = pools[stride] = -(-n // 2)
            for stride, model in models_by_stride.items():
                n = pools[32] - 6
                for finer, pool in ((16, "pool4"), (8, "pool3")):
                    if finer >= stride:
                        n = 2 * (n - 1) + 4
                        offset = model.get_layer(f"score_{pool}_cropped").offset
                        assert offset + n <= pools[finer]
                n = stride * (n - 1) + 2 * stride
                assert model.get_layer("scores").offset + size <= n

    @every_stride
    @pytest.mark.parametrize("size", [(32, 33), (100, 63), (321, 500)])
    def test_output_has_the_size_of_the_image(self, stride, size):
        assert narrow(stride, size).output.shape == (None, *size, 3)

    def test_sizes_of_the_published_net_for_an_image_of_500(self):
        model = narrow(8, (500, 500))
        sizes = [x.shape[1] for x in model.get_layer("vgg16").outputs]
        assert sizes == [349, 175, 88, 44, 16]
        names = ["upscore2", "upscore_pool4", "upscore8", "scores"]
        sizes = [model.get_layer(name).output.shape[1] for name in names]
        assert sizes == [34, 70, 568, 500]

    @pytest.mark.parametrize(
        ("stride", "offsets"), [(32, [19]), (16, [5, 27]), (8, [5, 9, 31])]
    )
    def test_offsets_are_the_published_ones(self, stride, offsets):
        found = [
            layer.offset
            for layer in narrow(stride).layers
            if type(layer).__name__ == "CroppingLike2D"
        ]
        assert found == offsets

    def test_crops_put_the_scores_on_their_pixels(self):
        """Where the centre of the image's first pixel lies, layer by layer."""
        position, pools = 100 - 1.0, {}  # A 3x3 that pads by 100; others keep it.
        for stride in (2, 4, 8, 16, 32):
            position = pools[stride] = (position - 0.5) / 2
        start = position - 3  # The 7x7 of fc6 has no padding.

        def upsampled(position, scale):
            return scale * position + (2 * scale - 1) / 2

        for stride, builder in BUILDERS.items():
            model, position = (
                builder((None, None, 3), 2, width_multiplier=1 / 64),
                start,
            )
            for finer, pool in ((16, "pool4"), (8, "pool3")):
                if finer >= stride:
                    position = upsampled(position, 2)
                    offset = model.get_layer(f"score_{pool}_cropped").offset
                    assert offset == pools[finer] - position
            assert model.get_layer("scores").offset == upsampled(position, stride)

    @every_stride
    def test_same_padding_crops_and_resizes_nothing_at_multiples_of_32(self, stride):
        model = narrow(stride, (64, 96), padding="same")
        kinds = {type(layer).__name__ for layer in model.layers}
        assert "CroppingLike2D" not in kinds
        for layer in model.layers:
            if type(layer).__name__ == "ResizingLike2D":
                assert layer.input[0].shape[1:3] == layer.input[1].shape[1:3]


class TestScores:
    @every_stride
    @pytest.mark.parametrize("padding", ["valid", "same"])
    def test_loss_is_log_c_at_the_start(self, stride, padding):
        model = narrow(stride, num_classes=5, padding=padding)
        logits = keras.Model(model.input, model.get_layer("logits").output)
        assert not run(logits, images(40, 50)).any()
        truth = np.random.default_rng(1).integers(0, 5, (1, 40, 50))
        value = losses.SparseCrossEntropy()(truth, run(model, images(40, 50)))
        # A mean of 2,000 numbers of float32.
        np.testing.assert_allclose(float(value), np.log(5), rtol=1e-5)

    @every_stride
    def test_scores_add_up(self, stride):
        """Each skip adds its own share: without the others, that is all there is."""
        model = narrow(stride, (64, 96), score_initializer="he_normal", activation=None)
        scores = [x for x in model.layers if x.name.startswith("score_")]
        scores = [layer for layer in scores if layer.weights]
        assert len(scores) == {32: 1, 16: 2, 8: 3}[stride]
        kept = [layer.get_weights() for layer in scores]
        batch = images(64, 96)
        whole, parts = run(model, batch), []
        for i in range(len(scores)):
            for j, (layer, values) in enumerate(zip(scores, kept, strict=True)):
                layer.set_weights(values if i == j else [0 * v for v in values])
            parts.append(run(model, batch))
        assert all(np.abs(part).max() > 1e-3 for part in parts)
        np.testing.assert_allclose(sum(parts), whole, rtol=1e-4, atol=1e-4)

    def test_at_once_scales_pool4_and_pool3(self):
        model = narrow(8, (64, 96), at_once=True)
        assert model.get_layer("scale_pool4").scale == 0.01
        assert model.get_layer("scale_pool3").scale == 0.0001
        pool3, pool4 = model.get_layer("vgg16").outputs[2:4]
        assert model.get_layer("scale_pool3").input.shape == pool3.shape
        assert model.get_layer("scale_pool4").input.shape == pool4.shape

    @every_stride
    def test_learned_upsampling_starts_as_the_fixed_one(self, stride):
        options = {"score_initializer": "he_normal", "dropout_rate": 0}
        fixed = narrow(stride, (64, 96), **options)
        batch = images(64, 96)
        for per_class in (True, False):
            learned = narrow(
                stride, (64, 96), learn_upsampling=True, per_class=per_class, **options
            )
            models.copy_weights(fixed, learned)
            np.testing.assert_allclose(
                run(learned, batch), run(fixed, batch), atol=1e-6
            )


class TestStages:
    @pytest.mark.parametrize(("coarse", "fine"), [(32, 16), (16, 8)])
    def test_a_finer_stage_starts_from_the_one_before(self, coarse, fine):
        source = narrow(coarse, (64, 96), score_initializer="he_normal")
        target = narrow(fine, (64, 96))
        report = models.copy_weights(source, target)
        new = {16: "score_pool4", 8: "score_pool3"}[fine]
        assert report.only_in_target == [new]
        assert report.only_in_source == report.different == []
        assert {"vgg16/conv1_1", "vgg16/fc7", "score_fr"} <= set(report.copied)
        # Its new scores are zero, so that the fused ones are the old ones, upsampled.
        batch = images(64, 96)
        name = {32: "score_fr", 16: "fuse_pool4"}[coarse]
        old = keras.Model(source.input, source.get_layer(name).output)
        name = {16: "upscore2", 8: "upscore_pool4"}[fine]
        upsampled = keras.Model(target.input, target.get_layer(name).output)
        fused = keras.Model(
            target.input, target.get_layer(new.replace("score", "fuse")).output
        )
        assert np.abs(run(old, batch)).max() > 1e-3
        np.testing.assert_array_equal(run(fused, batch), run(upsampled, batch))
        layer = target.get_layer(name)
        np.testing.assert_allclose(
            run(layer, run(old, batch)), run(upsampled, batch), atol=1e-5
        )


class TestBackbone:
    @staticmethod
    def user_model(*strides):
        image = keras.Input((None, None, 3))
        maps = [layers.Conv2D(4, 3, s, padding="same")(image) for s in strides]
        return keras.Model(image, maps, name="mine")

    @every_stride
    def test_maps_are_found_by_their_strides(self, stride):
        backbone = self.user_model(2, 8, 16, 32)
        model = BUILDERS[stride]((70, 90, 3), 2, backbone=backbone, padding="same")
        assert model.output.shape == (None, 70, 90, 2)
        sizes = {"score_fr": (3, 3), "score_pool4": (5, 6), "score_pool3": (9, 12)}
        for name, size in list(sizes.items())[: {32: 1, 16: 2, 8: 3}[stride]]:
            assert model.get_layer(name).output.shape[1:3] == size

    def test_dropout_is_on_its_coarsest_map(self):
        backbone = self.user_model(16, 32)
        arguments = {"backbone": backbone, "padding": "same"}
        model = fcn_16s((64, 96, 3), 2, **arguments)
        assert model.get_layer("dropout").rate == 0.5
        assert model.get_layer("score_fr").input is model.get_layer("dropout").output
        names = [
            layer.name
            for layer in fcn_16s((64, 96, 3), 2, dropout_rate=0, **arguments).layers
        ]
        assert "dropout" not in names

    def test_missing_stride_is_named(self):
        with pytest.raises(ValueError, match=r"strides \[8, 16, 32\].*\[4, 16, 32\]"):
            fcn_8s((64, 64, 3), 2, backbone=self.user_model(4, 16, 32), padding="same")

    def test_published_padding_is_for_vgg(self):
        with pytest.raises(ValueError, match='`padding` must be "same".*resnet50'):
            fcn_8s((64, 64, 3), 2, backbone="resnet50")


@every_stride
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 1}, "activation='softmax', num_classes=1"),
        ({"input_shape": (31, 64, 3)}, r"input_shape=\(31, 64, 3\)"),
        ({"padding": "full"}, "padding='full'"),
        ({"dropout_rate": 1.0}, "dropout_rate=1.0"),
        ({"width_multiplier": 0}, "width_multiplier=0"),
        ({"backbone": "lenet", "padding": "same"}, "backbone='lenet'"),
        ({"weights": "imagenet", "input_shape": (64, 64, 1)}, "channels=1"),
    ],
    ids=str,
)
def test_values(stride, arguments, message):
    arguments = {"input_shape": (64, 64, 3), "num_classes": 2, **arguments}
    with pytest.raises(ValueError, match=f"Received: {message}"):
        BUILDERS[stride](**arguments)
