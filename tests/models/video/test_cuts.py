"""Where image models are cut by themselves."""

import keras
import pytest

from kseg import models
from kseg.models.video.cuts import default_cuts

SIZE = (64, 96)


@pytest.mark.parametrize(
    "make, strides",
    [
        (lambda: models.unet((*SIZE, 3), 2, filters=(4, 8, 16, 32)), [2, 4, 8]),
        (
            lambda: models.deeplab_v3_plus(
                (*SIZE, 3), 2, backbone="mobilenet_v2", width_multiplier=0.35
            ),
            [4, 8, 16],
        ),
        (
            lambda: models.lraspp(
                (*SIZE, 3), 2, backbone="mobilenet_v3_small", width_multiplier=0.1
            ),
            [4, 8, 16],
        ),
        (
            lambda: models.unet((None, None, 3), 2, filters=(4, 8, 16)),
            [1, 2, 4],
        ),
    ],
    ids=["unet", "deeplab_v3_plus", "lraspp", "open"],
)
def test_cuts_are_at_the_three_coarsest_strides(make, strides):
    model = make()
    cuts = default_cuts(model, SIZE)
    *stages, _ = models.split(model, cuts)
    assert len(stages) == 3
    given = keras.Input((*SIZE, 3), batch_size=1)
    for stage, stride in zip(stages, strides, strict=True):
        given = stage(given)
        cut = keras.tree.flatten(given)[0]
        assert cut.shape[1:3] == (SIZE[0] // stride, SIZE[1] // stride)


def test_fcn_8s_is_cut_as_in_the_paper():
    net = models.fcn_8s((*SIZE, 3), 2, width_multiplier=0.02)
    assert default_cuts(net, SIZE) == ["score_pool3", "score_pool4", "upscore2"]
    assert default_cuts(net, SIZE, stages=2) == ["score_pool4", "upscore2"]


def test_model_of_one_resolution_is_refused():
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(image)
    net = keras.Model(image, keras.layers.Conv2D(2, 1, name="scores")(x), name="flat")
    with pytest.raises(ValueError, match="coarser than its image.*`at`.*'flat'"):
        default_cuts(net, (16, 16))
