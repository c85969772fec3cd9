"""Exports a Keras model to a .tflite that has been compared with it."""

import time

import keras
import numpy as np

from kseg.files import checked_path, write_whole
from kseg.mobile import clouds, quantization
from kseg.mobile.calibration import read_calibration
from kseg.mobile.conversion import check_operations, concrete_function, convert
from kseg.mobile.graph import op_counts
from kseg.mobile.images import as_pair
from kseg.mobile.keras_model import image_shape, with_output
from kseg.mobile.litert_net import LiteRTNet, activate
from kseg.mobile.metadata import Metadata, channel_labels, write_metadata
from kseg.mobile.parity import MIN_AGREEMENT, ExportError, compare
from kseg.mobile.report import ExportReport
from kseg.mobile.runtime import native_log

PRECISIONS = tuple(MIN_AGREEMENT)
OUTPUTS = ("probabilities", "logits", "category_mask")
# Activation ranges settle within about a hundred images, parity within a dozen.
_CALIBRATION_IMAGES, _PARITY_IMAGES = 128, 16
_PIXELS_AT_ONCE = 1 << 19


def export(
    model,
    path,
    *,
    size=None,
    precision: str = "float32",
    calibration=None,
    output: str = "probabilities",
    labels=None,
    verbose: bool = True,
) -> ExportReport:
    """Writes a `.tflite` of a Keras model, after comparing the two on real images.

    The file takes one image of a fixed size, RGB 0-255 (float32; uint8 for
    `"full_int8"`), and carries MediaPipe Image Segmenter metadata; that of a model for
    point clouds takes one cloud of a fixed number of points. If its answers are too far
    from Keras', nothing is written and an older file at `path` stays.

    Args:
        model: Any Keras model of one input, images or clouds, and one output of scores,
            on the TensorFlow backend.
        path: Where to write, ending in `.tflite`.
        size: `(height, width)` or an int for a square. Required if the model takes
            any size, else the model's own. For clouds the number of points.
        precision: `"float32"`, `"float16"` (weights), `"weight_int8"`,
            `"dynamic_int8"` (slower on CPUs) or `"full_int8"` (for images only).
        calibration: Images for the comparison and for the activation ranges of
            `"full_int8"`, which needs at least 8: a folder, a list of paths or images,
            a uint8 array of shape `(images, height, width, 3)`, or a kseg data set.
            `None` compares on the photos that ship with kseg. For clouds it is needed:
            an array `(clouds, points, channels)`, a list of arrays, or a data set such as
            `kseg.data.points.Blocks`.
        output: `"probabilities"`, `"logits"`, or `"category_mask"` (int32 class ids).
        labels: Names of the classes, written into the file. For a one-class net the
            foreground's name, or those of background and foreground.
        verbose: Print the report.

    Returns:
        An `ExportReport`.

    Raises:
        ExportError: If the model cannot be converted.
        ParityError: If the file would differ too much from the model.
        OSError: If the file cannot be written.

    Example:

    >>> report = kseg.mobile.export(model, "net.tflite", size=256, precision="float16")
    >>> report.parity.max_error
    0.0004
    """
    started = time.perf_counter()
    path = checked_path(path)
    _check_choices(precision, output)
    is_cloud = clouds.takes_clouds(model)
    if is_cloud:
        clouds.check_options(precision, labels)
    size, channels = (clouds.static_points if is_cloud else _static_size)(model, size)
    full = precision == "full_int8"
    if full and calibration is None:
        _check_enough(0)
    limit = _CALIBRATION_IMAGES if full else _PARITY_IMAGES
    read = clouds.read_clouds if is_cloud else read_calibration
    images = read(calibration, size, channels, limit)
    if full:
        _check_enough(len(images))
    network = with_output(model, "logits" if output == "logits" else "probabilities")
    metadata = Metadata(
        labels=channel_labels(labels, network.output_shape[-1]),
        activation=_activation(network, output),
        name=model.name,
    )
    if is_cloud:  # MediaPipe has no task for them.
        metadata = None
    function = concrete_function(network, size, output)
    converter, content, parity = _verified(
        _converters(function, precision, images),
        lambda content: _measure(network, content, images, output),
        metadata,
        precision,
    )
    write_whole(path, content)
    report = ExportReport(
        path=path,
        precision=precision,
        output=output,
        size=size,
        num_classes=int(network.output_shape[-1]),
        size_bytes=len(content),
        ops=op_counts(content),
        converter=converter,
        parity=parity,
        seconds=time.perf_counter() - started,
    )
    if verbose:
        print(report)
    return report


