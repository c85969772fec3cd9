"""Every builder learns four street scenes by heart, so that none has a dead branch.

No net can draw finer than its scores are: what logits that are free to take any value
reach through the same upsampling is the measure. A net has to reach 0.95 of it.
"""

import inspect

import keras
import numpy as np
import pytest
from PIL import Image

from kseg import data, losses, metrics, models

SIZE = (96, 128)
CLASSES = 11
RESNET = {"backbone": "resnet50", "width_multiplier": 0.25}
MOBILENET = {"backbone": "mobilenet_v2", "width_multiplier": 0.35}
PLAIN = {"dropout_rate": 0.0}
FCN = {**PLAIN, "width_multiplier": 0.125, "score_initializer": "he_normal"}
# Case: builder, its arguments, the stride of its scores.
CASES = {
    "fcn_32s": ("fcn_32s", FCN, 32),
    "fcn_16s": ("fcn_16s", FCN, 16),
    # Finer scores need more features; without the border of 100 they cost no more.
    "fcn_8s": ("fcn_8s", {**FCN, "width_multiplier": 0.25, "padding": "same"}, 8),
    "unet": ("unet", {**PLAIN, "width_multiplier": 0.25}, 1),
    "unet release": (
        "unet",
        {**PLAIN, "width_multiplier": 0.25, "variant": "release"},
        1,
    ),
    "unet mobilenet": ("unet", {**PLAIN, **MOBILENET, "filters": (32,) * 5}, 2),
    "deeplab_v1": ("deeplab_v1", {**PLAIN, "width_multiplier": 0.25}, 8),
    "deeplab_v2": ("deeplab_v2", {**PLAIN, "width_multiplier": 0.25}, 8),
    "deeplab_v3": ("deeplab_v3", {**PLAIN, **RESNET}, 16),
    "deeplab_v3_plus": ("deeplab_v3_plus", {**PLAIN, **MOBILENET}, 4),
    "deeplab_v3_plus xception": (
        "deeplab_v3_plus",
        {**PLAIN, "backbone": "xception41", "width_multiplier": 0.125},
        4,
    ),
    "gcn": ("gcn", {**RESNET, "kernel_size": 7}, 1),
    "ksac": ("ksac", {**PLAIN, **MOBILENET}, 4),
    "pspnet": ("pspnet", {**PLAIN, **RESNET}, 8),
    "fpn": ("fpn", {"width_multiplier": 2.0}, 4),
    "lraspp": (
        "lraspp",
        {"backbone": "mobilenet_v3_small", "width_multiplier": 0.75},
        8,
    ),
}
pytestmark = pytest.mark.slow


def test_no_builder_is_forgotten():
    builders = {
        name
        for name in models.__all__
        if "num_classes" in inspect.signature(getattr(models, name)).parameters
    }
    assert {name for name, _, _ in CASES.values()} == builders


@pytest.fixture(scope="module")
def scenes(data_dir):
    """Four frames of CamVid and their labels, at 96x128."""
    frames = data.datasets.CamVid(data_dir("camvid"))[::92]
    size = SIZE[::-1]
    images = [Image.fromarray(f.image).resize(size) for f in frames]
    masks = [
        Image.fromarray(f.mask.astype("uint8")).resize(size, Image.Resampling.NEAREST)
        for f in frames
    ]
    return (
        np.stack(images).astype("float32"),
        np.stack(masks).astype("int32"),
    )


@pytest.fixture(scope="module")
def attainable(scenes):
    """Returns a function: the mean IoU that free logits at a stride reach."""
    _, masks = scenes
    found = {}

    def reach(stride):
        if stride not in found:
            shape = [-(-n // stride) for n in SIZE]
            logits = np.stack([_averaged(mask, shape) for mask in masks])
            place = keras.Input((*shape, CLASSES))
            free = keras.layers.Resizing(*SIZE, interpolation="bilinear")(
                FreeLogits(logits)(place)
            )
            model = keras.Model(place, keras.layers.Softmax()(free))
            _fit(model, logits, masks, keras.optimizers.Adam(0.1), 1000)
            found[stride] = _mean_iou(model, logits, masks)
        return found[stride]

    return reach


class FreeLogits(keras.layers.Layer):
    """Adds logits of its own to zeros: an output that any gradient can move."""

    def __init__(self, start):
        super().__init__()
        self.start = start

    def build(self, _):
        self.logits = self.add_weight(
            shape=self.start.shape,
            initializer=lambda shape, dtype: keras.ops.cast(self.start, dtype),
        )

    def call(self, inputs):
        return 0 * inputs + self.logits


def _averaged(mask, shape):
    """Share of each class in each cell, as a start for its logits."""
    onehot = np.eye(CLASSES + 1)[np.where(mask == 255, CLASSES, mask)][..., :CLASSES]
    maps = [
        np.asarray(
            Image.fromarray(onehot[..., c].astype("float32")).resize(
                shape[::-1], Image.Resampling.BOX
            )
        )
        for c in range(CLASSES)
    ]
    return 4 * np.stack(maps, -1)


def _fit(model, inputs, masks, optimizer, steps):
    model.compile(optimizer, losses.SparseCrossEntropy(), jit_compile=False)
    for _ in range(steps):
        model.train_on_batch(inputs, masks)


def _optimizers(name):
    """Returns one for every 300 steps."""
    if name == "gcn":
        # What refines its scores behind stride 4 sees scores alone, and has far to go.
        rate = keras.optimizers.schedules.CosineDecay(
            1e-5, 4900, alpha=0.02, warmup_target=2e-3, warmup_steps=100
        )
        return 7 * [keras.optimizers.Adam(rate)]
    return [keras.optimizers.Adam(rate) for rate in (1e-3, *5 * (3e-4,), 1e-4)]


def _mean_iou(model, inputs, masks):
    metric = metrics.MeanIoU(CLASSES)
    metric.update_state(masks, model(inputs, training=False))
    return float(metric.result())


@pytest.mark.parametrize("case", CASES)
def test_learns_four_scenes_by_heart(case, scenes, attainable):
    name, arguments, stride = CASES[case]
    images, masks = scenes
    keras.utils.set_random_seed(0)
    model = getattr(models, name)((*SIZE, 3), CLASSES, **arguments)
    target = 0.95 * attainable(stride)
    reached = []
    for optimizer in _optimizers(name):
        _fit(model, images, masks, optimizer, 300)
        reached.append(_mean_iou(model, images, masks))
        if reached[-1] >= target:
            return
    pytest.fail(f"reached {reached} of {target / 0.95:.3f}, target {target:.3f}")
