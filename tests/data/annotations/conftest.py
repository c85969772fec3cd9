"""Small exports for the tests of annotation tools."""

import json

import numpy as np
import pytest
from PIL import Image

from kseg.data.annotations import convert


@pytest.fixture
def folder(tmp_path):
    """An empty folder for an export; what is converted goes beside it."""
    path = tmp_path / "export"
    path.mkdir()
    return path


@pytest.fixture
def photo(folder):
    """Writes a photo of a size `(height, width)` into the export."""

    def write(name, size=(20, 30), **options):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size[::-1], (90, 120, 150)).save(path, **options)
        return path

    return write


@pytest.fixture
def write(folder):
    """Writes a file of the export: text, bytes, or anything else as JSON."""

    def write(name, content):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content)
            path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def masks_of(folder, tmp_path):
    """Converts the export; gives the class names and the masks by id."""

    def masks_of(tool="auto", source=folder, kind="masks", **options):
        output = tmp_path / "out"
        report = convert(tool, source, output, **options)
        masks = {
            path.relative_to(output / kind).with_suffix("").as_posix(): np.array(
                Image.open(path)
            )
            for path in sorted((output / kind).rglob("*.png"))
        }
        return report.class_names, masks

    return masks_of


@pytest.fixture
def fails(folder, tmp_path):
    """Converts the export, which must fail and leave nothing; gives the message."""

    def fails(tool="auto", source=folder, **options):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(ValueError) as caught:
            convert(tool, source, tmp_path / "out", **options)
        assert sorted(tmp_path.rglob("*")) == before
        return str(caught.value)

    return fails


@pytest.fixture
def draw():
    """Draws the parts of a shape into a bool array."""

    def draw(parts, size=(20, 30), line_width=2.0):
        inside = np.zeros(size, bool)
        for part in parts:
            window = part.fill(*size, line_width)
            inside[window.slices] |= window.inside
        return inside

    return draw
