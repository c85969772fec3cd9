"""How the tests run an example: as a reader does."""

import runpy
import shutil
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run_example(monkeypatch):
    """Returns a function: name and arguments -> what the script's globals are then."""

    def run(name, *arguments):
        script = str(EXAMPLES / name)
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        monkeypatch.syspath_prepend(EXAMPLES)  # as Python does for a script
        return runpy.run_path(script, run_name="__main__")

    return run


@pytest.fixture
def few_photos(data_dir, tmp_path):
    """A folder of Clothing Co-Parsing with 16 photos to train on and 4 to validate."""
    source, folder = data_dir("ccp"), tmp_path / "ccp"
    (folder / "annotations" / "pixel-level").mkdir(parents=True)
    (folder / "photos").mkdir()
    shutil.copy(source / "label_list.mat", folder)
    for number in [*range(1, 17), *range(801, 805)]:
        shutil.copy(source / "photos" / f"{number:04d}.jpg", folder / "photos")
        mask = Path("annotations", "pixel-level", f"{number:04d}.png")
        shutil.copy(source / mask, folder / mask)
    return folder