def _converters(function, precision, images):
    """Returns `(name, function that returns a file's content)`, the first choice first."""
    if precision == "float32":
        return [("converter", lambda: convert(function))]
    if precision == "full_int8":
        floats = [image.astype("float32") for image in images]
        return [
            ("quantizer", lambda: quantization.full_int8(convert(function), images)),
            ("converter", lambda: convert(function, calibration=floats)),
        ]
    quantize = getattr(quantization, precision)
    choices = [("quantizer", lambda: quantize(convert(function)))]
    if precision == "float16":
        choices.append(("converter", lambda: convert(function, float16=True)))
    return choices


def _verified(converters, measure, metadata, precision):
    """Returns the name, content and parity of the first converter at parity."""
    failures = []
    for name, make in converters:
        try:
            content = make()
            if metadata is not None:
                content = write_metadata(content, metadata)
            check_operations(content)
            parity = measure(content)
            parity.check(precision)
            return name, content, parity
        except ExportError as error:
            failures.append(error)
    raise failures[0]


def _measure(network, content, images, output):
    net = clouds.CloudNet(content) if images[0].ndim == 3 else LiteRTNet(content)
    activation = _activation(network, output)
    images = images[:: -(-len(images) // _PARITY_IMAGES)]
    # Eager Keras costs as much per call as per pixel: as many as memory surely takes.
    together = max(1, _PIXELS_AT_ONCE // images[0][0, ..., 0].size)

    def pairs():
        for start in range(0, len(images), together):
            batch = images[start : start + together]
            floats = np.concatenate(batch).astype("float32")
            with native_log():  # eager Keras warns of the retracing of grouped layers
                scores = keras.ops.convert_to_numpy(network(floats, training=False))
            _check_values(scores, output)
            for image, reference in zip(batch, scores, strict=True):
                exported = net.run(image)[0]
                if not np.issubdtype(exported.dtype, np.integer):
                    exported = activate(exported, activation)
                yield activate(reference, activation), exported

    return compare(pairs())


def _activation(network, output):
    """Returns what makes the outputs probabilities, as metadata says it."""
    if output != "logits":
        return "none"
    return "sigmoid" if network.output_shape[-1] == 1 else "softmax"


def _check_values(scores, output):
    """Raises if Keras' own scores are not of the kind that the file promises."""
    sums = scores.sum(axis=-1) if scores.shape[-1] > 1 else np.ones(1)
    within = scores.min() >= -1e-3 and scores.max() <= 1 + 1e-3
    if within and np.abs(sums - 1).max() < 1e-2:
        return
    if output != "logits" and np.isfinite(scores).all():
        raise ValueError(
            f"`output={output!r}` needs a model that ends in probabilities, or in a "
            "layer without activation. Received: scores from "
            f"{scores.min():.3g} to {scores.max():.3g}"
        )


def _check_choices(precision, output):
    for name, value, allowed in (
        ("precision", precision, PRECISIONS),
        ("output", output, OUTPUTS),
    ):
        if value not in allowed:
            raise ValueError(
                f"`{name}` must be one of {allowed}. Received: {name}={value!r}"
            )
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            "Exporting needs Keras on TensorFlow: save the model as .keras, set the "
            "environment variable KERAS_BACKEND=tensorflow, load it and export it. "
            f"Received: backend {keras.backend.backend()!r}"
        )


def _check_enough(count):
    if count < quantization.MIN_IMAGES:
        raise ValueError(
            f"`calibration` must hold at least {quantization.MIN_IMAGES} images like "
            'those the net will see, because "full_int8" fixes the range of every '
            f"activation by them. Received: {count} images"
        )


def _static_size(model, size):
    height, width, channels = image_shape(model)
    if size is None:
        if height is None or width is None:
            raise ValueError(
                "`size` must be given, because the model takes any size and a phone's "
                f"file one: size=(height, width). Received: size=None, {model.name!r} "
                f"of input ({height}, {width}, {channels})"
            )
        return (height, width), channels
    size = as_pair(size)
    if (height or size[0], width or size[1]) != size:
        raise ValueError(
            f"`size` must be the model's own, ({height}, {width}), or left out. "
            f"Received: size={size}"
        )
    return size, channels
