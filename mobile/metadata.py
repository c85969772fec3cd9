"""MediaPipe Image Segmenter metadata: what a `.tflite` takes, and what it gives.

MediaPipe's tasks read a flatbuffer of their own schema from the model's metadata
entry `TFLITE_METADATA`, and files that are appended to the model as a zip. Its
writers install on no current Python, so this file writes and reads the few tables
that a segmenter needs.

Reference:
- [metadata_schema.fbs, image_segmenter_metadata_schema.fbs](https://github.com/google-ai-edge/mediapipe/tree/master/mediapipe/tasks/metadata)
"""

import dataclasses
import io
import zipfile
from pathlib import Path

import numpy as np

from kseg.mobile.flatbuffer import TableReader, encode
from kseg.mobile.graph import pack, schema, unpack

_ENTRY = "TFLITE_METADATA"
_SEGMENTER_ENTRY = "SEGMENTER_METADATA"
_LABELS_FILE = "labels.txt"
_MOST_LABEL_BYTES = 2**20
_ACTIVATIONS = ("none", "sigmoid", "softmax")  # the schema's order

# Field numbers of the schema's tables, and the values that its enums take here.
_MODEL = {"name": 0, "description": 1, "subgraphs": 3, "license": 5, "parser": 7}
_SUBGRAPH = {"inputs": 2, "outputs": 3, "custom": 9}
_TENSOR = {"name": 0, "description": 1, "content": 3, "process": 4, "files": 6}
_CONTENT = {"type": 0, "properties": 1}
_PROCESS = {"type": 0, "options": 1}
_NORMALIZATION = {"mean": 0, "std": 1}
_FILE = {"name": 0, "description": 1, "type": 2}
_CUSTOM = {"name": 0, "data": 1}
_IMAGE_PROPERTIES, _NORMALIZATION_OPTIONS, _AXIS_LABELS = 2, 1, 2
_COLOR_SPACES = {3: 1, 1: 2}  # channels -> RGB, GRAYSCALE


@dataclasses.dataclass(frozen=True)
class Metadata:
    """What a segmenter file says about itself.

    Attributes:
        labels: Names of the output's channels; empty if the file has none.
        activation: What turns the outputs into probabilities: `"none"`, `"sigmoid"`
            or `"softmax"`.
        mean: Per channel, subtracted from the image's 0-255 by the caller.
        std: Per channel, divides what is left. kseg's own files say 0 and 1,
            because the model normalises inside.
        name: Name of the model.
        description: One line on it.
        license: Licence of the weights.
    """

    labels: tuple[str, ...] = ()
    activation: str = "none"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    name: str = "segmenter"
    description: str = "Semantic image segmentation"
    license: str = ""


