"""Paths that users give, and files that are whole or not there."""

import errno
import glob
import hashlib
import json
import os
import secrets
from pathlib import Path


def as_path(path, name="path"):
    """Returns a `Path`, or raises a TypeError that names the argument."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"`{name}` must be a path. "
            f"Received: {name}={path!r} (of type {type(path).__name__})"
        )
    return Path(path)


def write_whole(path, write):
    """Writes a file in one step: it is whole, or as it was before; links stay links.

    Args:
        path: The file, in a folder that exists.
        write: Its content as bytes, or a function that is given the path of a temporary
            file beside it, and writes the content there.

    Raises:
        OSError: If the disk is full or the folder cannot be written; nothing is left.
    """
    path = Path(path).resolve()
    temporary = unfinished_path(path)
    try:
        if isinstance(write, bytes):
            temporary.write_bytes(write)
        else:
            write(temporary)
        # Else a power cut may leave the new name with nothing behind it.
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(
            error.errno or errno.EIO,
            "`path` cannot be written and was left as it was: "
            f"{error.strerror or error}",
            str(path),
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path, value):
    """Writes a value as JSON, whole or not at all."""
    # Escaped, because names of files may hold what is no Unicode.
    write_whole(path, (json.dumps(value, indent=1) + "\n").encode("ascii"))


def unfinished_path(path) -> Path:
    """Returns a new name beside a file, for what is to become that file."""
    # Keras and Pillow choose the format by the suffix.
    name = f".{_short(path.stem)}.{secrets.token_hex(4)}.partial{path.suffix}"
    return path.with_name(name)


def remove_unfinished(folder, stem=None):
    """Removes what `write_whole` left in a folder when its process was killed.

    Args:
        folder: The folder.
        stem: Of which file, without its suffix; `None` for all of them.
    """
    names = "*" if stem is None else f"{glob.escape(_short(stem))}.{'[0-9a-f]' * 8}"
    for path in Path(folder).glob(f".{names}.partial*"):
        path.unlink(missing_ok=True)


def _short(stem):
    """A stem to which more can be added: names have 255 bytes at most."""
    name = os.fsencode(stem)
    return stem if len(name) < 200 else hashlib.sha256(name).hexdigest()


def checked_path(path, suffix: str = ".tflite", name: str = "path") -> Path:
    """Returns where a file is to be written, before the work that makes it.

    Args:
        path: What the user gave.
        suffix: How the name must end.
        name: Of the argument, for errors.

    Raises:
        OSError: If the folder does not exist or cannot be written to.
        ValueError: If the name does not end so, or is that of a folder.
    """
    path = as_path(path, name)
    if path.suffix != suffix or path.is_dir():
        raise ValueError(
            f"`{name}` must be a file name that ends in {suffix}. "
            f"Received: {name}={str(path)!r}"
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"`{name}` must lie in an existing folder. Received: {name}={str(path)!r}"
        )
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(
            f"`{name}` must lie in a folder that you may write to. "
            f"Received: {name}={str(path)!r}"
        )
    return path
