"""Opens LiteRT interpreters, and keeps native libraries off the terminal."""

import contextlib
import io
import logging
import os
import sys
import tempfile
import threading
import warnings

_STDERR = 2  # native code writes to the descriptor, whatever sys.stderr is
_lock = threading.RLock()


@contextlib.contextmanager
def native_log():
    """Captures what native code and its Python wrappers write to stderr.

    Only third-party calls belong inside: warnings and log records below ERROR
    are dropped too. One thread at a time, because the descriptor is shared.

    Yields:
        A function without arguments that returns the text captured so far.
    """
    with _lock, tempfile.TemporaryFile() as log, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        python_log = io.StringIO()

        def text() -> str:
            log.seek(0)
            return log.read().decode(errors="replace") + python_log.getvalue()

        try:
            saved = os.dup(_STDERR)
        except OSError:  # a service without a stderr has nothing to keep quiet
            yield text
            return
        disabled = logging.root.manager.disable
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(log.fileno(), _STDERR)
        logging.disable(max(disabled, logging.WARNING))
        try:
            with contextlib.redirect_stderr(python_log):
                yield text
        finally:
            logging.disable(disabled)
            os.dup2(saved, _STDERR)
            os.close(saved)


def open_interpreter(
    model: bytes, *, num_threads: int | None = None, name: str = "model"
):
    """Returns a LiteRT interpreter that is ready to run `model`.

    Args:
        model: The content of a `.tflite` file.
        num_threads: CPU threads. `None` takes the machine's, at most 4.
        name: What to call the model in errors, usually its path.

    Returns:
        An `ai_edge_litert.interpreter.Interpreter` with allocated tensors.

    Raises:
        ImportError: If LiteRT is not installed.
        ValueError: If the content is no LiteRT model, is damaged, or needs an
            operation that LiteRT lacks.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ImportError(
            "Running a .tflite needs LiteRT. Install it with: pip install 'kseg[mobile]'"
        ) from error
    if num_threads is None:
        num_threads = min(4, os.cpu_count() or 1)
    if num_threads < 1:
        raise ValueError(
            "`num_threads` must be a positive integer or None. "
            f"Received: num_threads={num_threads}"
        )
    try:
        with native_log():
            interpreter = Interpreter(model_content=model, num_threads=num_threads)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"`{name}` must be a complete LiteRT model (.tflite) that needs no other "
            f"operations than LiteRT's own. LiteRT says: {' '.join(str(error).split())}. "
            f"Received: {len(model)} bytes"
        ) from error
    return interpreter