def write_metadata(model: bytes, metadata: Metadata) -> bytes:
    """Returns the content of a `.tflite` with `metadata` in place of its own.

    Args:
        model: The content of a `.tflite` with one image input and one output.
        metadata: What to say about it.

    Returns:
        The content, `labels.txt` appended as an uncompressed zip if there are
        labels. Equal arguments give equal bytes.
    """
    if metadata.activation not in _ACTIVATIONS:
        raise ValueError(
            f"`activation` must be one of {_ACTIVATIONS}. "
            f"Received: activation={metadata.activation!r}"
        )
    # Also what only some readers take for a line break; "" has no line.
    if any(label.splitlines() != [label] for label in metadata.labels):
        raise ValueError(
            "`labels` must be non-empty names without line breaks. "
            f"Received: labels={metadata.labels}"
        )
    graph = unpack(model)
    subgraph = graph.subgraphs[0]
    channels = int(subgraph.tensors[subgraph.inputs[0]].shape[-1])
    _entry_buffer(graph).data = np.frombuffer(
        _encode_model(metadata, channels), "uint8"
    )
    content = io.BytesIO()
    content.write(pack(graph))
    if metadata.labels:
        with zipfile.ZipFile(content, "a", zipfile.ZIP_STORED) as archive:
            file = zipfile.ZipInfo(_LABELS_FILE, date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(file, "\n".join(metadata.labels) + "\n")
    return content.getvalue()


def read_metadata(model: bytes | str | Path) -> Metadata | None:
    """Reads the segmenter metadata of a `.tflite`, whoever wrote it.

    Args:
        model: Path of the file, or its content.

    Returns:
        The metadata, or `None` if the file has none.

    Raises:
        ValueError: If the file is damaged.
    """
    content = model if isinstance(model, bytes) else Path(model).read_bytes()
    try:
        data = _entry(content)
        return None if data is None else _decode_model(data, content)
    # Damage shows as struct.error, IndexError, BadZipFile, …
    except Exception as error:
        raise ValueError(
            "`model` must be a complete .tflite, but its metadata cannot be read "
            f"({type(error).__name__}: {error}). Received: {len(content)} bytes"
        ) from error


def _entry_buffer(graph):
    """Returns the buffer of the metadata entry, which is added if need be."""
    for entry in graph.metadata or []:
        if entry.name == _ENTRY.encode():
            return graph.buffers[entry.buffer]
    entry, buffer = schema.MetadataT(), schema.BufferT()
    entry.name, entry.buffer = _ENTRY, len(graph.buffers)
    graph.buffers.append(buffer)
    graph.metadata = [*(graph.metadata or []), entry]
    return buffer


def _entry(content):
    model = schema.Model.GetRootAs(content, 0)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == _ENTRY.encode():
            return model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
    return None


def _encode_model(metadata, channels):
    normalization = {
        _NORMALIZATION["mean"]: _floats(metadata.mean, channels),
        _NORMALIZATION["std"]: _floats(metadata.std, channels),
    }
    image = {
        _TENSOR["name"]: "image",
        _TENSOR["description"]: "Image to segment, 0-255.",
        _TENSOR["content"]: _image_content(_COLOR_SPACES.get(channels, 0)),
        _TENSOR["process"]: [
            {
                _PROCESS["type"]: _NORMALIZATION_OPTIONS,
                _PROCESS["options"]: normalization,
            }
        ],
    }
    masks = {
        _TENSOR["name"]: "segmentation_masks",
        _TENSOR["description"]: "One score per class and pixel.",
        _TENSOR["content"]: _image_content(0),
    }
    if metadata.labels:
        masks[_TENSOR["files"]] = [
            {
                _FILE["name"]: _LABELS_FILE,
                _FILE["description"]: "Names of the output's channels.",
                _FILE["type"]: _AXIS_LABELS,
            }
        ]
    activation = encode({0: _ACTIVATIONS.index(metadata.activation)}, b"V001")
    subgraph = {
        _SUBGRAPH["inputs"]: [image],
        _SUBGRAPH["outputs"]: [masks],
        _SUBGRAPH["custom"]: [
            {_CUSTOM["name"]: _SEGMENTER_ENTRY, _CUSTOM["data"]: activation}
        ],
    }
    root = {
        _MODEL["name"]: metadata.name,
        _MODEL["description"]: metadata.description,
        _MODEL["subgraphs"]: [subgraph],
        _MODEL["parser"]: "1.5.0",
    }
    if metadata.license:
        root[_MODEL["license"]] = metadata.license
    return encode(root, b"M001")


def _image_content(color_space):
    return {
        _CONTENT["type"]: _IMAGE_PROPERTIES,
        _CONTENT["properties"]: {0: color_space},
    }


def _floats(values, channels):
    return np.resize(np.asarray(values, "float32"), channels)


def _decode_model(data, content):
    root = TableReader.root(data)
    subgraph = root.tables(_MODEL["subgraphs"])[0]
    found = {
        "name": root.text(_MODEL["name"]),
        "description": root.text(_MODEL["description"]),
        "license": root.text(_MODEL["license"]),
    }
    for image in subgraph.tables(_SUBGRAPH["inputs"]):
        for step in image.tables(_TENSOR["process"]):
            if step.enum(_PROCESS["type"]) == _NORMALIZATION_OPTIONS:
                options = step.table(_PROCESS["options"])
                found["mean"] = options.floats(_NORMALIZATION["mean"]) or (0.0,)
                found["std"] = options.floats(_NORMALIZATION["std"]) or (1.0,)
    for masks in subgraph.tables(_SUBGRAPH["outputs"]):
        for file in masks.tables(_TENSOR["files"]):
            if file.enum(_FILE["type"]) == _AXIS_LABELS:
                found["labels"] = _read_labels(content, file.text(_FILE["name"]))
    for custom in subgraph.tables(_SUBGRAPH["custom"]):
        if custom.text(_CUSTOM["name"]) == _SEGMENTER_ENTRY:
            options = TableReader.root(custom.bytes(_CUSTOM["data"]))
            found["activation"] = _ACTIVATIONS[options.enum(0)]
    return Metadata(**found)


def _read_labels(content, name):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = archive.getinfo(name).file_size
        if size > _MOST_LABEL_BYTES:
            raise ValueError(f"labels of {size} bytes, {_MOST_LABEL_BYTES} at most")
        text = archive.read(name).decode().removesuffix("\n")
    return tuple(label.removesuffix("\r") for label in text.split("\n"))


def channel_labels(labels, num_classes):
    """Returns one name per channel of the output, or none at all."""
    labels = tuple(labels or ())
    if num_classes == 1 and len(labels) == 2:  # background has no channel
        labels = labels[1:]
    if labels and len(labels) != num_classes:
        raise ValueError(
            f"`labels` must be {num_classes} names, one per channel of the output. "
            f"Received: {len(labels)} labels, {labels}"
        )
    return labels
