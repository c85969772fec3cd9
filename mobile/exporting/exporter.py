"""Exports a Keras model to a .tflite that has been compared with it."""

import time

from kseg.files import checked_path, write_whole
from kseg.mobile.compressing.twin import has_learned_ranges
from kseg.mobile.exporting.candidates import Candidates
from kseg.mobile.exporting.image_jobs import image_job
from kseg.mobile.exporting.jobs import PARITY_IMAGES, named_job
from kseg.mobile.exporting.keras_model import check_backend
from kseg.mobile.exporting.named_model import takes_names
from kseg.mobile.exporting.parity import MIN_AGREEMENT
from kseg.mobile.exporting.quantization import MIN_IMAGES
from kseg.mobile.exporting.report import ExportReport
from kseg.mobile.images import as_pair
from kseg.mobile.tflite.graph import op_counts, signature

PRECISIONS = tuple(MIN_AGREEMENT)
OUTPUTS = ("probabilities", "logits", "category_mask", "category_mask_low")
_INPUT_DTYPES = ("uint8", "float32")
_CALIBRATION_IMAGES = 128  # activation ranges settle within about a hundred


def export(
    model,
    path,
    *,
    size=None,
    precision: str = "float32",
    calibration=None,
    masks=None,
    output: str = "probabilities",
    camera_size=None,
    input_dtype: str | None = None,
    keep_float=(),
    labels=None,
    verbose: bool = True,
) -> ExportReport:
    """Writes a `.tflite` of a Keras model, after comparing the two on real images.

    The file takes one image of a fixed size, RGB 0-255 (float32; uint8 for
    `"full_int8"`), and carries MediaPipe Image Segmenter metadata; that of a model for
    point clouds takes one cloud of a fixed number of points, float32. If its answers are
    too far from Keras', nothing is written and an older file at `path` stays.

    In a file of several inputs and outputs each has, in the signature, the name that it
    has in Keras; the report lists them, and which of them are state. `"full_int8"` takes
    images and gives scores as uint8, if not asked otherwise, all else as float32. A video
    network in parts is several files: `kseg.mobile.export_parts`.

    Args:
        model: Any Keras model of images or clouds and one output of scores, on the
            TensorFlow backend; or one of several inputs or outputs, by their names: a
            step of `kseg.models.video`, whose state goes in and out.
        path: Where to write, ending in `.tflite`.
        size: `(height, width)` or an int for a square. Required if the model takes
            any size, else the model's own. For clouds the number of points.
        precision: `"float32"`, `"float16"` (weights), `"weight_int8"`,
            `"dynamic_int8"` (slower on CPUs) or `"full_int8"`, the faster, in which only
            what CPUs have no fast int8 kernel for, such as a softmax, is a float.
        calibration: Images for the comparison and for the activation ranges of
            `"full_int8"`, which needs at least 8, but none for a model that has learnt
            them by `kseg.mobile.quantize_aware`: a folder, a list of paths or images,
            a uint8 array of shape `(images, height, width, 3)`, or a kseg data set.
            `None` compares on the photos that ship with kseg. For clouds it is needed:
            an array `(clouds, points, channels)`, a list of arrays, or a data set such as
            `kseg.data.points.Blocks`. For steps of a video its frames in order, as many
            as a state needs to reach its range: a video file, a folder, a list. For all
            other inputs dicts of arrays, one per sample, by the names of the inputs.
        masks: The true masks of `calibration`, one integer array of class ids per image
            (255 is ignored), so that the report also tells how near model and file are
            to the truth. `None` takes those of a data set of as many classes.
        output: `"probabilities"`, `"logits"`, `"category_mask"` (int32 class ids), or
            `"category_mask_low"`: the class is chosen before the upsampling that the
            model ends in, which costs a fraction, and ids are repeated to full size.
        camera_size: `(height, width)` of the images that the file takes and gives,
            resized to the net's `size` and back inside of it. `None` takes `size`.
        input_dtype: Of `"full_int8"`: `"uint8"`, the default, or `"float32"`, and the
            scores are of the same: such a file takes the place of a `"float32"` one. The
            image is 0-255 either way.
        keep_float: Names of layers, or patterns such as `"head*"`, that the integer
            precisions leave in float; `report.sensitivity()` says which are worth it.
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
    keep_float = [keep_float] if isinstance(keep_float, str) else list(keep_float)
    _check_choices(precision, output, input_dtype, keep_float)
    if isinstance(labels, str):
        raise TypeError(
            "`labels` must be a list of names, one per class. "
            f"Received: labels={labels!r}"
        )
    learned = has_learned_ranges(model)
    if learned and (precision != "full_int8" or keep_float):
        raise ValueError(
            '`precision` must be "full_int8", without `keep_float`, for a model that was '
            "fine-tuned for it. Received: "
            f"precision={precision!r}, keep_float={keep_float}"
        )
    full = precision == "full_int8" and not learned
    if full and calibration is None:
        _check_enough(0)
    limit = _CALIBRATION_IMAGES if full else PARITY_IMAGES
    if takes_names(model):
        _check_image_options(
            output, masks=masks, camera_size=camera_size, labels=labels
        )
        job = named_job(model, size, output, calibration, limit)
    else:
        job = image_job(
            model, size, camera_size, output, calibration, masks, limit, labels
        )
    if full:
        _check_enough(len(job.samples))
    candidates = Candidates(job, precision, keep_float, input_dtype or "uint8")
    best = candidates.best()
    write_whole(path, best.content)
    inputs, outputs = signature(best.content)
    report = ExportReport(
        path=path,
        precision=precision,
        output=output,
        size=job.size,
        camera_size=None if camera_size is None else as_pair(camera_size),
        num_classes=job.num_classes,
        labels=job.labels,
        inputs=inputs,
        outputs=outputs,
        state=tuple(name for name in inputs if name in outputs),
        size_bytes=len(best.content),
        ops=op_counts(best.content),
        converter=best.converter,
        alternatives=best.alternatives,
        parity=best.parity,
        seconds=time.perf_counter() - started,
        _sensitivity=candidates.sensitivity,
    )
    if verbose:
        print(report)
    return report


def _check_choices(precision, output, input_dtype, keep_float):
    for name, value, allowed in (
        ("precision", precision, PRECISIONS),
        ("output", output, OUTPUTS),
        ("input_dtype", input_dtype, (None, *_INPUT_DTYPES)),
    ):
        if value not in allowed:
            raise ValueError(
                f"`{name}` must be one of {allowed}. Received: {name}={value!r}"
            )
    if input_dtype == "uint8" and precision != "full_int8":
        raise ValueError(
            '`input_dtype` must be left out but for "full_int8": a file that computes in '
            f"float takes float32. Received: input_dtype='uint8', precision={precision!r}"
        )
    if keep_float and precision == "float32":
        raise ValueError(
            "`keep_float` must be left out where nothing is quantized. "
            f"Received: keep_float={keep_float}, precision='float32'"
        )
    check_backend()


def _check_enough(count):
    if count < MIN_IMAGES:
        raise ValueError(
            f"`calibration` must hold at least {MIN_IMAGES} images like "
            'those the net will see, because "full_int8" fixes the range of every '
            f"activation by them. Received: {count} images"
        )


def _check_image_options(output, **options):
    """Raises an error for what only a model of one image takes."""
    if output == "category_mask_low":
        raise ValueError(
            "`output` must be another for clouds and for models of several inputs. "
            "Received: output='category_mask_low'"
        )
    for name, value in options.items():
        if value is not None:
            raise ValueError(
                f"`{name}` must be left out for clouds and for models of several inputs. "
                f"Received: {name}={value!r}"
            )
