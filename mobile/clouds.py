"""Clouds of points for an export: how many, which ones, and how a file runs on them."""

from numbers import Integral

import numpy as np

from kseg.mobile.runtime import open_interpreter


def takes_clouds(model) -> bool:
    """Tells whether a model's only input is clouds `(batch, points, channels)`."""
    inputs = getattr(model, "inputs", None) or []
    return len(inputs) == 1 and len(inputs[0].shape) == 3


def static_points(model, size) -> tuple[tuple[int], int]:
    """Returns `(number of points,)` of a file, and the channels of a point.

    Args:
        model: A model that takes clouds.
        size: Number of points, or `None` for the model's own.

    Raises:
        ValueError: If the number is not given, or another than the model's own; or if
            the model takes several clouds at once.
    """
    batch, points, channels = model.inputs[0].shape
    if batch not in (None, 1):
        raise ValueError(
            "`model` must take a batch of 1 or of any size, because a file takes one "
            f"cloud. Received: {model.name!r} of input {tuple(model.inputs[0].shape)}"
        )
    if size is None and points is None:
        raise ValueError(
            "`size` must be the number of points, because the model takes any and a "
            f"file one: size=2048. Received: size=None, {model.name!r} of input "
            f"({points}, {channels})"
        )
    if size is not None and (isinstance(size, bool) or not isinstance(size, Integral)):
        raise ValueError(
            f"`size` must be an integer, the number of points. Received: size={size!r}"
        )
    if size is not None and (size < 1 or points not in (None, size)):
        raise ValueError(
            f"`size` must be the model's own number of points, {points or 'at least 1'}, "
            f"or left out. Received: size={size}"
        )
    return (int(size or points),), channels


def check_options(precision, labels):
    """Raises an error for what an export of images takes, and of clouds does not."""
    if precision == "full_int8":
        raise ValueError(
            "`precision` must be another for clouds: 8 bits of a coordinate are 256 "
            'places, where points become one; "dynamic_int8" keeps them in float. '
            "Received: precision='full_int8'"
        )
    if labels:
        raise ValueError(
            "`labels` must be left out for clouds: their files have no metadata. "
            f"Received: labels={labels}"
        )


def read_clouds(
    source, size: tuple[int], channels: int, limit: int
) -> list[np.ndarray]:
    """Reads clouds at a net's number of points.

    Args:
        source: Array of shape `(clouds, points, channels)`, list of arrays of shape
            `(points, channels)`, or data set whose samples have an attribute `points`,
            such as `kseg.data.points.Blocks`. From a cloud of more points some are drawn,
            in one of fewer some are repeated, always the same ones.
        size: `(points,)` of the net's input.
        channels: Channels of the net's input.
        limit: Of more clouds than these, so many are taken at even distances.

    Returns:
        float32 arrays of shape `(1, *size, channels)`.

    Raises:
        TypeError: If `source` is no collection of clouds.
        ValueError: If there is no cloud, or one has other channels or is not finite.
    """
    # At the call: without kseg's data room the rest of this file still runs.
    from kseg.data.points.checking import check_cloud
    from kseg.data.points.loading import draw

    if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
        raise TypeError(
            "`calibration` must be clouds of points, because none ship with kseg: an "
            "array (clouds, points, channels), a list of arrays, or a data set. "
            f"Received: calibration of type {type(source).__name__}"
        )
    if len(source) == 0:
        raise ValueError(
            f"`calibration` must hold at least one cloud. Received: none in {source}"
        )
    if len(source) > limit:
        chosen = np.linspace(0, len(source) - 1, limit).round().astype(int).tolist()
    else:
        chosen = range(len(source))
    rng, clouds = np.random.default_rng(0), []
    for index in chosen:
        item = source[index]
        points = check_cloud("calibration", getattr(item, "points", item))
        if points.shape[1] != channels:
            raise ValueError(
                f"`calibration` must hold clouds of {channels} channels. "
                f"Received: cloud {index} of shape {points.shape}"
            )
        drawn = draw(len(points), *size, rng)
        clouds.append(points[drawn][None].astype("float32"))
    return clouds


class CloudNet:
    """Runs a `.tflite` whose input is a cloud.

    Args:
        content: The content of the file.
    """

    def __init__(self, content: bytes):
        self._interpreter = open_interpreter(content, num_threads=None, name="model")
        (self._input,) = self._interpreter.get_input_details()
        (self._output,) = self._interpreter.get_output_details()

    def run(self, cloud: np.ndarray) -> np.ndarray:
        """Returns what the file gives for a float32 cloud `(1, points, channels)`."""
        self._interpreter.set_tensor(self._input["index"], cloud.astype("float32"))
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output["index"])
