"""A `.tflite` file as a function from images to scores or class ids."""

import numpy as np

from kseg.mobile.tflite.runtime import open_interpreter


class StateError(ValueError):
    """Raised for a file that hands a state on from frame to frame."""


class LiteRTNet:
    """Runs a segmentation `.tflite` of whatever input and output types.

    Args:
        content: The content of the file.
        name: What to call it in errors, usually its path.
        num_threads: CPU threads. `None` takes the machine's, at most 4.

    Attributes:
        input_size: `(height, width)` of the input.
        channels: Channels of the input.
        num_classes: Channels of the output. For a file that gives class ids, the
            number of its labels, or `None`.
        labels: Names of the output's channels, from the metadata.
        activation: What makes the outputs probabilities, from the metadata: `"none"`,
            `"sigmoid"` or `"softmax"`.
    """

    def __init__(
        self, content: bytes, name: str = "model", num_threads: int | None = None
    ):
        self._interpreter = open_interpreter(
            content, num_threads=num_threads, name=name
        )
        # Only now: without LiteRT the line above has the error that helps.
        from kseg.mobile.tflite.metadata import Metadata, read_metadata

        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        shapes = [tuple(map(int, end["shape"])) for end in (*inputs, *outputs)]
        if not segments_images(self._interpreter):
            if takes_state(self._interpreter):
                raise StateError(
                    "`model` must be a file of single images; `kseg.mobile."
                    f"VideoSegmenter` runs one with state. Received: {shapes} in {name}"
                )
            raise ValueError(
                "`model` must have one input of shape (1, height, width, channels) and "
                f"one output of scores or class ids. Received: {shapes} in {name}"
            )
        (self._input,), (self._output,) = inputs, outputs
        self.input_size, self.channels = shapes[0][1:3], shapes[0][3]
        metadata = read_metadata(content) or Metadata()
        self.labels, self.activation = metadata.labels, metadata.activation
        self._mean = np.asarray(metadata.mean, "float32")
        self._std = np.asarray(metadata.std, "float32")
        self.num_classes = shapes[1][-1]
        if self._output["dtype"] in (np.int32, np.int64):
            self.num_classes = len(self.labels) or None

    def size_for(self, size: tuple[int, int]) -> tuple[int, int]:
        """Returns the input's `(height, width)`, whatever the `size` of the image."""
        return self.input_size

    def run(self, images: np.ndarray) -> np.ndarray:
        """Runs the net on one image.

        Args:
            images: uint8 or float array of shape `(1, *input_size, channels)`, 0-255.

        Returns:
            float32 scores of shape `(1, height, width, num_classes)`, or integer class
            ids as the file gives them.
        """
        self._interpreter.set_tensor(self._input["index"], self._as_input(images))
        self._interpreter.invoke()
        values = self._interpreter.get_tensor(self._output["index"])
        return from_tensor(values, self._output)

    def _as_input(self, images):
        if images.dtype == self._input["dtype"] == np.uint8:  # as MediaPipe passes them
            return images
        return to_tensor(
            (images.astype("float32") - self._mean) / self._std, self._input
        )


def segments_images(interpreter) -> bool:
    """Whether a file takes one batch of images, and gives scores or class ids.

    Args:
        interpreter: Of the file.
    """
    ends = (*interpreter.get_input_details(), *interpreter.get_output_details())
    return [len(end["shape"]) for end in ends] in ([4, 4], [4, 3])


def takes_state(interpreter) -> bool:
    """Whether a file hands a state on: what an input and an output are both called.

    Args:
        interpreter: Of the file.
    """
    signatures = list(interpreter.get_signature_list().values())
    if len(signatures) != 1:
        return False
    return not set(signatures[0]["inputs"]).isdisjoint(signatures[0]["outputs"])


def to_tensor(values: np.ndarray, details: dict) -> np.ndarray:
    """Returns numbers as an input of a file takes them: its type, its quantization.

    Args:
        values: Array of numbers.
        details: What LiteRT says of the input.
    """
    dtype = details["dtype"]
    scale, zero_point = details["quantization"]
    if not scale:
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    steps = np.round(values / scale) + zero_point
    return np.clip(steps, limits.min, limits.max).astype(dtype)


def from_tensor(values: np.ndarray, details: dict) -> np.ndarray:
    """Returns the numbers of an output of a file: float32, or class ids as they are."""
    scale, zero_point = details["quantization"]
    if values.dtype in (np.int32, np.int64):
        return values
    if scale:
        return (values.astype("float32") - zero_point) * np.float32(scale)
    return values.astype("float32", copy=False)


def activate(scores: np.ndarray, activation: str) -> np.ndarray:
    """Returns probabilities from scores `(..., num_classes)`, in float32.

    Args:
        scores: float32 array.
        activation: `"none"`, `"sigmoid"` or `"softmax"`.
    """
    if activation == "sigmoid":
        return 0.5 * (1 + np.tanh(0.5 * scores))  # exp(-scores) would overflow
    if activation == "softmax":
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)
    return scores
