"""Files that are whole or not there."""

import contextlib
import os
import tempfile
from pathlib import Path


def checked_path(path, suffix: str = ".tflite") -> Path:
    """Returns where a file is to be written, before the work that makes it.

    Args:
        path: What the user gave.
        suffix: How the name must end.

    Raises:
        OSError: If the folder does not exist or cannot be written to.
        ValueError: If the name does not end so, or is that of a folder.
    """
    path = Path(path)
    if path.suffix != suffix or path.is_dir():
        raise ValueError(
            f"`path` must be a file name that ends in {suffix}. "
            f"Received: path={str(path)!r}"
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"`path` must lie in an existing folder. Received: path={str(path)!r}"
        )
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(
            "`path` must lie in a folder that you may write to. "
            f"Received: path={str(path)!r}"
        )
    return path


def write_whole(path: Path, content: bytes):
    """Writes a file that is either whole or not there at all.

    Args:
        path: The file; it is replaced in one step.
        content: Its content.

    Raises:
        OSError: If the disk is full or the folder cannot be written; nothing is left.
    """
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp's files are private
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise OSError(
            error.errno,
            f"`path` cannot be written and was left as it was: {error.strerror}",
            str(path),
        ) from error


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
