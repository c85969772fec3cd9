"""A `.tflite` on LiteRT's GPU accelerator alone, and what LiteRT's log says of it."""

import re

import numpy as np


class GpuNet:
    """Runs a `.tflite` on the GPU; which one the driver of the environment decides.

    Args:
        content: The content of the file.

    Attributes:
        inputs: What LiteRT says of the inputs: name, shape, dtype.
        outputs: The same of the outputs.

    Raises:
        RuntimeError: If there is no driver, or the GPU refuses the graph.
    """

    def __init__(self, content: bytes):
        from ai_edge_litert.compiled_model import CompiledModel, Options
        from ai_edge_litert.hardware_accelerator import HardwareAccelerator

        # With the CPU as a second choice it may take all of it, unsaid.
        options = Options(HardwareAccelerator.GPU)
        model = CompiledModel.from_buffer(content, options=options)
        signature = next(iter(model.get_signature_list()))
        self.inputs = list(model.get_input_tensor_details(signature).values())
        self.outputs = list(model.get_output_tensor_details(signature).values())
        self._given = model.create_input_buffers(0)
        self._found = model.create_output_buffers(0)
        self._model = model

    @property
    def whole(self) -> bool:
        """Whether the GPU runs the whole graph."""
        return self._model.is_fully_accelerated()

    def write(self, values: dict[str, np.ndarray]) -> None:
        """Sets the inputs, by the names of their tensors."""
        for buffer, details in zip(self._given, self.inputs, strict=True):
            buffer.write(values[details["name"]])

    def run(self) -> dict[str, np.ndarray]:
        """Runs the net and waits; returns the outputs by the names of their tensors."""
        self._model.run_by_index(0, self._given, self._found)
        return {
            # What comes back before it is read is only a promise.
            details["name"]: buffer.read(
                int(np.prod(details["shape"])), np.dtype(details["dtype"])
            ).reshape(details["shape"])
            for buffer, details in zip(self._found, self.outputs, strict=True)
        }


def read_log(log: str) -> dict:
    """Returns what LiteRT's log says of the GPU, and of what it does not take.

    Args:
        log: All that LiteRT wrote since the net was opened.

    Returns:
        `driver` (whether there is one), `adapter` (the GPU's name), `software` (whether
        the CPU computes for it) and `refused` (lines such as `"SPLIT: …"`).
    """
    adapter = re.search(r"Selected adapter: ([^,\n]+).*adapterType=(.*)", log)
    refused = re.search(r"not supported by GPU delegate:\n((?:[A-Z].*\n)*)", log)
    return {
        "driver": "No adapters found" not in log,
        "adapter": adapter[1] if adapter else "",
        "software": bool(adapter and "CPU" in adapter[2]),
        "refused": refused[1].splitlines() if refused else [],
    }
