"""Which operations of a .tflite a phone's GPU takes, and why not.

Two profiles, because the written rules and the newer runtime disagree:

- `"delegate"`: the rules of LiteRT's GPU delegate, as its source has them. The official
  analyzer does not apply them: it calls every graph compatible.
- `"litert"`: what the LiteRT 2.3 GPU accelerator ran and refused when it was tried. An
  operation that was not tried is judged as by the delegate.
"""

from kseg.mobile.linting.delegate_rules import delegate_refusal
from kseg.mobile.tflite.operations import Operation

PROFILES = ("delegate", "litert")


def refusal(operation: Operation, profile: str) -> str:
    """Says why the GPU refuses an operation.

    Args:
        operation: The operation.
        profile: `"delegate"` or `"litert"`.

    Returns:
        The reason, or `""` if the operation is taken.
    """
    if profile == "litert":
        reason = _measured_refusal(operation)
        if reason or _measured_to_run(operation):
            return reason
    return delegate_refusal(operation)


def _measured_refusal(op):
    tensors = (*op.inputs, *op.outputs)
    if any(-1 in tensor.shape for tensor in tensors):
        return "a shape is not known before the run"
    if any(tensor.dtype == "INT16" for tensor in tensors):
        return "int16 activations"
    if op.name == "GATHER":
        return "the accelerator refused it when tried"
    if op.name in ("SPLIT", "SPLIT_V"):
        return "the accelerator refused it, or computed it wrongly, when tried"
    if any(len(tensor.shape) > 4 for tensor in tensors):
        return "more than four dimensions"
    return ""


def _measured_to_run(op):
    types = [tensor.dtype for tensor in (*op.inputs[:1], *op.outputs[:1])]
    return op.name == "ARG_MAX" or (op.name == "CAST" and types == ["FLOAT32", "UINT8"])
