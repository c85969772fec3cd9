"""The files of a training run, written so that a kill at any moment loses nothing."""

import csv
import json
import os
from pathlib import Path

import keras
import numpy as np


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
    dies at, the folder is that of a finished epoch.

    Args:
        folder: The run folder; made if it does not exist.
        monitor: Column of the metrics whose highest value marks the best epoch.
        draw: Function `(csv_path, png_path)` that draws the curves.
        average: The run's `keras.callbacks.SwapEMAWeights`, if it averages weights;
            `best.keras` then holds the averaged ones, which are those validated.
    """

    def __init__(self, folder, monitor, draw, average=None):
        super().__init__()
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.monitor = monitor
        self.draw = draw
        self.average = average
        self.rows = []

    def resume(self, config):
        """Returns (saved model, finished epochs) of an interrupted run, or (None, 0).

        Raises:
            ValueError: If the folder holds a run with other arguments.
        """
        # What the run records is what JSON keeps of it: tuples come back as lists.
        config = json.loads(json.dumps(config))
        path = self.folder / "config.json"
        if path.exists():
            before = json.loads(path.read_text("utf-8"))
            changed = sorted(
                k for k in {*before, *config} if before.get(k) != config.get(k)
            )
            if changed:
                raise ValueError(
                    "`output` must be a new folder, or that of a run with the same "
                    "arguments, which is then resumed. Different are: "
                    + ", ".join(
                        f"{k} ({before.get(k)!r} then, {config.get(k)!r} now)"
                        for k in changed
                    )
                    + f". Received: output={str(self.folder)!r}"
                )
        else:
            write(path, lambda p: p.write_text(json.dumps(config, indent=1), "utf-8"))
        last = self.folder / "last.keras"
        if not last.exists():
            return None, 0
        model = keras.saving.load_model(last)
        self.rows = self.read_rows()
        done = int(model.optimizer.iterations) // config["steps_per_epoch"]
        self.rows = self.rows[:done]
        return model, done

    def read_rows(self):
        """The rows of `metrics.csv` as dicts of floats."""
        path = self.folder / "metrics.csv"
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return [
                {
                    "epoch": int(row.pop("epoch")),
                    **{k: float(v) for k, v in row.items()},
                }
                for row in csv.DictReader(file)
            ]

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, **{k: float(v) for k, v in (logs or {}).items()}}
        if not np.isfinite(row.get("loss", 0.0)):
            raise FloatingPointError(
                f"The loss is {row['loss']} in epoch {epoch + 1}: lower "
                "`learning_rate`, or look for broken values in the images. The run "
                f"folder {str(self.folder)!r} keeps the epoch before."
            )
        best = max((r.get(self.monitor, -np.inf) for r in self.rows), default=-np.inf)
        self.rows.append(row)
        if row.get(self.monitor, -np.inf) > best:
            self.save_best()
        write(self.folder / "metrics.csv", self.write_rows)
        write(self.folder / "last.keras", self.model.save)
        self.draw(self.folder / "metrics.csv", self.folder / "curves.png")

    def save_best(self):
        """Writes `best.keras`, with the weights that were validated."""
        if self.average:
            self.average.on_test_begin()
        try:
            write(self.folder / "best.keras", self.model.save)
        finally:
            if self.average:
                self.average.on_test_end()

    def write_rows(self, path):
        """Writes all rows to the CSV file `path`."""
        with path.open("w", newline="", encoding="utf-8") as file:
            names = list(dict.fromkeys(name for row in self.rows for name in row))
            rows = csv.DictWriter(file, names)
            rows.writeheader()
            rows.writerows(self.rows)


def write(path, save):
    """Calls `save` with a temporary path beside `path`, then renames it to `path`."""
    # Keras chooses the format by the suffix, so the temporary name keeps it.
    temporary = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        save(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
