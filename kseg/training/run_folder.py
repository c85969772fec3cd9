"""The files of a training run, written so that a kill at any moment loses nothing."""

import csv
import json
import os
from pathlib import Path

import keras
import numpy as np

from kseg.files import remove_unfinished, write_json, write_whole
from kseg.training.identity import as_json


class RunFolder(keras.callbacks.Callback):
    """Keeps a run folder complete after every epoch.

    | file | what |
    |---|---|
    | `config.json` | the arguments of the run |
    | `last.keras` | model and optimizer after the last finished epoch |
    | `best.keras` | model with the best `monitor` so far |
    | `metrics.csv` | one row an epoch |
    | `curves.png` | loss and mIoU over the epochs |

    Each file is written under another name and then renamed, and `last.keras`, which
    alone says how far the run has come, is renamed last: whatever moment the process
    dies at, the folder is that of a finished epoch. A folder without `last.keras`
    holds no run, whatever else is there.

    Args:
        folder: The run folder; made when training begins, if it does not exist.
        config: The arguments of the run.
        monitor: Column of the metrics whose highest value marks the best epoch, the
            latest of equals: where it cannot tell epochs apart, longer training is
            the better guess.
        draw: Function `(csv_path, png_path)` that draws the curves.
        average: The run's `keras.callbacks.SwapEMAWeights`, if it averages weights;
            `best.keras` then holds the averaged ones, which are those validated.

    Raises:
        OSError: If there can be no such folder, or nothing can be written to it.
    """

    def __init__(self, folder, config, monitor, draw, average=None):
        super().__init__()
        self.folder = check_folder(folder)
        self.config = as_json(config)
        self.monitor = monitor
        self.draw = draw
        self.average = average
        self.rows = []

    def resume(self):
        """Returns (saved model, finished epochs) of an interrupted run, or (None, 0).

        Raises:
            ValueError: If the folder holds a run with other arguments, or one with a
                file that is missing or damaged.
        """
        last = self.folder / "last.keras"
        if not last.exists():
            return None, 0
        before = self._read("config.json", lambda p: json.loads(p.read_text("utf-8")))
        changed = sorted(
            k for k in {*before, *self.config} if before.get(k) != self.config.get(k)
        )
        if changed:
            raise ValueError(
                "`output` must be a new folder, or that of a run with the same "
                "arguments, which is then resumed. Different are: "
                + ", ".join(
                    f"{k} ({before.get(k)!r} then, {self.config.get(k)!r} now)"
                    for k in changed
                )
                + f". Received: output={str(self.folder)!r}"
            )
        model = self._read("last.keras", keras.saving.load_model)
        done = int(model.optimizer.iterations) // self.config["steps_per_epoch"]
        self.rows = self._read("metrics.csv", read_rows)[:done]
        if [row["epoch"] for row in self.rows] != [*range(1, done + 1)]:
            self._refuse("metrics.csv", f"it has not the rows of {done} epochs")
        if not (self.folder / "best.keras").is_file():
            self._refuse("best.keras", "it is missing")
        return model, done

    def load_best(self):
        """Returns the model of `best.keras`, not compiled."""
        return self._read(
            "best.keras", lambda path: keras.saving.load_model(path, compile=False)
        )

    def finished(self):
        """Returns the summary of this very run if it came to its end, else `None`."""
        try:
            summary = json.loads((self.folder / "summary.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return summary if summary.get("config") == self.config else None

    @property
    def best_epoch(self):
        """Number of the epoch that `best.keras` is of, counted from 1."""
        return max(self.rows, key=lambda row: (self._value(row), row["epoch"]))["epoch"]

    def on_train_begin(self, logs=None):
        # Not before: a call that fails while it builds its net leaves no folder.
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_unfinished(self.folder)
        write_json(self.folder / "config.json", self.config)

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, **{k: float(v) for k, v in (logs or {}).items()}}
        if not np.isfinite(row.get("loss", 0.0)):
            raise FloatingPointError(
                f"The loss is {row['loss']} in epoch {epoch + 1}: lower "
                "`learning_rate`, or look for broken values in the images. The run "
                f"folder {str(self.folder)!r} keeps the epoch before."
            )
        self.rows.append(row)
        if self.best_epoch == epoch + 1:
            self._save_best()
        write_whole(self.folder / "metrics.csv", self._write_rows)
        write_whole(self.folder / "last.keras", self.model.save)
        self.draw(self.folder / "metrics.csv", self.folder / "curves.png")

    def _value(self, row):
        return np.nan_to_num(row.get(self.monitor, np.nan), nan=-np.inf)

    def _save_best(self):
        """Writes `best.keras`, with the weights that were validated."""
        if self.average:
            self.average.on_test_begin()
        try:
            write_whole(self.folder / "best.keras", self.model.save)
        finally:
            if self.average:
                self.average.on_test_end()

    def _write_rows(self, path):
        with path.open("w", newline="", encoding="utf-8") as file:
            names = list(dict.fromkeys(name for row in self.rows for name in row))
            rows = csv.DictWriter(file, names)
            rows.writeheader()
            rows.writerows(self.rows)

    def _read(self, name, read):
        path = self.folder / name
        if not path.is_file():
            self._refuse(name, "it is missing")
        try:
            return read(path)
        except Exception as error:  # zip, json, h5py and Keras each raise their own
            self._refuse(name, f"{type(error).__name__}: {error}", error)

    def _refuse(self, name, reason, cause=None):
        raise ValueError(
            f"The run in `output` needs its file {str(self.folder / name)!r}, which "
            f"cannot be read ({reason}). Put it back, or delete 'last.keras' there, and "
            f"the run begins anew. Received: output={str(self.folder)!r}"
        ) from cause


def read_rows(path):
    """The rows of a `metrics.csv` as dicts of floats, and `epoch`, an int."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {"epoch": int(row.pop("epoch")), **{k: float(v) for k, v in row.items()}}
            for row in csv.DictReader(file)
        ]


def check_folder(folder):
    """Returns the path of a folder that can be written to or made, or raises."""
    folder = Path(folder)
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise NotADirectoryError(
            f"`output` must be a folder, or the name of a new one; {str(there)!r} is a "
            f"file. Received: output={str(folder)!r}"
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(
            f"`output` must be a folder that you may write to; {str(there)!r} is not. "
            f"Received: output={str(folder)!r}"
        )
    return folder
