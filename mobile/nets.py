"""The files of nets: those that a user names, and those that ship."""

import json
from pathlib import Path

from kseg.files import as_path

WEIGHTS = Path(__file__).parent / "weights"


def find_net(path) -> Path:
    """Returns the file of a net.

    Args:
        path: A `.keras` or `.tflite` file, or the name of a net that ships with kseg.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is neither such a file nor such a name.
    """
    path = as_path(path)
    if path.suffix not in (".keras", ".tflite"):
        path = _shipped(path)
    if not path.is_file():
        raise FileNotFoundError(
            "`path` must be an existing .keras or .tflite file. "
            f"Received: path={str(path)!r}"
        )
    return path


def trained_names(path: Path, num_classes: int | None) -> tuple[str, ...]:
    """Returns the names of the classes that `kseg train` leaves beside a net.

    Args:
        path: The file of the net.
        num_classes: Channels of its output, `None` if they are unknown.

    Returns:
        One name per class, of a one-class net that of the background too; none if there
        is no `config.json`, or that of something else.
    """
    try:
        config = json.loads((path.parent / "config.json").read_text("utf-8"))
        names = tuple(config["classes"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    known = num_classes is None or len(names) == max(2, num_classes)
    return names if known else ()


def _shipped(name):
    for suffix in (".keras", ".tflite"):
        if name.parent == Path() and (WEIGHTS / f"{name}{suffix}").is_file():
            return WEIGHTS / f"{name}{suffix}"
    names = sorted(
        {
            file.stem
            for file in WEIGHTS.glob("*")
            if file.suffix in (".keras", ".tflite")
        }
    )
    raise ValueError(
        "`path` must be a .keras file, a .tflite file, or the name of a net that ships "
        f"with kseg: {', '.join(names)}. Received: path={str(name)!r}"
    )
