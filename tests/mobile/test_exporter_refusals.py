"""What export refuses, and that it leaves nothing behind when it does."""

import keras
import numpy as np
import pytest
from keras import layers

from kseg.mobile import ExportError, ParityError, conversion, exporter

SIZE = (64, 96)


def constant_scores(image, num_classes=3):
    return layers.Conv2D(num_classes, 1, name="scores")(image)


def test_a_numerically_wrong_file_is_refused_and_the_old_one_stays(
    net, build_net, quick, tmp_path, monkeypatch
):
    other = build_net(3, "softmax")
    other.set_weights([weight + 0.05 for weight in net.get_weights()])
    wrong = conversion.convert(conversion.concrete_function(other, SIZE, "wrong"))
    monkeypatch.setattr(exporter, "convert", lambda *args, **kwargs: wrong)
    with pytest.raises(ParityError, match="largest error") as caught:
        quick(net, size=SIZE)
    assert caught.value.parity.max_error > 1e-3
    assert not list(tmp_path.iterdir())

    (tmp_path / "net.tflite").write_bytes(b"the file of last week")
    with pytest.raises(ParityError):
        quick(net, size=SIZE)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [
        b"the file of last week"
    ]


def test_nan_weights_are_refused(net, build_net, quick, tmp_path):
    broken = build_net(3, "softmax")
    broken.set_weights([np.full_like(w, np.nan) for w in net.get_weights()])
    with pytest.raises(ParityError, match="nan"):
        quick(broken, size=SIZE)
    assert not list(tmp_path.iterdir())


def test_integers_of_an_untrained_net_prove_nothing(quick, crops):
    image = keras.Input((*SIZE, 3))
    scores = layers.Conv2D(2, 1, kernel_initializer="zeros")(image)
    with pytest.raises(ParityError, match="is the model trained"):
        quick(
            keras.Model(image, layers.Softmax()(scores)),
            precision="full_int8",
            calibration=crops[0][:8],
        )


def test_an_empty_graph_is_refused(quick):
    image = keras.Input((*SIZE, 3))
    identity = keras.Model(image, layers.Activation("linear", name="logits")(image))
    with pytest.raises(ExportError, match="no operation"):
        quick(identity, output="logits")


def test_an_operation_that_needs_flex_is_refused_and_named(quick, tmp_path):
    image = keras.Input((*SIZE, 3))
    x = keras.ops.image.resize(image, SIZE[::-1], antialias=True)
    x = keras.ops.image.resize(x, SIZE, interpolation="bicubic")
    with pytest.raises(ExportError, match="ResizeBicubic|ScaleAndTranslate"):
        quick(keras.Model(image, layers.Softmax()(constant_scores(x))))
    assert not list(tmp_path.iterdir())


def test_any_size_needs_a_size(net, quick):
    with pytest.raises(ValueError, match=r"`size` must be given.*Received: size=None"):
        quick(net)


@pytest.mark.parametrize("size", [(96, 64), 64, 0, (64, 96, 3), (64.0, 96)])
def test_a_size_that_cannot_be_is_refused(person_net, quick, size):
    with pytest.raises(ValueError, match=r"`size` must be.*Received: size="):
        quick(person_net, size=size)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"precision": "int4"}, "`precision` must be one of.*'int4'"),
        ({"output": "masks"}, "`output` must be one of.*'masks'"),
        ({"labels": ("a", "b")}, "`labels` must be 3 names.*2 labels"),
        ({"precision": "full_int8", "calibration": None}, "at least 8 .*0 images"),
        ({"precision": "full_int8"}, "at least 8 .*4 images"),
    ],
)
def test_choices_that_cannot_be_are_refused(net, quick, tmp_path, kwargs, message):
    with pytest.raises(ValueError, match=message):
        quick(net, size=SIZE, **kwargs)
    assert not list(tmp_path.iterdir())


def test_what_is_no_segmentation_model_is_refused(quick):
    with pytest.raises(TypeError, match="`model` must be a keras.Model"):
        quick("net.keras")
    two = [keras.Input((*SIZE, 3)), keras.Input((*SIZE, 3))]
    with pytest.raises(ValueError, match="one image input"):
        quick(keras.Model(two, layers.Add()(two)))
    with pytest.raises(ValueError, match="one image at a time.*a batch of 4"):
        quick(keras.Sequential([keras.Input((*SIZE, 3), batch_size=4), layers.ReLU()]))
    with pytest.raises(ValueError, match="call the model once"):
        quick(keras.Sequential([layers.Conv2D(2, 1)]))
    image = keras.Input((*SIZE, 3))
    maps = constant_scores(image)
    with pytest.raises(ValueError, match="`output='probabilities'` needs.*2 outputs"):
        quick(keras.Model(image, [maps, layers.ReLU()(maps)]))


def test_scores_that_are_no_probabilities_are_refused(quick):
    image = keras.Input((*SIZE, 3))
    model = keras.Model(image, layers.ReLU()(constant_scores(image)))
    with pytest.raises(ValueError, match="ends in probabilities.*Received: scores"):
        quick(model)


def test_logits_cannot_be_had_from_a_softmax_inside_a_convolution(quick):
    image = keras.Input((*SIZE, 3))
    model = keras.Model(image, layers.Conv2D(2, 1, activation="softmax")(image))
    with pytest.raises(ValueError, match="`output='logits'` needs"):
        quick(model, output="logits")


def test_another_backend_is_told_what_to_do(person_net, quick, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ExportError, match="KERAS_BACKEND=tensorflow"):
        quick(person_net)
