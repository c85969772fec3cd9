"""The README's example runs as it stands, and its links lead somewhere."""

import re
import runpy
import shutil
from pathlib import Path

import keras
import pytest
from PIL import Image

import kseg

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="export needs TensorFlow"
)
def test_training_example_runs(tmp_path, monkeypatch, capsys):
    example = re.search(r"tests/test_readme.py.*?```python\n(.*?)```", README, re.S)[1]
    assert len(example.strip().splitlines()) <= 10
    # Real photos, and masks that the shipped net itself finds in them.
    segmenter = kseg.load("person_float16")
    for kind in ("images", "masks"):
        (tmp_path / "my_photos" / kind).mkdir(parents=True)
    for photo in (ROOT / "mobile" / "weights" / "photos").glob("*.jpg"):
        shutil.copy(photo, tmp_path / "my_photos" / "images")
        mask = 255 * segmenter.segment(photo).category_mask
        target = tmp_path / "my_photos" / "masks" / f"{photo.stem}.png"
        Image.fromarray(mask.astype("uint8")).save(target)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "example.py").write_text(example, "utf-8")
    runpy.run_path("example.py")
    assert "against Keras" in capsys.readouterr().out
    assert (tmp_path / "mine.tflite").stat().st_size > 100_000


def test_links_to_files_of_the_project_exist():
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert targets
    missing = [target for target in targets if not (ROOT / target).exists()]
    assert missing == []


def test_tables_name_everything_public():
    for room in (kseg.models, kseg.losses, kseg.metrics):
        for name in room.__all__:
            value = getattr(room, name)
            is_class = isinstance(value, type)
            if (is_class and value is not kseg.metrics.CheckLabels) or (
                room is kseg.models and callable(value)
            ):
                assert re.search(rf"`(kseg\.models\.)?{name}\b", README), name
