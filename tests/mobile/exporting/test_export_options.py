"""What a file may be beside its precision: low masks, camera sizes, layers in float."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import layers
from sklearn.metrics import jaccard_score

from kseg.mobile import ImageSegmenter, lint, read_metadata
from kseg.mobile.exporting import candidates
from kseg.mobile.exporting.conversion import concrete_function, convert
from kseg.mobile.exporting.quantization import Quantization
from kseg.mobile.tflite.operations import read_operations

SIZE = (64, 96)


def run(path, image):
    """Runs a file without any of kseg's code: the oracle of this module."""
    interpreter = Interpreter(model_content=path.read_bytes())
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    (gotten,) = interpreter.get_output_details()
    interpreter.set_tensor(given["index"], image[None].astype(given["dtype"]))
    interpreter.invoke()
    values = interpreter.get_tensor(gotten["index"])[0]
    scale, zero_point = gotten["quantization"]
    return (values.astype("float32") - zero_point) * scale if scale else values


def input_dtype(path):
    return Interpreter(model_path=str(path)).get_input_details()[0]["dtype"]


def low_scores(net, image):
    """The scores in front of the `UpSampling2D` that the small nets end in."""
    low = keras.Model(net.inputs[0], net.get_layer("logits").input)
    return np.asarray(low(image[None].astype("float32"), training=False))[0]


@pytest.mark.parametrize("precision", ["float32", "full_int8"])
def test_low_masks_are_chosen_before_the_upsampling(exported, net, crops, precision):
    report = exported(precision, "category_mask_low")
    image = crops[0][20]
    expected = low_scores(net, image).argmax(-1).repeat(2, 0).repeat(2, 1)
    ids = run(report.path, image)
    assert ids.dtype == np.int32
    assert (ids == expected).mean() >= (1 if precision == "float32" else 0.97)
    assert "SOFTMAX" not in report.ops or precision == "full_int8"
    assert "RESIZE_BILINEAR" not in report.ops
    assert lint(report.path).clean("litert")


def test_low_masks_of_one_class_are_those_above_one_half(person_net, crops, quick):
    report = quick(person_net, output="category_mask_low")
    image = crops[0][20]
    expected = (low_scores(person_net, image)[..., 0] > 0).repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(run(report.path, image), expected)
    assert lint(report.path).clean("litert")


def test_low_masks_need_an_upsampling_that_does_something(crops, quick):
    image = keras.Input((None, None, 3))
    scores = layers.Conv2D(3, 1, name="head")(image)
    with pytest.raises(ValueError, match="ends in an upsampling.*ends in 'head'"):
        quick(keras.Model(image, scores), size=SIZE, output="category_mask_low")
    same = keras.Model(image, layers.Resizing(*SIZE)(scores))
    with pytest.raises(ValueError, match=r"does nothing at size=\(64, 96\)"):
        quick(same, size=SIZE, output="category_mask_low")


@pytest.mark.parametrize(
    ("camera_size", "block"), [((128, 288), (2, 3)), ((150, 96), (2, 1)), ((50, 70), 1)]
)
def test_a_camera_image_is_resized_inside(person_net, crops, quick, camera_size, block):
    report = quick(person_net, camera_size=camera_size)
    image = tf.image.resize(crops[0][20], camera_size).numpy().round()
    # TensorFlow's own operations are the oracle.
    pixels = tf.nn.avg_pool2d(image[None], block, block, "VALID")
    scores = person_net(tf.image.resize(pixels, SIZE), training=False)
    expected = tf.image.resize(scores, camera_size)[0]
    np.testing.assert_allclose(run(report.path, image), expected, atol=1e-5)
    assert (report.size, report.camera_size) == (SIZE, camera_size)
    height, width = camera_size
    assert f"{height} x {width} (the net: 64 x 96)" in str(report)
    assert lint(report.path).clean()


def test_a_file_of_a_cameras_size_segments_any_image(person_net, crops, quick):
    report = quick(person_net, camera_size=(128, 192), labels=["person"])
    segmenter = ImageSegmenter(report.path)
    assert segmenter.input_size == (128, 192)
    small = crops[0][20]
    mask = segmenter.segment(small).category_mask
    expected = ImageSegmenter(person_net).segment(small).category_mask
    assert mask.shape == SIZE
    assert (mask == expected).mean() > 0.97
    assert read_metadata(report.path).labels == ("person",)


