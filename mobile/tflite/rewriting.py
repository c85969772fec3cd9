"""Operations of a finished .tflite put in place of others, as no converter does it."""

import numpy as np

from kseg.mobile.tflite.graph import (
    TYPE_NAMES,
    op_name,
    operator_code,
    pack,
    schema,
    unpack,
)


def resize_ids(model: bytes, size: tuple[int, int]) -> bytes:
    """Lets a file of class ids end in their nearest neighbours at a larger size.

    The converter takes no resize of integers, and quantizing one of floats would move
    ids; a float passes them through exactly.

    Args:
        model: The content of a `.tflite` whose only output is int32 ids
            `(1, height, width)`.
        size: `(height, width)` of the new output.

    Returns:
        The content, its output int32 `(1, *size)` under the name of the old one.
    """
    editor = Editor(model)
    (ids,) = map(int, editor.subgraph.outputs)
    low = tuple(map(int, editor.tensors[ids].shape))
    name = editor.name(ids)
    editor.tensors[ids].name = f"{name}_low"
    floats = editor.tensor(f"{name}_low_float", low, "FLOAT32")
    map_2d = editor.tensor(f"{name}_low_map", (*low, 1), "FLOAT32")
    large = editor.tensor(f"{name}_map", (1, *size, 1), "FLOAT32")
    flat = editor.tensor(f"{name}_float", (1, *size), "FLOAT32")
    answer = editor.tensor(name, (1, *size), "INT32")

    def cast(x, y, types):
        return editor.operation("CAST", "CastOptions", [x], y, **types)

    def reshape(x, y):
        shape = editor.shape_of(y)
        return editor.operation("RESHAPE", "ReshapeOptions", [x, shape], y)

    kinds = schema.TensorType
    editor.subgraph.operators += [
        cast(ids, floats, {"inDataType": kinds.INT32, "outDataType": kinds.FLOAT32}),
        reshape(floats, map_2d),
        editor.operation(
            "RESIZE_NEAREST_NEIGHBOR",
            "ResizeNearestNeighborOptions",
            [map_2d, editor.integers(f"{name}_size", size)],
            large,
            halfPixelCenters=True,
        ),
        reshape(large, flat),
        cast(flat, answer, {"inDataType": kinds.FLOAT32, "outDataType": kinds.INT32}),
    ]
    editor.subgraph.outputs = [answer]
    for signature in editor.graph.signatureDefs or []:
        for output in signature.outputs:
            output.tensorIndex = answer
    return editor.content()


def uint8_input(model: bytes) -> bytes:
    """Lets a file whose image is float32 take it as uint8, 0-255.

    Args:
        model: The content of a `.tflite` of one image.

    Returns:
        The content with a `DEQUANTIZE` of scale 1 in front; a file of another input
        stays as it is.
    """
    editor = Editor(model)
    (inner,) = map(int, editor.subgraph.inputs)
    if editor.tensors[inner].type != schema.TensorType.FLOAT32:
        return model
    name, shape = editor.name(inner), editor.tensors[inner].shape
    editor.tensors[inner].name = f"{name}_float"
    pixels = editor.tensor(name, shape, "UINT8", (1.0, 0))
    first = editor.operation("DEQUANTIZE", "DequantizeOptions", [pixels], inner)
    editor.operators.insert(0, first)
    editor.subgraph.inputs = [pixels]
    for signature in editor.graph.signatureDefs or []:
        for end in signature.inputs:
            end.tensorIndex = pixels
    return editor.content()


class Editor:
    """The main graph of a `.tflite`, to which tensors and operations are added.

    Args:
        model: The content of the file.

    Attributes:
        graph: All of the file, as the schema's objects.
        subgraph: Its first subgraph; others are bodies of loops.
        tensors: The tensors of the subgraph.
        operators: Its operations, in the order of execution.
    """

    def __init__(self, model: bytes):
        self.graph = unpack(model)
        self.subgraph = self.graph.subgraphs[0]
        self.tensors = self.subgraph.tensors
        self.operators = self.subgraph.operators

    def content(self) -> bytes:
        """Returns the content of the edited file."""
        return pack(self.graph)

    def name(self, index: int) -> str:
        """Returns the name of a tensor."""
        name = self.tensors[index].name or b""
        return name.decode() if isinstance(name, bytes) else name

    def op_name(self, op) -> str:
        """Returns the name of an operation."""
        return op_name(self.graph.operatorCodes[op.opcodeIndex])

    def dtype(self, index: int) -> str:
        """Returns the type of a tensor, such as `"INT8"`."""
        return TYPE_NAMES[self.tensors[index].type]

    def quantization(self, index: int) -> tuple[float, int]:
        """Returns scale and zero point of a tensor that has one of each."""
        found = self.tensors[index].quantization
        return float(found.scale[0]), int(found.zeroPoint[0])

    def tensor(self, name, shape, dtype, quantization=None, data=None) -> int:
        """Adds a tensor and returns its index.

        Args:
            name: Its name.
            shape: Its shape.
            dtype: Such as `"INT8"`, as the schema names it.
            quantization: `(scale, zero point)`.
            data: An array, for a constant.
        """
        tensor, buffer = schema.TensorT(), schema.BufferT()
        tensor.name, tensor.shape = name, list(map(int, shape))
        tensor.type = getattr(schema.TensorType, dtype)
        if quantization is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = [quantization[0]]
            tensor.quantization.zeroPoint = [quantization[1]]
        if data is not None:
            buffer.data = np.frombuffer(data.tobytes(), "uint8")
        tensor.buffer = len(self.graph.buffers)
        self.graph.buffers.append(buffer)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def integers(self, name, values) -> int:
        """Adds a vector of int32 and returns its index."""
        data = np.array(values, "int32")
        return self.tensor(name, data.shape, "INT32", data=data)

    def shape_of(self, index) -> int:
        """Adds the shape of a tensor as a vector and returns its index."""
        return self.integers(f"{self.name(index)}_shape", self.tensors[index].shape)

    def convolution(self, x, kernel, bias, y):
        """Returns a `CONV_2D` of stride 1 without padding, of indices of tensors."""
        return self.operation(
            "CONV_2D",
            "Conv2DOptions",
            [x, kernel, bias],
            y,
            padding=schema.Padding.VALID,
            strideH=1,
            strideW=1,
        )

    def operation(self, name, options, inputs, output, **values):
        """Returns an operation, which the caller puts in its place.

        Args:
            name: Such as `"ADD"`.
            options: Name of the schema's table of its options.
            inputs: Indices of tensors.
            output: Index of a tensor.
            **values: The options.
        """
        op = schema.OperatorT()
        op.opcodeIndex = operator_code(self.graph, name)
        op.inputs, op.outputs = inputs, [output]
        op.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        op.builtinOptions = getattr(schema, f"{options}T")()
        for key, value in values.items():
            setattr(op.builtinOptions, key, value)
        return op
