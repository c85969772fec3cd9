"""A `.tflite` of one frame and its state, as a function from frames to scores."""

import numpy as np

from kseg.mobile.tflite.named_net import NamedNet


class StreamingNet:
    """Runs a file whose state goes from frame to frame; else as `LiteRTNet`.

    State is what an input and an output are both called, and zeros at first.

    Args:
        content: The content of the file.
        name: What to call it in errors, usually its path.
        num_threads: CPU threads. `None` takes the machine's, at most 4.

    Attributes:
        input_size: `(height, width)` of the frames.
        channels: Channels of the frames.
        num_classes: Channels of the scores; `None` for a file that gives class ids.
        labels: Names of the classes: none, such a file does not have them.
        activation: What makes the scores probabilities.
    """

    labels = ()

    def __init__(
        self, content: bytes, name: str = "model", num_threads: int | None = None
    ):
        self._net = NamedNet(content, name, num_threads)
        inputs, outputs = self._net.inputs, self._net.outputs
        frames = [key for key in inputs if key not in outputs]
        scores = [key for key in outputs if key not in inputs]
        has_state = len(inputs) > len(frames)
        if not has_state or frames != ["image"] or len(scores) != 1:
            raise ValueError(
                "`model` must take frames called 'image' and state, and give scores and "
                f"the state. Received: {name} from {', '.join(inputs)} to "
                f"{', '.join(outputs)}"
            )
        (self._scores,) = scores
        _, height, width, self.channels = map(int, inputs["image"]["shape"])
        self.input_size = height, width
        self.num_classes = None
        if outputs[self._scores]["dtype"] not in (np.int32, np.int64):
            self.num_classes = int(outputs[self._scores]["shape"][-1])
        self.activation = "none"
        if self._scores == "logits":
            self.activation = "sigmoid" if self.num_classes == 1 else "softmax"
        self.reset()

    def size_for(self, size: tuple[int, int]) -> tuple[int, int]:
        """Returns the input's `(height, width)`, whatever the `size` of the frame."""
        return self.input_size

    def reset(self):
        """Forgets the frames before."""
        self._state = {
            name: np.zeros(end["shape"], "float32")
            for name, end in self._net.inputs.items()
            if name != "image"
        }

    def run(self, images: np.ndarray) -> np.ndarray:
        """Runs the net on the next frame.

        Args:
            images: uint8 or float array of shape `(1, *input_size, channels)`, 0-255.

        Returns:
            float32 scores of shape `(1, height, width, num_classes)`, or integer class
            ids as the file gives them.
        """
        found = self._net({"image": images, **self._state})
        self._state = {name: found[name] for name in self._state}
        return found[self._scores]
