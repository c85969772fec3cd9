"""The files of a run: which epoch is best, and writes that are whole."""

import json
import os
import types

import pytest

from kseg.training.run_folder import RunFolder, check_folder


def run(folder, values, **config):
    """A folder after epochs whose validation mIoU had these values."""
    result = RunFolder(folder, config, "val_mean_iou", lambda *paths: None)
    result.on_train_begin()
    for epoch, value in enumerate(values):
        text = f"epoch {epoch + 1}"
        result.set_model(
            types.SimpleNamespace(save=lambda path, text=text: path.write_text(text))
        )
        result.on_epoch_end(epoch, {"loss": 1.0, "val_mean_iou": value})
    return result


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([0.2, 0.7, 0.5], 2),
        ([0.4, 0.4, 0.4], 3),
        ([0.4, 0.6, 0.6, 0.5], 3),
        ([float("nan"), 0.1, float("nan")], 2),
        ([float("nan"), float("nan")], 2),
    ],
)
def test_the_best_epoch_is_the_latest_of_the_highest(tmp_path, values, best):
    folder = run(tmp_path, values)
    assert folder.best_epoch == best
    assert (tmp_path / "best.keras").read_text() == f"epoch {best}"


def test_a_folder_without_last_keras_holds_no_run(tmp_path):
    (tmp_path / "config.json").write_text('{"seed": 7, "epo')
    folder = RunFolder(tmp_path, {"seed": 1}, "val_mean_iou", None)
    assert folder.resume() == (None, 0)
    folder.on_train_begin()
    assert json.loads((tmp_path / "config.json").read_text()) == {"seed": 1}


def test_nothing_is_made_before_training_begins(tmp_path):
    RunFolder(tmp_path / "a" / "run", {}, "val_mean_iou", None).resume()
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_run_folder(tmp_path):
    (tmp_path / "photo.jpg").touch()
    for path in (tmp_path / "photo.jpg", tmp_path / "photo.jpg" / "run"):
        with pytest.raises(OSError, match=r"photo\.jpg' is a file. Received: output="):
            check_folder(path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="you may write to.*Received: output="):
        check_folder(tmp_path / "run")


def test_a_relative_folder_is_fine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(check_folder("runs/new")) == os.path.join("runs", "new")
