"""Nets fine-tuned with rounding: what is learnt is what is in the file."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers

import kseg
from kseg.data.datasets.dataset import Sample
from kseg.mobile import ExportError, quantize_aware
from kseg.mobile.exporting.parity import compare
from kseg.mobile.tflite.graph import float_operations
from kseg.mobile.tflite.operations import read_operations

SIZE = (64, 96)


def ranges_of(twin):
    """Returns the learnt ranges, from the variables that Keras shows."""
    ends = {}
    for variable in twin.non_trainable_variables:
        name, _, end = variable.name.rpartition("_output_")
        if name:
            ends.setdefault(name, {})[end[:3]] = variable
    return ends


@pytest.fixture(scope="module")
def fresh(net, crops):
    """Returns the twin of the net, not trained."""
    return quantize_aware(net, size=SIZE, calibration=crops[0])


@pytest.fixture(scope="module")
def trained(net, crops):
    """Returns a twin that was fitted, its values and ranges of before, and the history.

    By kseg's loader, loss and metric, on photos that are brighter than those of the
    calibration.
    """
    twin = quantize_aware(net, size=SIZE, calibration=crops[0])
    kernels = [variable.numpy() for variable in twin.trainable_variables]
    tops = {name: ends["max"].numpy() for name, ends in ranges_of(twin).items()}
    bright = np.minimum(crops[0][:16].astype("int32") + 60, 255).astype("uint8")
    photos = [
        Sample(image, mask, "photo")
        for image, mask in zip(bright, crops[1][:16], strict=True)
    ]
    twin.compile(
        keras.optimizers.Adam(1e-3),
        kseg.losses.SparseCrossEntropy(),
        metrics=[kseg.metrics.MeanIoU(3)],
    )
    fit = twin.fit(kseg.data.loader(photos, 8, SIZE), epochs=4, verbose=0)
    return twin, kernels, tops, fit.history


@pytest.fixture(scope="module")
def tuned(trained):
    return trained[0]


@pytest.fixture(scope="module")
def file(tuned, crops, tmp_path_factory):
    path = tmp_path_factory.mktemp("quantized") / "net.tflite"
    report = kseg.mobile.export(
        tuned, path, precision="full_int8", calibration=crops[0], verbose=False
    )
    return report, Interpreter(model_path=str(path))


def test_the_twin_starts_near_the_net(fresh, net, crops):
    images = crops[0][16:].astype("float32")
    pairs = zip(np.asarray(net(images)), np.asarray(fresh(images)), strict=True)
    assert compare(pairs).agreement >= 0.97  # the gate of int8 files


def test_ranges_start_from_the_calibration_images(fresh, net, crops):
    # Of Keras: the outputs of the first two activations, in batches of 8.
    relus = [layer.output for layer in net.layers if isinstance(layer, layers.ReLU)]
    batches = crops[0].reshape(3, 8, *SIZE, 3).astype("float32")
    tops = [
        np.mean([np.max(keras.Model(net.input, x)(b)) for b in batches])
        for x in relus[:2]
    ]
    found = ranges_of(fresh)
    largest = [float(ends["max"].numpy()) for ends in found.values()]
    assert all(np.isclose(top, largest, rtol=1e-4).any() for top in tops)
    assert all(ends["min"].numpy() <= 0 for ends in found.values())


def test_the_net_that_is_given_stays_as_it_is(person_net, crops):
    images = crops[0][:1].astype("float32")
    first, weights = np.asarray(person_net(images)), person_net.get_weights()
    twin = quantize_aware(person_net, calibration=crops[0][:8])
    for variable in twin.trainable_variables:
        variable.assign(variable * 0.5)
    for old, new in zip(weights, person_net.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(person_net(images), first)


def test_training_learns_and_reports_kseg_metrics(trained):
    history = trained[-1]
    assert history["loss"][-1] < history["loss"][0]
    assert 0 < history["mean_iou"][0] < history["mean_iou"][-1] <= 1


def test_every_kernel_and_nearly_every_range_moves(trained):
    twin, kernels, tops, _ = trained
    for old, variable in zip(kernels, twin.trainable_variables, strict=True):
        assert np.abs(old - variable.numpy()).max() > 0, variable.path
    moved = [
        tops[name] != ends["max"].numpy() for name, ends in ranges_of(twin).items()
    ]
    assert np.mean(moved) > 0.8  # what clips at 6 may stay at 6


def test_the_file_has_pixels_in_and_computes_in_integers(file):
    report, interpreter = file
    (inputs,), (outputs,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    assert (inputs["dtype"], inputs["quantization"]) == (np.uint8, (1.0, 0))
    assert (outputs["dtype"], outputs["quantization"]) == (np.uint8, (1 / 256, 0))
    # But for what `integer_kernels.use_fast_kernels` puts in float: the softmax at the
    # end, in parts, and the activation behind the transposed convolution.
    floats = float_operations(report.path.read_bytes())
    assert floats == ["CONV_2D", "DIV", "EXP", "RELU"]
    types = [
        operation.inputs[0].dtype
        for operation, _ in read_operations(report.path)
        if operation.name == "CONV_2D"
    ]
    assert types.count("FLOAT32") == 1  # which sums the channels
    kinds = [
        details["dtype"]
        for details in interpreter.get_tensor_details()
        if len(details["shape"]) == 4
    ]
    # One of the image, two of the activation, five of the softmax.
    assert kinds.count(np.float32) == 8
    assert kinds.count(np.int8) > 15
    assert report.ops["DEPTHWISE_CONV_2D"] == 1
    assert "HARD_SWISH" not in report.ops
    assert report.parity.agreement >= 0.97
    assert list(interpreter.get_signature_list()) == ["serving_default"]
    metadata = kseg.mobile.read_metadata(report.path)
    assert metadata.activation == "none"


def test_the_scales_of_the_file_are_the_learnt_ranges(file, tuned):
    _, interpreter = file
    scales = [
        details["quantization_parameters"]["scales"]
        for details in interpreter.get_tensor_details()
    ]
    scales = np.array([scale[0] for scale in scales if len(scale) == 1])
    learnt = ranges_of(tuned)
    assert len(learnt) > 8
    for name, ends in learnt.items():
        scale = (ends["max"].numpy() - ends["min"].numpy()) / 255
        assert np.isclose(scales, scale, rtol=1e-5).any(), name


def test_kernels_have_a_scale_per_channel(file):
    _, interpreter = file
    scales = {
        len(details["quantization_parameters"]["scales"])
        for details in interpreter.get_tensor_details()
        if len(details["shape"]) == 4
    }
    assert {8, 16, 24} <= scales  # of `small_net`; the depthwise one has 24


def test_masks_and_logits_are_exported_too(tuned, tmp_path):
    for output, dtype in (("category_mask", np.int32), ("logits", np.uint8)):
        report = kseg.mobile.export(
            tuned,
            tmp_path / "net.tflite",
            precision="full_int8",
            output=output,
            verbose=False,
        )
        (outputs,) = Interpreter(model_path=str(report.path)).get_output_details()
        assert outputs["dtype"] == dtype
        assert report.parity.agreement >= 0.97


def test_one_class_and_float_input(person_net, crops, tmp_path):
    twin = quantize_aware(person_net, calibration=crops[0])
    assert twin.output_shape == (None, *SIZE, 1)
    report = kseg.mobile.export(
        twin,
        tmp_path / "net.tflite",
        precision="full_int8",
        input_dtype="float32",
        labels=("background", "person"),
        verbose=False,
    )
    (inputs,) = Interpreter(model_path=str(report.path)).get_input_details()
    assert inputs["dtype"] == np.float32
    assert report.ops["LOGISTIC"] == 1


def test_weights_are_saved_and_loaded(fresh, tuned, crops, tmp_path):
    images = crops[0][:2].astype("float32")
    first, expected = np.asarray(fresh(images)), np.asarray(tuned(images))
    fresh.save_weights(tmp_path / "fresh.weights.h5")
    tuned.save_weights(tmp_path / "tuned.weights.h5")
    assert np.abs(first - expected).max() > 1e-3
    fresh.load_weights(tmp_path / "tuned.weights.h5")
    np.testing.assert_array_equal(fresh(images), expected)
    fresh.load_weights(tmp_path / "fresh.weights.h5")
    np.testing.assert_array_equal(fresh(images), first)


def test_the_twin_is_no_keras_file(tuned, tmp_path):
    with pytest.raises(NotImplementedError, match="save_weights"):
        tuned.save(tmp_path / "net.keras")


@pytest.mark.parametrize(
    "choice",
    [{"precision": "float16"}, {"precision": "full_int8", "keep_float": ["a"]}],
    ids=["float16", "keep_float"],
)
def test_a_fine_tuned_net_is_exported_for_what_it_was_tuned(tuned, tmp_path, choice):
    with pytest.raises(ValueError, match="Received: precision="):
        kseg.mobile.export(tuned, tmp_path / "net.tflite", **choice)
    assert not list(tmp_path.iterdir())


def test_an_operation_without_8_bit_kernel_is_no_silent_float(crops, tmp_path):
    image = keras.Input((*SIZE, 3))
    x = layers.Conv2D(3, 1)(layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, layers.Softmax()(keras.ops.sin(x)))
    twin = quantize_aware(model, calibration=crops[0])
    with pytest.raises(ExportError, match="SIN"):
        kseg.mobile.export(
            twin, tmp_path / "net.tflite", precision="full_int8", verbose=False
        )
    assert not list(tmp_path.iterdir())
