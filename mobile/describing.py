"""What a model file takes and gives, in words."""

from pathlib import Path

from kseg.mobile.nets import find_net
from kseg.mobile.segmenter import ImageSegmenter
from kseg.mobile.tflite.graph import end_rows, op_counts, signature
from kseg.mobile.tflite.litert_net import segments_images
from kseg.mobile.tflite.metadata import read_metadata
from kseg.mobile.tflite.runtime import open_interpreter


def describe_model(model) -> dict[str, str]:
    """Says what a model file takes and gives.

    Args:
        model: A `.keras` or `.tflite` file, or the name of a shipped net. Of several
            inputs or outputs, such as a step of a video network, each is listed by its
            name.

    Returns:
        Texts, by what they say.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged.
    """
    path = find_net(model)
    rows = _of_tflite(path) if path.suffix == ".tflite" else _of_keras(path)
    return {"model": str(model), **rows, "size": f"{path.stat().st_size / 1e6:.2f} MB"}


def _of_tflite(path: Path):
    content = path.read_bytes()
    interpreter = open_interpreter(content, name=str(path))
    shape = interpreter.get_input_details()[0]["shape"]
    if segments_images(interpreter) and _is_image(shape):
        rows = _of_images(ImageSegmenter(path))
    else:
        rows = end_rows(*signature(content))
    counts = op_counts(content).items()
    metadata = read_metadata(content)
    return {
        **rows,
        "operations": ", ".join(f"{count} {name}" for name, count in counts),
        "metadata": str(metadata) if metadata else "none",
    }


def _of_keras(path: Path):
    from kseg.mobile.exporting.keras_model import load_keras
    from kseg.mobile.exporting.named_model import named_ends, takes_names

    model = load_keras(path)
    if takes_names(model) or not all(_is_image(x.shape) for x in model.inputs or ()):
        rows = end_rows(
            *(
                {name: f"{x.dtype} {tuple(x.shape)}" for name, x in ends.items()}
                for ends in named_ends(model)
            )
        )
    else:
        rows = _of_images(ImageSegmenter(model))
    return {
        **rows,
        "parameters": f"{model.count_params():,}",
        "layers": str(len(model.layers)),
    }


def _is_image(shape):
    return len(shape) == 4 and shape[-1] in (1, 3)


def _of_images(segmenter):
    size, classes = segmenter.input_size, segmenter.num_classes
    rows = {
        "input": "RGB 0–255, "
        + (f"{size[0]} x {size[1]}" if size else "any height and width"),
        "classes": str(classes or "ids only")
        + (": the probability of the foreground" if classes == 1 else ""),
    }
    if segmenter.labels:
        rows["labels"] = ", ".join(segmenter.labels)
    return rows
