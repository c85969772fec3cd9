"""A `.tflite` of one frame and its state, as a function from frames to scores."""

import numpy as np

from kseg.mobile.tflite.litert_net import end_names, from_tensor, to_tensor
from kseg.mobile.tflite.runtime import open_interpreter


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
        num_classes: Channels of the scores.
        labels: Names of the classes: none, such a file does not have them.
        activation: What makes the scores probabilities.
    """

    labels = ()

    def __init__(
        self, content: bytes, name: str = "model", num_threads: int | None = None
    ):
        interpreter = open_interpreter(content, num_threads=num_threads, name=name)
        inputs, outputs = end_names(interpreter)
        frames = [key for key in inputs if key not in outputs]
        scores = [key for key in outputs if key not in inputs]
        if frames == [*inputs] or frames != ["image"] or len(scores) != 1:
            raise ValueError(
                "`model` must take frames called 'image' and state, and give scores and "
                f"the state. Received: {name} from {', '.join(inputs)} to "
                f"{', '.join(outputs)}"
            )
        self._run = interpreter.get_signature_runner()
        self._inputs = self._run.get_input_details()
        self._outputs = self._run.get_output_details()
        (self._scores,) = scores
        shape = tuple(map(int, self._inputs["image"]["shape"]))
        self.input_size, self.channels = shape[1:3], shape[3]
        self.num_classes = int(self._outputs[self._scores]["shape"][-1])
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
            for name, end in self._inputs.items()
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
        values = {"image": images, **self._state}
        found = self._run(
            **{key: to_tensor(x, self._inputs[key]) for key, x in values.items()}
        )
        found = {key: from_tensor(x, self._outputs[key]) for key, x in found.items()}
        self._state = {key: found[key] for key in self._state}
        return found[self._scores]