def test_the_size_of_the_net_as_the_cameras_adds_nothing(person_net, quick):
    plain = quick(person_net).ops
    assert quick(person_net, camera_size=SIZE).ops == plain


def test_low_masks_go_straight_to_the_cameras_size(person_net, crops, quick):
    report = quick(person_net, camera_size=(128, 192), output="category_mask_low")
    image = crops[0][20].repeat(2, 0).repeat(2, 1)  # whose blocks are one pixel each
    low = low_scores(person_net, crops[0][20])[..., 0] > 0
    np.testing.assert_array_equal(
        run(report.path, image), low.repeat(4, 0).repeat(4, 1)
    )
    assert "RESIZE_BILINEAR" not in report.ops  # neither in front nor behind


def test_full_int8_takes_floats_of_the_same_range(net, exported, crops, quick):
    report = quick(
        net,
        size=SIZE,
        precision="full_int8",
        input_dtype="float32",
        calibration=crops[0],
    )
    assert input_dtype(report.path) == np.float32
    assert report.outputs == exported("float32").outputs  # in whose place it can be put
    pixels = exported("full_int8")
    assert report.converter == pixels.converter
    image = crops[0][20]
    found, rounded = run(report.path, image), run(pixels.path, image)
    # To the nearest of 0, 1/256, ... 255/256.
    np.testing.assert_array_equal(np.minimum(np.round(256 * found), 255) / 256, rounded)


@pytest.mark.parametrize("first", ["good", "worse"])
def test_of_two_ways_the_one_nearer_to_keras_is_taken(
    net, build_net, exported, crops, quick, monkeypatch, first
):
    other = build_net(3, "softmax")
    other.set_weights([weight * 1.01 for weight in net.get_weights()])
    floats = convert(concrete_function(other, SIZE, "probabilities"))
    images = [image[None] for image in crops[0][:8]]
    files = {
        "good": exported("full_int8").path.read_bytes(),
        "worse": Quantization(floats, "full_int8", images).all_but(),
    }
    names = [first, *(name for name in files if name != first)]
    ways = [(name, lambda name=name: files[name]) for name in names]
    monkeypatch.setattr(candidates.Candidates, "_ways", lambda self: ways)
    report = quick(net, size=SIZE, precision="full_int8", calibration=crops[0])
    assert report.converter == "good"
    # Both are at parity, so that it is a choice.
    assert report.alternatives["worse"].startswith("mean IoU")
    assert "by the worse" in str(report)


def test_both_ways_to_int8_are_tried(exported):
    report = exported("full_int8")
    assert {report.converter, *report.alternatives} == {"quantizer", "converter"}
    assert next(iter(report.alternatives.values())).startswith("mean IoU")


def jaccard(truth, found):
    known = truth != 255
    return jaccard_score(truth[known], found[known], average=None)


@pytest.mark.parametrize("as_samples", [False, True], ids=["argument", "data set"])
def test_both_are_compared_with_the_truth(net, crops, quick, as_samples):
    images, masks = crops[0][:4], crops[1][:4].copy()
    masks[:, :8] = 255
    large = masks.repeat(3, 1).repeat(3, 2)  # masks need not have the net's size
    if as_samples:
        given = [
            types.SimpleNamespace(image=image, mask=mask)
            for image, mask in zip(images, large, strict=True)
        ]
        report = quick(net, size=SIZE, calibration=given, precision="float16")
    else:
        report = quick(
            net, size=SIZE, calibration=images, masks=list(large), precision="float16"
        )
    truth = report.parity.truth
    scores = np.asarray(net(images.astype("float32"), training=False))
    np.testing.assert_allclose(truth.model_iou, jaccard(masks, scores.argmax(-1)))
    found = np.stack([run(report.path, image) for image in images]).argmax(-1)
    np.testing.assert_allclose(truth.file_iou, jaccard(masks, found))
    assert truth.images == 4
    assert truth.model_mean_iou == pytest.approx(np.mean(truth.model_iou))
    assert "against 4 masks" in str(report)
    assert f"against the masks {truth.file_iou[2]:.4f}" in str(report)
    assert report.to_dict()["parity"]["truth"]["images"] == 4


