"""Runs one .tflite on the GPU alone and on the CPU, in a process of its own."""

import sys
from pathlib import Path

import numpy as np

from kseg.mobile.images import read_image, resize_image
from kseg.mobile.tflite.gpu_net import GpuNet, read_log
from kseg.mobile.tflite.litert_net import from_tensor, to_tensor
from kseg.mobile.tflite.metadata import Metadata, read_metadata
from kseg.mobile.tflite.runtime import native_log, open_interpreter
from kseg.mobile.tflite.workers import answer

_SCORES = ("probabilities", "logits", "category_mask")


def compare(path: str, photo: str) -> dict:
    """Runs a file on both, and says what was found.

    Args:
        path: The `.tflite`.
        photo: An image for the inputs that take one.

    Returns:
        What `read_log` does, `whole`, and the `outputs` where the GPU ran it, or else a
        `reason`.
    """
    content = Path(path).read_bytes()
    interpreter = open_interpreter(content, name=path)
    metadata = read_metadata(content) or Metadata()
    inputs = _inputs(interpreter, read_image(photo), metadata)
    with native_log() as log:
        found, outputs = _run(content, inputs)
        found |= read_log(log())
    if outputs is not None:
        for details in interpreter.get_input_details():
            interpreter.set_tensor(details["index"], inputs[details["name"]])
        interpreter.invoke()
        found["outputs"] = [
            _compared(interpreter, details, outputs[details["name"]], metadata)
            for details in interpreter.get_output_details()
        ]
    return found


def _run(content, inputs):
    """Returns whether the GPU takes all, and its outputs by the tensors' names."""
    try:
        net = GpuNet(content)
    except RuntimeError as error:
        return {"whole": False, "reason": str(error).splitlines()[-1]}, None
    net.write(inputs)
    return {"whole": net.whole}, net.run()


def _inputs(interpreter, photo, metadata):
    """Returns the inputs by the tensors' names: the photo, or else noise."""
    inputs, random = {}, np.random.default_rng(0)
    for details in interpreter.get_input_details():
        shape = details["shape"]
        if len(shape) > 3 and shape[-1] in (1, 3):
            image = resize_image(photo, tuple(map(int, shape[-3:-1])), shape[-1])
            values = (image - np.float32(metadata.mean)) / np.float32(metadata.std)
        else:
            values = random.uniform(-1, 1, shape).astype("float32")
        values = np.broadcast_to(values, shape)
        inputs[details["name"]] = np.ascontiguousarray(to_tensor(values, details))
    return inputs


def _compared(interpreter, details, on_gpu, metadata):
    """How far an output of the GPU is from the CPU's."""
    on_cpu = interpreter.get_tensor(details["index"])
    name = _signature_name(interpreter, details["name"])
    gpu, cpu = (from_tensor(values, details) for values in (on_gpu, on_cpu))
    error = np.abs(gpu.astype("float64") - cpu)
    agreement = None
    if name in _SCORES or len(interpreter.get_output_details()) == 1:
        limit = 0.0 if metadata.activation == "sigmoid" else 0.5
        agreement = float(np.mean(_classes(gpu, limit) == _classes(cpu, limit)))
    return {
        "name": name,
        "max_error": _finite(error.max()),
        "mean_error": _finite(error.mean()),
        "largest": _finite(np.abs(cpu).max()),
        "agreement": agreement,
    }


def _finite(value):
    """NaN and infinity, which JSON has not, are as wrong as the largest number."""
    return float(np.nan_to_num(value, nan=np.finfo("float64").max))


def _classes(values, limit):
    if np.issubdtype(values.dtype, np.integer):
        return values
    return values > limit if values.shape[-1] == 1 else values.argmax(axis=-1)


def _signature_name(interpreter, tensor):
    """The name that the signature has for an output."""
    for runner in interpreter.get_signature_list():
        details = interpreter.get_signature_runner(runner).get_output_details()
        for name, found in details.items():
            if found["name"] == tensor:
                return name
    return tensor


if __name__ == "__main__":
    answer(compare, sys.argv[1])
