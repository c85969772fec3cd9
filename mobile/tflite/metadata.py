"""MediaPipe Image Segmenter metadata: what a `.tflite` takes, and what it gives.

MediaPipe's tasks read a flatbuffer of their own schema from the model's metadata
entry `TFLITE_METADATA`, and files that are appended to the model as a zip. Its
writers install on no current Python, so this file writes and reads what a segmenter
needs.

On a photo of the net's size MediaPipe answers as `kseg.mobile.ImageSegmenter` does. On
others its CPU takes single points, counted from the corner, where kseg averages. Its
category mask of a model of one class is 0 where the class is and 255 elsewhere. In the
browser its GPU is for files of floats: it refuses uint8 outputs.
"""

import dataclasses
import io
import zipfile
from pathlib import Path

import numpy as np

from kseg.mobile.tflite.graph import pack, schema, unpack
from kseg.mobile.tflite.metadata_schema import (
    ACTIVATIONS,
    LABELS_FILE,
    decode_model,
    encode_model,
)

_ENTRY = "TFLITE_METADATA"
_MOST_LABEL_BYTES = 2**20


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

    def __str__(self) -> str:
        labels = ", ".join(self.labels) or "none"
        return (
            f"{self.name}: {self.description}; labels {labels}; "
            f"activation {self.activation}; mean {_joined(self.mean)}, "
            f"std {_joined(self.std)}; licence {self.license or 'not said'}"
        )


def write_metadata(model: bytes, metadata: Metadata) -> bytes:
    """Returns the content of a `.tflite` with `metadata` in place of its own.

    Args:
        model: The content of a `.tflite` with one image input and one output.
        metadata: What to say about it.

    Returns:
        The content, `labels.txt` appended as an uncompressed zip if there are
        labels. Equal arguments give equal bytes.
    """
    if metadata.activation not in ACTIVATIONS:
        raise ValueError(
            f"`activation` must be one of {ACTIVATIONS}. "
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
    data = encode_model(dataclasses.asdict(metadata), channels)
    _entry_buffer(graph).data = np.frombuffer(data, "uint8")
    content = io.BytesIO()
    content.write(pack(graph))
    if metadata.labels:
        with zipfile.ZipFile(content, "a", zipfile.ZIP_STORED) as archive:
            file = zipfile.ZipInfo(LABELS_FILE, date_time=(1980, 1, 1, 0, 0, 0))
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
        if data is None:
            return None
        fields, files = decode_model(data)
        for file in files:
            fields["labels"] = _read_labels(content, file)
        return Metadata(**fields)
    # Damage shows as struct.error, IndexError, BadZipFile, …
    except Exception as error:
        raise ValueError(
            "`model` must be a complete .tflite, but its metadata cannot be read "
            f"({type(error).__name__}: {error}). Received: {len(content)} bytes"
        ) from error


def _joined(values):
    """One number where all are equal, as text."""
    distinct = values[:1] if len(set(values)) == 1 else values
    return " ".join(f"{value:g}" for value in distinct)


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
