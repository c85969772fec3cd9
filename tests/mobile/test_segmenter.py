"""Any image in, masks of its size out; with a file, without keras and tensorflow."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from PIL import Image

import kseg
from kseg.mobile import ImageSegmenter, export, nets, segmenter

SIZE = (64, 96)
CLASSES = ("background", "skin", "clothes")


@pytest.fixture(scope="module")
def file(exported):
    return exported().path


@pytest.fixture(scope="module")
def person_file(person_net, crops, tmp_path_factory):
    path = tmp_path_factory.mktemp("person") / "person.tflite"
    export(person_net, path, calibration=crops[0][:4], labels=["person"], verbose=False)
    return path


def test_an_image_of_the_nets_size_gives_keras_answer(file, net, crops):
    image = crops[0][20]
    expected = np.asarray(net(image[None].astype("float32"), training=False))[0]
    result = ImageSegmenter(file).segment(image)
    np.testing.assert_allclose(result.confidence_masks, expected, atol=1e-5)
    np.testing.assert_array_equal(result.category_mask, expected.argmax(-1))
    assert result.category_mask.dtype == np.uint8


@pytest.mark.parametrize("size", [(200, 131), (33, 500), (1, 1), (64, 96), (5, 3)])
def test_masks_have_the_size_of_the_image(file, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), "uint8")
    result = ImageSegmenter(file)(image)
    assert result.category_mask.shape == size
    assert result.confidence_masks.shape == (*size, 3)
    assert result.confidence_masks.dtype == np.float32
    np.testing.assert_allclose(result.confidence_masks.sum(-1), 1, atol=1e-5)
    np.testing.assert_array_equal(
        result.category_mask, result.confidence_masks.argmax(-1)
    )


def test_every_kind_of_image_gives_the_same_masks(file, crops, tmp_path):
    image = crops[0][20]
    Image.fromarray(image).save(tmp_path / "photo.png")
    opaque = np.dstack([image, np.full(SIZE, 255, "uint8")])
    segment = ImageSegmenter(file).segment
    expected = segment(image).category_mask
    for same in (
        tmp_path / "photo.png",
        str(tmp_path / "photo.png"),
        Image.fromarray(image),
        opaque,
        Image.fromarray(opaque),
        image[::-1][::-1],
    ):
        np.testing.assert_array_equal(segment(same).category_mask, expected)


def test_a_one_class_net_gives_zeros_and_ones_at_one_half(person_file, crops):
    person = ImageSegmenter(person_file)
    result = person.segment(crops[0][20])
    assert (person.num_classes, person.labels) == (1, ("background", "person"))
    assert result.confidence_masks.shape == (*SIZE, 1)
    np.testing.assert_array_equal(
        result.category_mask, result.confidence_masks[..., 0] > 0.5
    )
    assert set(np.unique(result.category_mask)) == {0, 1}


@pytest.mark.parametrize("precision", ["float16", "dynamic_int8", "full_int8"])
@pytest.mark.parametrize("output", ["probabilities", "logits"])
def test_every_precision_and_output_gives_probabilities(
    exported, net, crops, precision, output
):
    image = crops[0][20]
    expected = np.asarray(net(image[None].astype("float32"), training=False))[0]
    run = ImageSegmenter(exported(precision, output).path)
    assert run.labels == CLASSES
    assert np.abs(run(image).confidence_masks - expected).max() < 0.15


def test_a_file_of_class_ids_has_no_confidence(exported, crops):
    result = ImageSegmenter(exported(output="category_mask").path)(crops[0][20])
    full = ImageSegmenter(exported().path)(crops[0][20])
    assert result.confidence_masks is None
    assert result.category_mask.dtype == np.uint8
    np.testing.assert_array_equal(result.category_mask, full.category_mask)
    enlarged = np.kron(crops[0][20], np.ones((2, 2, 1), "uint8"))
    assert ImageSegmenter(exported(output="category_mask").path)(
        enlarged
    ).category_mask.shape == (128, 192)


def test_confidence_masks_can_be_switched_off(file, crops):
    result = ImageSegmenter(file, output_confidence_masks=False)(crops[0][20])
    assert result.confidence_masks is None
    np.testing.assert_array_equal(
        result.category_mask, ImageSegmenter(file)(crops[0][20]).category_mask
    )


def test_a_keras_model_gives_the_answers_of_its_file(net, file, crops):
    model = ImageSegmenter(net, size=SIZE, labels=CLASSES)
    assert (model.input_size, model.num_classes, model.model) == (SIZE, 3, net)
    photo = np.kron(crops[0][20], np.ones((2, 2, 1), "uint8"))
    np.testing.assert_allclose(
        model(photo).confidence_masks,
        ImageSegmenter(file)(photo).confidence_masks,
        atol=1e-5,
    )


def test_a_keras_model_of_any_size_keeps_the_images_proportions(net):
    any_size = ImageSegmenter(net)
    assert any_size.input_size is None
    assert any_size(np.zeros((300, 70, 3), "uint8")).category_mask.shape == (300, 70)


def test_confidence_masks_can_be_left_out_for_one_image(net, crops):
    segmenter = ImageSegmenter(net, size=SIZE)
    whole = segmenter.segment(crops[0][20])
    ids_only = segmenter.segment(crops[0][20], output_confidence_masks=False)
    assert ids_only.confidence_masks is None
    np.testing.assert_array_equal(ids_only.category_mask, whole.category_mask)
    assert segmenter(crops[0][20]).confidence_masks is not None


def test_a_keras_model_of_logits_gets_its_activation(net, file, crops):
    logits = keras.Model([net.inputs[0]], [net.get_layer("logits").output])
    np.testing.assert_allclose(
        ImageSegmenter(logits, size=SIZE)(crops[0][20]).confidence_masks,
        ImageSegmenter(file)(crops[0][20]).confidence_masks,
        atol=1e-5,
    )


def test_threads_share_a_segmenter(file, crops):
    run = ImageSegmenter(file, num_threads=2)
    images = list(crops[0])
    expected = [run(image).confidence_masks for image in images]
    with ThreadPoolExecutor(8) as pool:
        for result, alone in zip(pool.map(run, images), expected, strict=True):
            np.testing.assert_array_equal(result.confidence_masks, alone)


def test_damaged_files_are_errors_and_no_crashes(file, tmp_path):
    content = file.read_bytes()
    damaged = {
        "empty": b"",
        "text": b"not a model " * 50,
        "half": content[: len(content) // 2],
        "zeros": content[:1000] + bytes(len(content) - 1000),
        "without its last bytes": content[:-30],
    }
    for name, data in damaged.items():
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(data)
        with pytest.raises(ValueError, match="`.*` must be a complete.*Received"):
            ImageSegmenter(path)


def test_what_is_no_model_is_refused(file, net, tmp_path):
    with pytest.raises(FileNotFoundError, match="`model` must be the path"):
        ImageSegmenter(tmp_path / "missing.tflite")
    with pytest.raises(TypeError, match="`model` must be the path of a .tflite or a K"):
        ImageSegmenter(42)
    with pytest.raises(ValueError, match="`size` must be left out"):
        ImageSegmenter(file, size=128)
    with pytest.raises(ValueError, match=r"`labels` must be 3 names.*Received"):
        ImageSegmenter(file, labels=["a", "b"])
    with pytest.raises(ValueError, match="`num_threads` must be"):
        ImageSegmenter(file, num_threads=0)
    with pytest.raises(ValueError, match="`activation` must be"):
        ImageSegmenter(file, activation="relu")


def test_a_file_runs_without_keras_and_tensorflow(file, crops, tmp_path):
    Image.fromarray(crops[0][20]).save(tmp_path / "photo.png")
    script = f"""
