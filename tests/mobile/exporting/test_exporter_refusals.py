"""What export refuses, and that it leaves nothing behind when it does."""

import resource

import keras
import numpy as np
import pytest
from keras import layers

from kseg.mobile import ExportError, ParityError, export
from kseg.mobile.exporting import candidates, conversion, exporter

SIZE = (64, 96)


def constant_scores(image, num_classes=3):
    return layers.Conv2D(num_classes, 1, name="scores")(image)


def test_a_numerically_wrong_file_is_refused_and_the_old_one_stays(
    net, build_net, quick, tmp_path, monkeypatch
):
    other = build_net(3, "softmax")
    other.set_weights([weight + 0.05 for weight in net.get_weights()])
    wrong = conversion.convert(conversion.concrete_function(other, SIZE, "wrong"))
    monkeypatch.setattr(candidates, "convert", lambda *args, **kwargs: wrong)
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


def test_a_model_that_tensorflow_cannot_trace_is_refused(quick):
    class Eager(layers.Layer):
        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

        def call(self, x):
            return keras.ops.convert_to_tensor(np.array(x))

    image = keras.Input((*SIZE, 3))
    model = keras.Model(image, layers.Softmax()(constant_scores(Eager()(image))))
    with pytest.raises(ExportError, match="(?s)cannot be traced.*numpy"):
        quick(model)


@pytest.mark.parametrize("inside", [True, False], ids=["layer", "model"])
def test_a_layer_whose_name_tensorflow_refuses_is_named(quick, tmp_path, inside):
    names = ("a name with spaces", "inner") if inside else (None, "a name with spaces")
    image = keras.Input((*SIZE, 3), name="a photo")  # which opens no scope
    scores = layers.Conv2D(3, 1, name=names[0])(image)
    inner = keras.Model(image, scores, name=names[1])
    outer = keras.Sequential([keras.Input((*SIZE, 3)), inner, layers.Softmax()])
    expected = "letters.*'a_name_with_spaces'. Received: name='a name with spaces'"
    with pytest.raises(ExportError, match=f"(?s)cannot be traced.*{expected}"):
        quick(outer)
    assert not list(tmp_path.iterdir())
    # Keras does not leave a scope that TensorFlow refused: had it been opened, all that
    # is built later would be named after it.
    image = keras.Input((2,))
    dense = layers.Dense(1, name="dense")
    model = keras.Model(image, dense(image), name="after")
    assert dense.kernel.path == "dense/kernel"
    assert model(np.ones((1, 2))).shape == (1, 1)


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
    with pytest.raises(ValueError, match="samples with 'input_0', 'input_1'"):
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


def test_images_of_another_range_are_refused(net, quick, crops, tmp_path):
    for images in (
        crops[0][:8] / 255,
        crops[0][:8] / 127.5 - 1,
        (crops[0][:8] / 255).astype("uint8"),
        crops[0][:8].astype("float32") * 257,
    ):
        with pytest.raises(ValueError, match="must hold images of 0-255.*Received: "):
            quick(net, size=SIZE, precision="full_int8", calibration=images)
    with pytest.raises(TypeError, match="uint8 array of 0-255.*uint16"):
        quick(net, size=SIZE, calibration=crops[0][:8].astype("uint16") * 257)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("missing/net.tflite", FileNotFoundError, "in an existing folder"),
        ("folder.tflite", ValueError, r"file name that ends in \.tflite"),
        ("net.onnx", ValueError, r"file name that ends in \.tflite"),
    ],
)
def test_a_path_that_cannot_be_written_is_said_before_the_work(
    net, tmp_path, monkeypatch, name, error, message
):
    (tmp_path / "folder.tflite").mkdir()
    monkeypatch.setattr(candidates, "convert", None)  # it must not come so far
    with pytest.raises(error, match=f"`path` must .*{message}.*Received: path="):
        export(net, tmp_path / name, size=SIZE, verbose=False)


def test_a_folder_without_permission_is_said_before_the_work(
    net, quick, monkeypatch, tmp_path
):
    monkeypatch.setattr(candidates, "convert", None)
    # Of root, whom nothing stops, the question is asked by another.
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    with pytest.raises(PermissionError, match="`path` must .* may write to"):
        quick(net, size=SIZE)


def test_a_disk_that_fills_up_midway_leaves_the_old_file(
    person_net, quick, monkeypatch, tmp_path
):
    old = tmp_path / "net.tflite"
    old.write_bytes(b"the file of last week")
    write, limits = exporter.write_whole, resource.getrlimit(resource.RLIMIT_FSIZE)

    def with_little_room(path, content):
        assert len(content) > 8192
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            write(path, content)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    monkeypatch.setattr(exporter, "write_whole", with_little_room)
    with pytest.raises(OSError, match="`path` cannot be written.*net.tflite"):
        quick(person_net)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [
        b"the file of last week"
    ]


@pytest.mark.parametrize("labels", [("a",), ("a", "b"), ("a", "b", "c", "d")])
def test_labels_of_another_number_are_refused(net, quick, labels):
    with pytest.raises(ValueError, match="`labels` must be 3 names, one per channel"):
        quick(net, size=SIZE, labels=labels)


def test_labels_in_one_string_are_refused(net, quick):
    with pytest.raises(TypeError, match="`labels` must be a list.*Received: labels='a"):
        quick(net, size=SIZE, labels="abc")


def test_masks_that_fit_no_image_are_refused(net, quick, crops):
    masks = [np.zeros(SIZE, "uint8")] * 4
    for wrong, message in (
        (masks[:3], "one per item of `calibration`. Received: 3 masks for 4 images"),
        ([np.full(SIZE, 3)] * 4, r"class ids below 3, or 255 .*Received: \[3\]"),
    ):
        with pytest.raises(ValueError, match=f"`masks` must .*{message}"):
            quick(net, size=SIZE, masks=wrong)
    with pytest.raises(TypeError, match="`masks` must be integer arrays.*float64"):
        quick(net, size=SIZE, masks=[np.zeros(SIZE)] * 4)
    image = keras.Input((*SIZE, 3))
    cropped = layers.Cropping2D(((8, 8), (8, 8)))(constant_scores(image))
    model = keras.Model(image, layers.Softmax()(cropped))
    with pytest.raises(ValueError, match="`masks` must be left out for a model that c"):
        quick(model, masks=masks)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"input_dtype": "int8"}, "`input_dtype` must be one of.*'int8'"),
        ({"input_dtype": "uint8"}, "`input_dtype` must be left out but for .full_int8"),
        ({"keep_float": ["head"]}, "`keep_float` must be left out where nothing"),
        ({"camera_size": (0, 96)}, r"`camera_size` must be.*Received: camera_size=\(0"),
        ({"camera_size": "720p"}, "`camera_size` must be"),
    ],
)
def test_options_that_cannot_be_are_refused(net, quick, tmp_path, kwargs, message):
    with pytest.raises(ValueError, match=message):
        quick(net, size=SIZE, **kwargs)
    assert not list(tmp_path.iterdir())


def test_clouds_have_no_options_of_images(quick):
    cloud = keras.Input((32, 3))
    model = keras.Model(cloud, layers.Dense(2, activation="softmax")(cloud))
    for options in (
        {"camera_size": 64},
        {"masks": [np.zeros(SIZE, "uint8")] * 4},
        {"output": "category_mask_low"},
    ):
        (name,) = options
        with pytest.raises(ValueError, match=f"`{name}` must be .* for clouds"):
            quick(model, calibration=np.zeros((4, 32, 3)), **options)
