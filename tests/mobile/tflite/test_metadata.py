"""Metadata that MediaPipe reads: written, read back, and harmless to the model."""

import io
import zipfile

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from typer.testing import CliRunner

from kseg.cli import app
from kseg.mobile import Metadata, read_metadata
from kseg.mobile.tflite.metadata import write_metadata

FULL = Metadata(
    labels=("background", "ciel bleu", "天空"),
    activation="softmax",
    mean=(123.0, 117.0, 104.0),
    std=(58.0, 57.0, 57.5),
    name="street",
    description="Streets",
    license="Apache-2.0",
)


@pytest.fixture(scope="module")
def content(exported):
    return exported().path.read_bytes()


def answer(content, image):
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_everything_written_is_read_back(content, tmp_path):
    written = write_metadata(content, FULL)
    assert read_metadata(written) == FULL
    (tmp_path / "net.tflite").write_bytes(written)
    assert read_metadata(tmp_path / "net.tflite") == FULL


@pytest.mark.parametrize(
    ("output", "activation"), [("probabilities", "none"), ("logits", "softmax")]
)
def test_exports_describe_themselves(exported, output, activation):
    metadata = read_metadata(exported(output=output).path)
    assert metadata.labels == ("background", "skin", "clothes")
    assert metadata.activation == activation
    assert metadata.mean == (0, 0, 0)  # the net normalises inside
    assert metadata.std == (1, 1, 1)


def test_the_model_answers_as_before(content, crops):
    image = crops[0][:1].astype("float32")
    np.testing.assert_array_equal(
        answer(write_metadata(content, FULL), image), answer(content, image)
    )


def test_labels_lie_uncompressed_in_a_zip_behind_the_model(content):
    # As MediaPipe wants them: it maps the file into memory and reads them in place.
    with zipfile.ZipFile(io.BytesIO(write_metadata(content, FULL))) as archive:
        (file,) = archive.infolist()
        assert file.filename == "labels.txt"
        assert file.compress_type == zipfile.ZIP_STORED
        assert archive.read(file).decode() == "background\nciel bleu\n天空\n"


def test_the_entry_is_a_flatbuffer_of_mediapipes_schema(content):
    model = schema.Model.GetRootAs(write_metadata(content, FULL), 0)
    entries = {
        model.Metadata(i).Name(): model.Buffers(model.Metadata(i).Buffer())
        for i in range(model.MetadataLength())
    }
    data = entries[b"TFLITE_METADATA"].DataAsNumpy().tobytes()
    assert data[4:8] == b"M001"  # file_identifier of metadata_schema.fbs
    assert b"V001" in data  # and of image_segmenter_metadata_schema.fbs
    assert b"min_runtime_version" in entries  # the converter's own entries stay


def test_writing_again_replaces_and_is_reproducible(content):
    once = write_metadata(content, FULL)
    assert write_metadata(content, FULL) == once
    twice = write_metadata(once, Metadata(name="other"))
    assert read_metadata(twice) == Metadata(mean=(0,) * 3, std=(1,) * 3, name="other")
    assert write_metadata(twice, FULL) == once


def test_a_file_without_metadata_has_none(net):
    from kseg.mobile.exporting.conversion import concrete_function, convert

    bare = convert(concrete_function(net, (32, 32), "probabilities"))
    assert read_metadata(bare) is None


def test_wrong_values_are_refused(content):
    with pytest.raises(ValueError, match="`activation` must be one of.*'relu'"):
        write_metadata(content, Metadata(activation="relu"))
    breaks = ("\n", "\r", "\x0b", "\x85", "\u2028")
    for labels in (*((f"a{mark}b",) for mark in breaks), ("a\n",), ("", "b")):
        with pytest.raises(ValueError, match="`labels` must be non-empty names"):
            write_metadata(content, Metadata(labels=labels))


@pytest.mark.parametrize("kept", [0, 4, 100, -1, -40])
def test_a_truncated_file_is_an_error(content, kept):
    written = write_metadata(content, FULL)
    with pytest.raises(ValueError, match=r"`model` must be a complete.*Received"):
        read_metadata(written[:kept])


def test_info_prints_it(content, tmp_path):
    (tmp_path / "net.tflite").write_bytes(write_metadata(content, FULL))
    done = CliRunner().invoke(app, ["info", str(tmp_path / "net.tflite")])
    printed = " ".join(done.output.split())
    for said in (
        "street: Streets",
        "labels background, ciel bleu, 天空",
        "activation softmax",
        "mean 123 117 104",
        "std 58 57 57.5",
        "licence Apache-2.0",
    ):
        assert said in printed
    (tmp_path / "net.tflite").write_bytes(write_metadata(content, Metadata()))
    done = CliRunner().invoke(app, ["info", str(tmp_path / "net.tflite")])
    assert "mean 0, std 1; licence not said" in " ".join(done.output.split())


def test_labels_of_other_writers(content):
    """Lines of Windows, and letters that Python alone takes for line breaks."""
    bare = write_metadata(content, Metadata(labels=("a",)))
    bare = bare[: bare.rindex(b"PK\x03\x04")]
    for text, labels in (
        ("a\r\nb\r\n", ("a", "b")),
        ("x\u2028y\nz", ("x\u2028y", "z")),
    ):
        file = io.BytesIO(bare)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("labels.txt", text)
        assert read_metadata(file.getvalue()).labels == labels
    file = io.BytesIO(bare)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", bytes(2**20 + 1))
    with pytest.raises(ValueError, match="labels of 1048577 bytes, 1048576 at most"):
        read_metadata(file.getvalue())