def test_masks_of_a_data_set_of_other_classes_are_no_truth(person_net, crops, quick):
    class Other(list):
        num_classes = 58

    samples = Other(
        types.SimpleNamespace(image=image, mask=np.full(SIZE, 57))
        for image in crops[0][:4]
    )
    assert quick(person_net, calibration=samples).parity.truth is None


def outlier_net(crops):
    """A net whose layer `wide` has one channel 2000 times as large as the others.

    Per-tensor int8 leaves the others some steps of the 256; in float it is a detail.
    """
    keras.utils.set_random_seed(1)
    image = keras.Input((*SIZE, 3))
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="first")(x)
    x = layers.Conv2D(8, 1, activation="relu", name="wide")(x)
    model = keras.Model(
        image, layers.Conv2D(3, 1, activation="softmax", name="head")(x)
    )
    images, masks = crops
    model.compile(
        keras.optimizers.Adam(0.01),
        "sparse_categorical_crossentropy",
        jit_compile=False,
    )
    for _ in range(20):
        model.train_on_batch(images[:16].astype("float32"), masks[:16])
    wide, head = model.get_layer("wide"), model.get_layer("head")
    kernel, bias = wide.get_weights()
    wide.set_weights([np.append(kernel[..., :7], kernel[..., 7:] + 2000, -1), bias])
    kernel, bias = head.get_weights()
    kernel[:, :, 7] = 0
    head.set_weights([kernel, bias])
    return model


def test_the_layers_that_lose_most_are_found_and_left_in_float(crops, quick, capfd):
    model = outlier_net(crops)
    options = {"precision": "full_int8", "calibration": crops[0][:8]}
    whole = quick(model, **options)
    capfd.readouterr()
    losses = whole.sensitivity(verbose=False)
    assert capfd.readouterr() == ("", "")
    # The map between the two is what int8 cannot hold: it is rounded for either.
    worst, second, third = losses.layers[:3]
    assert {worst.layer, second.layer} == {"wide", "head"}
    assert second.loss > 10 * third.loss
    assert "first" in {row.layer for row in losses.layers}
    assert str(losses).splitlines()[1].startswith(worst.layer)
    assert losses.to_dict()["layers"][0]["loss"] == worst.loss

    kept = quick(model, **options, keep_float=[worst.layer, second.layer])
    assert kept.parity.mean_error < whole.parity.mean_error / 10
    assert (kept.converter, kept.alternatives) == ("quantizer", {})
    types_of = {
        layer.split(" + ")[0]: operation.inputs[0].dtype
        for operation, layer in read_operations(kept.path)
        if operation.name == "CONV_2D"
    }
    types_of = {layer: types_of[layer] for layer in ("first", "wide", "head")}
    assert types_of == {"first": "INT8", "wide": "FLOAT32", "head": "FLOAT32"}


@pytest.mark.parametrize("precision", ["float16", "weight_int8", "dynamic_int8"])
def test_every_precision_leaves_layers_in_float(net, quick, precision):
    whole = quick(net, size=SIZE, precision=precision)
    part = quick(net, size=SIZE, precision=precision, keep_float="conv2d*")
    assert part.size_bytes > 1.2 * whole.size_bytes
    assert part.parity.mean_error < whole.parity.mean_error


def test_a_first_layer_in_float_still_takes_pixels(net, exported, crops, quick):
    options = {"size": SIZE, "precision": "full_int8", "calibration": crops[0]}
    report = quick(net, **options, keep_float=["rescaling*"])
    assert input_dtype(report.path) == np.uint8
    image = crops[0][20]
    expected = run(exported().path, image)
    assert np.abs(run(report.path, image) - expected).mean() < 0.01
    report = quick(net, **options, keep_float=["rescaling*"], input_dtype="float32")
    assert input_dtype(report.path) == np.float32


def test_a_pattern_that_fits_no_layer_is_refused(net, quick, tmp_path):
    with pytest.raises(ValueError, match="`keep_float` must.*rescaling.*'decoder'"):
        quick(net, size=SIZE, precision="weight_int8", keep_float=["decoder"])
    assert not list(tmp_path.iterdir())


def test_what_is_not_rounded_has_no_sensitivity(exported):
    with pytest.raises(ValueError, match="a precision that rounds"):
        exported("float32").sensitivity()
