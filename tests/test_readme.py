"""The README's example runs as it stands, and its links lead somewhere."""

import re
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="export needs TensorFlow"
)
def test_training_example_runs(tmp_path, monkeypatch, capsys):
    example = re.search(r"tests/test_readme.py.*?```python\n(.*?)```", README, re.S)[1]
    assert len(example.strip().splitlines()) == 12
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (tmp_path / "my_photos" / kind).mkdir(parents=True)
    for index in range(8):
        image = rng.integers(0, 90, (120, 90, 3), "uint8")
        mask = np.zeros((120, 90), "uint8")
        y, x = rng.integers(0, 40, 2)
        image[y : y + 70, x : x + 40] += 150
        mask[y : y + 70, x : x + 40] = 255
        Image.fromarray(image).save(tmp_path / "my_photos/images" / f"{index}.jpg")
        Image.fromarray(mask).save(tmp_path / "my_photos/masks" / f"{index}.png")
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
    import kseg

    for room in (kseg.models, kseg.losses, kseg.metrics):
        for name in room.__all__:
            value = getattr(room, name)
            is_class = isinstance(value, type) and not issubclass(
                value, keras.callbacks.Callback
            )
            if is_class or room is kseg.models:
                assert f"`{name}`" in README or f"`kseg.models.{name}`" in README, name