import sys, time
started = time.perf_counter()
import kseg
person = kseg.mobile.ImageSegmenter({str(file)!r})
loaded = time.perf_counter() - started
print(person.segment({str(tmp_path / "photo.png")!r}).category_mask.shape)
print([name for name in ("keras", "tensorflow", "jax", "torch") if name in sys.modules])
print(loaded)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        check=True,
    )
    shape, modules, seconds = done.stdout.splitlines()
    assert (shape, modules, done.stderr) == (str(SIZE), "[]", "")
    assert float(seconds) < 5  # 0.4 s on an idle core; a busy machine is not a fault


def test_load_opens_files_and_names(file, net, tmp_path, monkeypatch):
    net.save(tmp_path / "small.keras")
    (tmp_path / "small_float32.tflite").write_bytes(file.read_bytes())
    monkeypatch.setattr(nets, "WEIGHTS", tmp_path)
    image = np.zeros((40, 50, 3), "uint8")
    for name in (
        tmp_path / "small.keras",
        str(tmp_path / "small_float32.tflite"),
        "small",
        "small_float32",
    ):
        assert segmenter.load(name)(image).category_mask.shape == (40, 50)
    assert isinstance(segmenter.load("small").model, keras.Model)


def test_load_takes_the_names_that_training_left_beside_the_net(net, tmp_path):
    net.save(tmp_path / "best.keras")
    assert segmenter.load(tmp_path / "best.keras").labels == ()
    names = [f"part {number}" for number in range(max(2, net.output_shape[-1]))]
    (tmp_path / "config.json").write_text(json.dumps({"classes": names}))
    assert segmenter.load(tmp_path / "best.keras").labels == tuple(names)
    (tmp_path / "config.json").write_text(json.dumps({"classes": names[1:]}))
    assert segmenter.load(tmp_path / "best.keras").labels == ()


def test_load_names_what_ships_when_it_knows_no_such_net(tmp_path, monkeypatch):
    (tmp_path / "person.keras").touch()
    monkeypatch.setattr(nets, "WEIGHTS", tmp_path)
    with pytest.raises(ValueError, match="ships with kseg: person. Received: .*'cat'"):
        segmenter.load("cat")
    with pytest.raises(FileNotFoundError, match="existing .keras or .tflite"):
        segmenter.load(tmp_path / "missing.keras")
    with pytest.raises(ValueError, match="complete .keras file.*Received"):
        segmenter.load("person")


def test_the_table_of_contents_is_lazy_and_complete():
    for name in kseg.mobile.__all__:
        assert callable(getattr(kseg.mobile, name))
    assert set(kseg.mobile.__all__) <= set(dir(kseg.mobile))
    with pytest.raises(AttributeError, match="no attribute 'exprot'"):
        kseg.mobile.exprot  # noqa: B018
