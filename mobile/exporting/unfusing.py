"""Activations taken out of operations that no GPU takes with one inside."""

from kseg.mobile.tflite.graph import TYPE_NAMES, op_name, operator_code, schema
from kseg.mobile.tflite.rewriting import Editor

# Its version 4 is the one with an activation; GPUs take version 3.
_NAME, _VERSION = "TRANSPOSE_CONV", 3
_ACTIVATIONS = {
    code: name
    for name, code in vars(schema.ActivationFunctionType).items()
    if name in ("RELU", "RELU6")
}


def separate_activations(model: bytes) -> bytes:
    """Puts the activation of every `TRANSPOSE_CONV` into an operation of its own.

    The converter fuses them, and LiteRT's GPU delegate and accelerator then leave the
    operation to the CPU: "Max version supported: 3. Requested version
    4." No value changes: what the activation took is of its output's quantization.

    Args:
        model: The content of a `.tflite` of one subgraph; appended files are dropped.

    Returns:
        The content with a `RELU` or `RELU6` behind each; equal if there is none.
    """
    editor = Editor(model)
    fused = [op for op in editor.operators if _is_fused(editor, op)]
    if not fused:
        return model
    for op in fused:
        options = op.builtinOptions
        name = _ACTIVATIONS[options.fusedActivationFunction]
        options.fusedActivationFunction = schema.ActivationFunctionType.NONE
        (answer,) = map(int, op.outputs)
        tensor = editor.tensors[answer]
        kind = TYPE_NAMES[tensor.type]
        inner = editor.tensor(f"{editor.name(answer)}/linear", tensor.shape, kind)
        editor.tensors[inner].quantization = tensor.quantization
        op.outputs = [inner]
        activation = schema.OperatorT()
        # Version 2 adds integers, and a GPU takes it.
        version = 1 if kind == "FLOAT32" else 2
        activation.opcodeIndex = operator_code(editor.graph, name, version)
        activation.inputs, activation.outputs = [inner], [answer]
        editor.operators.insert(editor.operators.index(op) + 1, activation)
    for code in editor.graph.operatorCodes:
        if op_name(code) == _NAME:
            code.version = min(code.version, _VERSION)
    return editor.content()


def _is_fused(editor, op):
    if editor.op_name(op) != _NAME:
        return False
    return getattr(op.builtinOptions, "fusedActivationFunction", 0) in _ACTIVATIONS
