"""The tables of MediaPipe's metadata that a segmenter needs, to and from bytes.

Reference:
- [metadata_schema.fbs, image_segmenter_metadata_schema.fbs](https://github.com/google-ai-edge/mediapipe/tree/master/mediapipe/tasks/metadata)
"""

import numpy as np

from kseg.mobile.tflite.flatbuffer import TableReader, encode

ACTIVATIONS = ("none", "sigmoid", "softmax")  # the schema's order
LABELS_FILE = "labels.txt"
_SEGMENTER_ENTRY = "SEGMENTER_METADATA"

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


def encode_model(fields: dict, channels: int) -> bytes:
    """Returns the metadata entry of a segmenter.

    Args:
        fields: Those of `kseg.mobile.Metadata`.
        channels: Of the image.
    """
    normalization = {
        _NORMALIZATION["mean"]: _floats(fields["mean"], channels),
        _NORMALIZATION["std"]: _floats(fields["std"], channels),
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
    if fields["labels"]:
        masks[_TENSOR["files"]] = [
            {
                _FILE["name"]: LABELS_FILE,
                _FILE["description"]: "Names of the output's channels.",
                _FILE["type"]: _AXIS_LABELS,
            }
        ]
    activation = encode({0: ACTIVATIONS.index(fields["activation"])}, b"V001")
    subgraph = {
        _SUBGRAPH["inputs"]: [image],
        _SUBGRAPH["outputs"]: [masks],
        _SUBGRAPH["custom"]: [
            {_CUSTOM["name"]: _SEGMENTER_ENTRY, _CUSTOM["data"]: activation}
        ],
    }
    root = {
        _MODEL["name"]: fields["name"],
        _MODEL["description"]: fields["description"],
        _MODEL["subgraphs"]: [subgraph],
        _MODEL["parser"]: "1.5.0",
    }
    if fields["license"]:
        root[_MODEL["license"]] = fields["license"]
    return encode(root, b"M001")


def _image_content(color_space):
    return {
        _CONTENT["type"]: _IMAGE_PROPERTIES,
        _CONTENT["properties"]: {0: color_space},
    }


def _floats(values, channels):
    return np.resize(np.asarray(values, "float32"), channels)


def decode_model(data: bytes) -> tuple[dict, list[str]]:
    """Reads the metadata entry of a segmenter, whoever wrote it.

    Returns:
        The fields of `kseg.mobile.Metadata` that it has, without the labels, and the
        names of the appended files that hold those.
    """
    root = TableReader.root(data)
    subgraph = root.tables(_MODEL["subgraphs"])[0]
    found = {
        "name": root.text(_MODEL["name"]),
        "description": root.text(_MODEL["description"]),
        "license": root.text(_MODEL["license"]),
    }
    files = []
    for image in subgraph.tables(_SUBGRAPH["inputs"]):
        for step in image.tables(_TENSOR["process"]):
            if step.enum(_PROCESS["type"]) == _NORMALIZATION_OPTIONS:
                options = step.table(_PROCESS["options"])
                found["mean"] = options.floats(_NORMALIZATION["mean"]) or (0.0,)
                found["std"] = options.floats(_NORMALIZATION["std"]) or (1.0,)
    for masks in subgraph.tables(_SUBGRAPH["outputs"]):
        for file in masks.tables(_TENSOR["files"]):
            if file.enum(_FILE["type"]) == _AXIS_LABELS:
                files.append(file.text(_FILE["name"]))
    for custom in subgraph.tables(_SUBGRAPH["custom"]):
        if custom.text(_CUSTOM["name"]) == _SEGMENTER_ENTRY:
            options = TableReader.root(custom.bytes(_CUSTOM["data"]))
            found["activation"] = ACTIVATIONS[options.enum(0)]
    return found, files
