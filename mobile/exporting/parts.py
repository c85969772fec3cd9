"""Video networks that a phone runs in parts: one .tflite for each part."""

import keras

from kseg.files import as_path
from kseg.mobile.exporting.exporter import export
from kseg.mobile.exporting.named_model import NamedModel
from kseg.mobile.exporting.named_samples import read_frames
from kseg.mobile.exporting.report import ExportReport
from kseg.models.video import parts

_FRAMES = 32  # for the feature maps of all of them are held


def export_parts(
    model,
    folder,
    *,
    size=None,
    precision: str = "float32",
    calibration=None,
    verbose: bool = True,
) -> dict[str, ExportReport]:
    """Writes a `.tflite` of each part of a video network, after comparing it.

    The parts, their inputs and their outputs have the names of
    `kseg.models.video.parts`: a part takes what parts before it gave, by name. So an app
    does as `kseg.models.video.Stream` does: it runs the heavy parts now and then, keeps
    what they gave, and runs the light ones on every frame.

    Args:
        model: Such as `kseg.models.video.clockwork_fcn` and
            `kseg.models.video.low_latency` build, trained.
        folder: Where the files go, `NAME.tflite` for each part; made if it is missing.
        size: `(height, width)` of the frames; `None` for the model's own.
        precision: As for `kseg.mobile.export`. `"full_int8"` takes images as uint8 and
            gives scores as uint8; what goes from part to part is float32.
        calibration: A video, as for `kseg.mobile.export`.
        verbose: Print the reports.

    Returns:
        Name of a part to the `ExportReport` of its file, in the order of the parts.

    Raises:
        ValueError: If the model has no parts, or `size` is missing.
        ExportError: As `kseg.mobile.export`; files of the parts before are written.

    Example:

    >>> net = kseg.models.video.clockwork_fcn(kseg.load("net.keras").model)
    >>> reports = kseg.mobile.export_parts(net, "parts", calibration="in.mp4")
    >>> list(reports)
    ['stage1', 'stage2', 'stage3', 'fusion']
    """
    found = parts(model) if isinstance(model, keras.Model) else {}
    if not found:
        raise ValueError(
            "`model` must have parts, as those of `kseg.models.video.clockwork_fcn` and "
            "`low_latency`; every other model is one file, kseg.mobile.export. "
            f"Received: model={getattr(model, 'name', model)!r}"
        )
    folder = as_path(folder, "folder")
    first, *_ = found.values()
    entry = NamedModel(first, size, "probabilities")
    frames = read_frames(calibration, entry.size, entry.shape("image")[-1], _FRAMES)
    samples = _samples(found, frames)
    folder.mkdir(parents=True, exist_ok=True)
    return {
        name: export(
            part,
            folder / f"{name}.tflite",
            size=entry.size if "image" in part.input else None,
            precision=precision,
            calibration=samples[name],
            verbose=verbose,
        )
        for name, part in found.items()
    }


def _samples(found, frames):
    """Returns, per part, what it is given on each frame; keys are the frame before."""
    samples, before = {name: [] for name in found}, {}
    for frame in frames:
        cache = {"image": frame}
        for name, part in found.items():
            for key in set(part.input) - set(cache):
                # On the first frame the key is the frame itself.
                made = key.removeprefix("key_")
                cache[key] = before.get(made, cache[made])
            inputs = {key: cache[key] for key in part.input}
            samples[name].append({key: value[0] for key, value in inputs.items()})
            made = part({k: x.astype("float32") for k, x in inputs.items()})
            cache |= {k: keras.ops.convert_to_numpy(x) for k, x in made.items()}
        before = cache
    return samples
