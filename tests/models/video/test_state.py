"""What a model asks of a stream, read off the model."""

import numpy as np
import pytest

from kseg import models
from kseg.models import video

SIZE = (32, 48)


def unet(size=SIZE):
    return models.unet((*size, 3), 3, filters=(4, 6, 8), dropout_rate=0)


@pytest.fixture(scope="module")
def net():
    return video.netwarp(unet(), "down3_conv2")


def inputs(net, **changed):
    values = {
        "image": np.zeros((1, *SIZE, 3), "float32"),
        "flow": np.zeros((1, *SIZE, 2), "float32"),
        **video.initial_state(net),
    }
    return {**values, **changed}


def test_state_is_what_goes_in_and_out(net):
    assert video.state_names(net) == ["features", "thumbnail", "started"]
    assert video.parts(net) == {}


def test_an_image_model_has_neither_state_nor_parts():
    model = unet()
    assert video.state_names(model) == []
    assert video.initial_state(model) == {}
    assert video.parts(model) == {}


def test_initial_state_is_zeros_of_the_shapes_of_the_model(net):
    state = video.initial_state(net, 3)
    shapes = {name: value.shape for name, value in state.items()}
    assert shapes == {
        "features": (3, 8, 12, 8),
        "thumbnail": (3, 8, 12, 3),
        "started": (3, 1),
    }
    assert all(value.dtype == np.float32 for value in state.values())
    assert not any(value.any() for value in state.values())


def test_initial_state_of_an_open_size_follows_from_that_of_the_frames():
    model = video.netwarp(unet((None, None)), "down3_conv2")
    with pytest.raises(ValueError, match="`size` must be.*Received: size=None"):
        video.initial_state(model)
    state = video.initial_state(model, 2, (33, 50))
    assert state["features"].shape == (2, 9, 13, 8)  # Halved twice, rounded up.
    assert state["thumbnail"].shape == (2, 9, 13, 3)


def test_parts_are_in_the_order_in_which_they_run():
    model = video.clockwork_fcn(unet(), ["down2_relu2", "up2_relu2"])
    assert list(video.parts(model)) == ["stage1", "stage2", "fusion"]


class TestCheckInputs:
    def test_those_of_the_model_pass(self, net):
        video.check_inputs(net, inputs(net))

    def test_missing_flow(self, net):
        values = inputs(net)
        del values["flow"]
        with pytest.raises(
            ValueError, match="'flow': the optical flow from this frame"
        ):
            video.check_inputs(net, values)

    def test_missing_state(self, net):
        values = inputs(net)
        del values["started"]
        with pytest.raises(ValueError, match="'started': state, at first that of"):
            video.check_inputs(net, values)

    def test_nothing(self, net):
        with pytest.raises(ValueError, match="Received: inputs with nothing"):
            video.check_inputs(net, {})

    def test_unknown_name_with_the_one_like_it(self, net):
        values = inputs(net, feature=np.zeros(1))
        with pytest.raises(ValueError, match="'feature'; did you mean 'features'"):
            video.check_inputs(net, values)

    def test_frames_of_another_size_and_the_fix(self, net):
        values = inputs(net, image=np.zeros((1, 30, 50, 3)))
        with pytest.raises(
            ValueError, match=r"input_shape=\(30, 50, 3\). Received: inputs\['image'\]"
        ):
            video.check_inputs(net, values)

    def test_grey_frames(self, net):
        values = inputs(net, image=np.zeros((1, *SIZE, 1)))
        with pytest.raises(ValueError, match=r"Received: .*shape=\(1, 32, 48, 1\)"):
            video.check_inputs(net, values)

    @pytest.mark.parametrize("shape", [(1, 8, 12, 3), (1, 12, 8, 8), (8, 12, 8)])
    def test_state_of_another_shape(self, net, shape):
        values = inputs(net, features=np.zeros(shape))
        with pytest.raises(
            ValueError, match=r"`inputs\['features'\]` must be of shape"
        ):
            video.check_inputs(net, values)
