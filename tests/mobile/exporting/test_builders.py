"""Every builder of kseg.models as a file: clean operations, and Keras' answers."""

import inspect

import keras
import numpy as np
import pytest

import kseg
from kseg.mobile import export, lint

ROUNDING = 1e-5  # of float32 in a different order, through up to 150 trained layers
SIZE = (64, 96)
# Narrow nets: the operations are those of the full size. Every builder has a row, and
# among the rows every kind of backbone whose operations differ.
CASES = {
    "unet": ("unet", {"width_multiplier": 0.125, "batch_norm": True}),
    "unet, mobilenet_v2": (
        "unet",
        {"backbone": "mobilenet_v2", "width_multiplier": 0.35, "filters": (16,) * 5},
    ),
    "fcn_32s": (
        "fcn_32s",
        {"width_multiplier": 1 / 16, "score_initializer": "he_normal"},
    ),
    "fcn_16s, same padding": (
        "fcn_16s",
        {
            "width_multiplier": 1 / 16,
            "padding": "same",
            "score_initializer": "he_normal",
        },
    ),
    "fcn_8s, learned upsampling": (
        "fcn_8s",
        {
            "width_multiplier": 1 / 16,
            "learn_upsampling": True,
            "score_initializer": "he_normal",
        },
    ),
    "deeplab_v1": ("deeplab_v1", {"width_multiplier": 1 / 16}),
    "gcn, resnet50": (
        "gcn",
        {"backbone": "resnet50", "width_multiplier": 0.125, "kernel_size": 7},
    ),
    "deeplab_v2, vgg16": (
        "deeplab_v2",
        {"width_multiplier": 0.0625, "scales": (0.75, 1.0)},
    ),
    "deeplab_v3, mobilenet_v2": (
        "deeplab_v3",
        {"backbone": "mobilenet_v2", "width_multiplier": 0.35, "multi_grid": None},
    ),
    "deeplab_v3_plus, mobilenet_v3_small": (
        "deeplab_v3_plus",
        {"backbone": "mobilenet_v3_small", "width_multiplier": 0.5},
    ),
    "ksac, mobilenet_v3_small": (
        "ksac",
        {"backbone": "mobilenet_v3_small", "width_multiplier": 0.5},
    ),
    "pspnet, mobilenet_v2": (
        "pspnet",
        {"backbone": "mobilenet_v2", "width_multiplier": 0.1, "output_stride": 16},
    ),
    "fpn": ("fpn", {"width_multiplier": 0.5}),
    "lraspp": (
        "lraspp",
        {"backbone": "mobilenet_v3_small", "width_multiplier": 0.5, "output_stride": 8},
    ),
}
# Smaller steps where scores grow large, in which float32 rounds more: GCN's are the sums
# of nine maps that nothing normalises.
RATES = {"deeplab_v3_plus": 0.02, "gcn": 0.001}
# More steps where BatchNorms over 52 random layers still multiply every rounding: by 80
# after 20 steps at a width of 0.1 (float16: an error of 0.019), by 30 after 40 at 0.35.
# Cf. Yang et al., A Mean Field Theory of Batch Normalization (ICLR 2019).
STEPS = {"deeplab_v3": 40}
# What a static graph never needs, and what GPU delegates refuse.
UNCLEAN = {
    "BATCH_TO_SPACE_ND",
    "BROADCAST_TO",
    "FLOOR_MOD",
    "PACK",
    "SHAPE",
    "SPACE_TO_BATCH_ND",
    "STRIDED_SLICE",
}


def builders():
    """Returns the names of the functions that build a net for images."""
    return {
        name
        for name in kseg.models.__all__
        if inspect.isfunction(function := getattr(kseg.models, name))
        and list(inspect.signature(function).parameters)[:2]
        == ["input_shape", "num_classes"]
    }


def test_no_builder_is_forgotten():
    assert {name for name, _ in CASES.values()} == builders()


@pytest.fixture(scope="module", params=CASES)
def trained(request, streets):
    name, kwargs = CASES[request.param]
    keras.utils.set_random_seed(0)
    model = getattr(kseg.models, name)((None, None, 3), 3, **kwargs)
    images, masks = streets
    # XLA, and tracing Adam for every variable, would take longer than the steps.
    optimizer = keras.optimizers.SGD(RATES.get(name, 0.05), momentum=0.9)
    model.compile(optimizer, kseg.losses.SparseCrossEntropy(), jit_compile=False)
    for step in range(STEPS.get(name, 20)):
        batch = slice(step % 2, 16, 2)
        model.train_on_batch(images[batch].astype("float32"), masks[batch])
    kseg.training.recalibrate_batch_norm(model, [images[:16].astype("float32")])
    return model


@pytest.mark.parametrize(
    "precision",
    ["float32", pytest.param("float16", marks=pytest.mark.slow), "full_int8"],
)
def test_the_file_is_clean_and_answers_as_keras_does(
    trained, precision, streets, tmp_path
):
    path = tmp_path / "net.tflite"
    report = export(  # raises beyond the limits of the precision
        trained,
        path,
        size=SIZE,
        precision=precision,
        calibration=streets[0],
        verbose=False,
    )
    assert not UNCLEAN & set(report.ops)
    assert lint(path).clean()
    assert report.parity.decided > 0.3
    assert np.count_nonzero(~np.isnan(report.parity.iou)) > 1
    if precision == "float32":
        assert report.parity.max_error < ROUNDING


@pytest.mark.parametrize(
    "precision",
    [
        "float32",
        *(pytest.param(p, marks=pytest.mark.slow) for p in ("float16", "full_int8")),
    ],
)
@pytest.mark.parametrize("output", ["logits", "category_mask"])
def test_gpus_take_all_outputs_but_the_delegate_class_ids(
    trained, precision, output, streets, tmp_path
):
    path = tmp_path / "net.tflite"
    export(
        trained,
        path,
        size=SIZE,
        precision=precision,
        output=output,
        calibration=streets[0][:8],
        verbose=False,
    )
    report = lint(path)
    assert report.clean("litert")
    refused = {op.name for op in report.operations if "delegate" in op.refusals}
    assert refused == ({"ARG_MAX"} if output == "category_mask" else set())


def test_sizes_that_are_no_multiple_of_the_stride_add_one_resize(trained, tmp_path):
    report = export(trained, tmp_path / "net.tflite", size=(65, 97), verbose=False)
    assert not UNCLEAN & set(report.ops)
    assert report.parity.max_error < ROUNDING
