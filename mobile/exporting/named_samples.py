"""Real samples for models of several inputs: frames of a video, or values by name."""

import itertools
from numbers import Integral
from pathlib import Path

import numpy as np

from kseg.mobile.exporting.calibration import evenly, read_calibration
from kseg.mobile.exporting.clouds import read_clouds
from kseg.mobile.exporting.named_model import IMAGES, OF_FRAMES


def read_samples(source, model, limit: int) -> list[dict[str, np.ndarray]]:
    """Reads samples of all inputs but the state, which the run itself makes.

    Args:
        source: For a model of frames a video in order: a video file, a folder, a
            `kseg.data.video.Video`, a list or an array of frames; `None` takes the photos
            that ship with kseg for one. Its `"key_image"` is the frame before, its
            `"flow"` what `kseg.data.flow.optical_flow` finds. For a model of one cloud
            what `kseg.mobile.exporting.clouds.read_clouds` takes. For every model also a list
            of dicts by the names of its inputs, or a data set whose samples have
            attributes of these names; a class id stands for a one-hot vector.
        model: A `kseg.mobile.exporting.named_model.NamedModel`.
        limit: At most so many samples: the first of a video, else at even distances.

    Returns:
        Dicts of arrays with a batch of 1: uint8 for images, float32 for all else.

    Raises:
        TypeError: If `source` is nothing of this.
        ValueError: If there is no sample, or one does not fit.
    """
    wanted = [name for name in model.inputs if name not in model.state]
    if (
        set(OF_FRAMES).issuperset(wanted)
        and "image" in wanted
        and not _are_dicts(source)
    ):
        images = read_frames(source, model.size, model.shape("image")[-1], limit)
        return [
            _of_frame(wanted, image, before)
            for image, before in zip(images, [images[0], *images], strict=False)
        ]
    if wanted == [model.main] and len(model.size) == 1 and not _are_dicts(source):
        channels = model.shape(model.main)[-1]
        clouds = read_clouds(source, model.size, channels, limit)
        return [{model.main: cloud} for cloud in clouds]
    if not hasattr(source, "__len__") or not hasattr(source, "__getitem__"):
        raise TypeError(
            f"`calibration` must be a list of dicts with {_listed(wanted)}, or a data set "
            "whose samples have these attributes. "
            f"Received: calibration of type {type(source).__name__}"
        )
    if len(source) == 0:
        raise ValueError(
            f"`calibration` must hold at least one sample. Received: {source}"
        )
    chosen = evenly(len(source), limit)
    if model.state:
        chosen = range(len(chosen))  # a video, whose frames follow one another
    samples = [_of_item(source[index], model, wanted) for index in chosen]
    first = samples[0]
    for sample in samples:
        for name, value in sample.items():
            if value.shape != first[name].shape:
                raise ValueError(
                    f"`calibration` must hold values of one shape for {name!r}. "
                    f"Received: {first[name].shape} and {value.shape}"
                )
    return samples


def _are_dicts(source):
    if not hasattr(source, "__len__") or not hasattr(source, "__getitem__"):
        return False
    return len(source) > 0 and isinstance(source[0], dict)


def read_frames(source, size: tuple[int, int], channels: int, limit: int) -> list:
    """Reads the first frames of a video, as `read_samples` and `read_calibration` do."""
    if isinstance(source, str | Path):
        from kseg.data.video import Video

        if not Path(source).exists():
            raise FileNotFoundError(
                "`calibration` must be an existing video or folder of frames, or a list. "
                f"Received: calibration={str(source)!r}"
            )
        source = Video(source)
    if hasattr(source, "__getitem__"):
        source = source[:limit]
    elif hasattr(source, "__iter__"):
        source = list(itertools.islice(source, limit))
    return read_calibration(source, size, channels, limit)


def _of_frame(wanted, image, before):
    values = {"image": image, "key_image": before}
    if "flow" in wanted:
        from kseg.data.flow import optical_flow

        if image.shape[-1] != 3:
            raise ValueError(
                "`calibration` must be a list of dicts with 'flow', because that of "
                f"images that are not RGB is unknown. Received: {image.shape[-1]} channels"
            )
        values["flow"] = optical_flow(image[0], before[0])[None]
    return {name: values[name] for name in wanted}


def _of_item(item, model, wanted):
    if not isinstance(item, dict):
        item = {name: getattr(item, name) for name in wanted if hasattr(item, name)}
    if set(item) != set(wanted):
        raise ValueError(
            f"`calibration` must hold samples with {_listed(wanted)}. "
            f"Received: one with {_listed(item) or 'none of them'}"
        )
    return {name: _value(item[name], name, model) for name in wanted}


def _value(value, name, model):
    shape = model.shape(name)
    if name in IMAGES and len(shape) == 4:
        return read_calibration([value], shape[1:3], shape[3], 1)[0]
    if name == "points" and len(shape) == 3:
        return read_clouds([value], shape[1:2], shape[2], 1)[0]
    if isinstance(value, Integral) and len(shape) == 2 and 0 <= value < shape[1]:
        return np.eye(shape[1], dtype="float32")[[value]]
    array = np.asarray(value)
    fits = len(array.shape) == len(shape) - 1 and all(
        n in (None, m) for n, m in zip(shape[1:], array.shape, strict=False)
    )
    if not fits or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ValueError(
            f"`calibration` must hold finite numbers of shape {shape[1:]} for {name!r}. "
            f"Received: shape {array.shape}, {array.dtype}"
        )
    return array[None].astype("float32")


def _listed(names):
    return ", ".join(map(repr, names))
