"""A `.tflite` as a function of arrays by the names of its signature."""

from kseg.mobile.tflite.litert_net import from_tensor, to_tensor
from kseg.mobile.tflite.runtime import open_interpreter


class NamedNet:
    """Runs a `.tflite` by the names of its inputs and outputs.

    Args:
        content: The content of a file with one signature.
        name: What to call it in errors, usually its path.
        num_threads: CPU threads. `None` takes the machine's, at most 4.

    Attributes:
        inputs: Name to what LiteRT says of the input.
        outputs: Name to what LiteRT says of the output.

    Raises:
        ValueError: If the file has no signature, or several.
    """

    def __init__(
        self, content: bytes, name: str = "model", num_threads: int | None = None
    ):
        interpreter = open_interpreter(content, num_threads=num_threads, name=name)
        signatures = interpreter.get_signature_list()
        if len(signatures) != 1:
            raise ValueError(
                "`model` must have one signature, which names its inputs and outputs. "
                f"Received: {len(signatures)} in {name}"
            )
        self._run = interpreter.get_signature_runner()
        self.inputs = self._run.get_input_details()
        self.outputs = self._run.get_output_details()

    def __call__(self, values: dict) -> dict:
        """Returns what the file gives: float32 scores and state, integer class ids."""
        found = self._run(
            **{name: to_tensor(x, self.inputs[name]) for name, x in values.items()}
        )
        return {name: from_tensor(x, self.outputs[name]) for name, x in found.items()}
